"""The spelling of records: the quick form and the old, letter-by-letter definition say the same of every text."""

from __future__ import annotations

import os
import sys
import unicodedata

from hypothesis import example, given, settings
from hypothesis import strategies as st

from demur.corpus.text import normalise

BLANKS = " \t\r\n\x0b\x0c\x00\x1c\x1f\x7f\x85\x9f\xa0\u2003\u2028\u3000"
TEXTS = st.text(st.one_of(st.sampled_from(BLANKS), st.characters(), st.sampled_from("ae\u0301\u030a")), max_size=40)


def by_definition(text: str) -> str:
    """NFC; line ends and tabs made plain; no letter of category Cc; runs of blanks and of empty lines made one."""
    composed = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    clean = "".join(letter for letter in composed if letter == "\n" or unicodedata.category(letter) != "Cc")
    kept: list[str] = []
    for line in (" ".join(line.split()) for line in clean.split("\n")):
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).strip()


@settings(max_examples=20_000 if os.environ.get("DEMUR_NIGHTLY") == "1" else 500, deadline=None)
@given(text=TEXTS)
@example(text="\n\n a\r\r\n\n\nb\x0bc \n ")
@example(text="\u2028a\n\x85b")
def test_the_quick_form_is_the_definition(text: str) -> None:
    assert normalise(text) == by_definition(text)
    assert normalise(normalise(text)) == normalise(text)


def test_every_letter_alone_and_between_words() -> None:
    for point in range(sys.maxunicode + 1):
        if point < 0x3100 or point % 97 == 0:
            for text in (chr(point), f"a{chr(point)}b"):
                assert normalise(text) == by_definition(text), hex(point)
