"""Texts of a campaign: read whole or refused, kept as they were approved; the shipped ones are complete."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from notice_worlds import CAMPAIGN, POLICY, SITE, TEXTS

from demur.errors import InputError
from demur.i18n import phrases
from demur.i18n.phrases import SLOT
from demur.notice import NoticeBook
from demur.notice.lint import lint
from demur.notice.texts import PARTS, copy_default_texts, keep_texts, kept_texts, read_texts

SECTIONS = ("notice.", "letter.")


def test_the_shipped_texts_have_no_fault() -> None:
    assert {"en", "de"} <= set(TEXTS)
    assert lint(TEXTS, CAMPAIGN, SITE, POLICY) == []


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_every_phrase_of_mails_is_translated_with_the_same_slots(language: str) -> None:
    """A shipped language has every sentence of a notice and of a letter, and no slot of its own."""
    english = {key: text for key, text in phrases("en").items() if key.startswith(SECTIONS)}
    mine = {key: text for key, text in phrases(language).items() if key.startswith(SECTIONS)}
    assert set(mine) == set(english)
    for key, text in english.items():
        assert set(SLOT.findall(mine[key])) == set(SLOT.findall(text)), key


def test_copied_texts_are_the_shipped_ones_and_never_overwrite(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    for part in PARTS:
        (tmp_path / "de" / part).write_text("mine", encoding="utf-8")
    found = read_texts(copy_default_texts(tmp_path))
    assert found["en"] == TEXTS["en"]
    assert found["de"].body_txt == "mine"


def test_all_faults_of_a_folder_are_told_at_once(tmp_path: Path) -> None:
    copy_default_texts(tmp_path)
    (tmp_path / "en" / "inapp.txt").unlink()
    (tmp_path / "de" / "body.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "de" / "body.html").write_text("x" * 70_000, encoding="utf-8")
    (tmp_path / "not a language").mkdir()
    with pytest.raises(InputError) as raised:
        read_texts(tmp_path)
    assert [fault.partition(":")[0] for fault in raised.value.faults] == [
        "de/body.txt",
        "de/body.html",
        "en/inapp.txt",
        "not a language/",
    ]


def test_texts_are_kept_as_approved(book: NoticeBook) -> None:
    keep_texts(book, "spring", TEXTS)
    keep_texts(book, "autumn", {})
    assert kept_texts(book, "spring") == TEXTS
    assert kept_texts(book, "autumn") == {}
    keep_texts(book, "spring", {"en": TEXTS["en"]})
    assert kept_texts(book, "spring") == {"en": TEXTS["en"]}


@pytest.mark.parametrize("part", ["subject", "body_txt", "body_html", "inapp"])
def test_any_change_of_a_text_changes_its_digest(part: str) -> None:
    text = TEXTS["en"]
    assert replace(text, **{part: getattr(text, part) + " "}).digest != text.digest


def test_a_windows_file_reads_as_the_same_text(tmp_path: Path) -> None:
    copy_default_texts(tmp_path)
    path = tmp_path / "en" / "body.txt"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_texts(tmp_path)["en"] == TEXTS["en"]
