# ruff: noqa: E501, SIM905 (tables of words read better whole)
"""Rendering: from a normalised text and its spans to the text of a record, in one of three modes (COR-04).

``mask`` puts the kind in angle brackets, ``drop`` takes the identifier out and closes the gap, ``fake`` writes a
made-up identifier of the same kind and layout, the same one for the same value within one row and an unrelated one in
every other. Does not search. Nothing made up here can reach or name anybody: e-mail and web addresses are under
``example`` (RFC 2606), networks those of documentation (RFC 5737, RFC 3849, RFC 7042), phones are drama numbers or
begin with zeros that nobody can dial, and card, bank and national numbers fail their check digits.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Literal

import pyarrow as pa

from demur.corpus.redact_names import NameFinder, Names, name_finder
from demur.corpus.redact_national import CHECKED, LETTERED, MIXED, known_mixed, known_number, luhn
from demur.corpus.redact_normal import view
from demur.corpus.redact_patterns import Span
from demur.corpus.redact_places import STREET_TAILS, STREET_WORDS
from demur.corpus.redact_spans import from_arrow, masked, masked_batch, to_arrow, united
from demur.errors import InputError

Mode = Literal["mask", "drop", "fake"]


def render(normalised: Any, spans: Any, mode: Mode = "mask", keys: Any = None) -> Any:
    """Return texts with their spans replaced.

    Args:
        normalised: Arrow string array, as ``redact`` returns it; nulls stay null.
        spans: its spans, as ``redact`` returns them (``redact_spans.SPANS``).
        mode: ``mask``, ``drop`` or ``fake``.
        keys: for ``fake``, an Arrow binary array with a secret of its own for each row, at least 16 bytes (a keyed
            hash of the record's id): without the key nobody can link the made-up values of two rows.

    Returns:
        Arrow string array.

    Raises:
        InputError: lengths differ, the mode is unknown or ``fake`` has no keys.
    """
    if len(spans) != len(normalised) or (keys is not None and len(keys) != len(normalised)):
        raise InputError("Expected as many rows of spans and keys as texts, found other lengths. Hand in one batch.")
    listed = from_arrow(spans)
    if mode == "mask":
        return masked_batch(normalised, {row: some for row, some in enumerate(listed) if some})
    if mode == "drop":
        cut = [text if not some or text is None else dropped(text, some) for text, some in _rows(normalised, listed)]
        return pa.array(cut, pa.string())
    if mode != "fake" or keys is None:
        raise InputError(f"Expected mask, drop or fake (which needs a key for each row), found {mode!r}. Choose one.")
    secrets = keys.to_pylist()
    made = []
    for (text, some), key in zip(_rows(normalised, listed), secrets, strict=True):
        if some and (key is None or len(key) < 16):
            raise InputError("Expected a key of at least 16 bytes for each row with spans, found a shorter one.")
        made.append(text if not some or text is None else faked(text, some, key))
    return pa.array(made, pa.string())


def _rows(normalised: Any, listed: Sequence[Sequence[Span]]) -> Any:
    return zip(normalised.to_pylist(), listed, strict=True)


def kept_apart(normalised: Any, spans: Any, names: Names) -> Any:
    """Return spans of a batch, as ``redact`` returns them, after whose dropping no text says one of some names."""
    finder = name_finder(names)
    if finder is None:
        return spans
    rows = enumerate(_rows(normalised, from_arrow(spans)))
    found = {row: apart(text, some, finder) if some and text else some for row, (text, some) in rows}
    return to_arrow(found, len(spans))


_BLANKS = " \n"


def dropped(text: str, spans: Sequence[Span]) -> str:
    """Return a text without its spans; of the blanks on both sides of one, those after it go.

    >>> dropped("write to a@b.example, please", [(9, 20, "EMAIL")])
    'write to, please'
    """
    return "".join(text[place] for place in _staying(text, spans))


def _staying(text: str, spans: Sequence[Span]) -> list[int]:
    """Return the places of the signs that stay when spans are dropped."""
    kept: list[int] = []
    place = 0
    for start, end, _kind in spans:
        kept += range(place, start)
        place = end
        after = text[end : end + 1]
        if not kept or text[kept[-1]] in _BLANKS:
            if after == " " or not after:
                place += 1
            if not after or after in ".,;:!?)":
                while kept and text[kept[-1]] == " ":
                    kept.pop()
    return [*kept, *range(place, len(text))]


def apart(text: str, spans: Sequence[Span], finder: NameFinder) -> list[Span]:
    """Return spans after whose dropping no name is left: what stood between two words may have kept them apart.

    A name that closes takes what stood in it along, as one span.

    >>> apart("ask Anna a@b.example Berg", [(9, 20, "EMAIL")], name_finder(["Anna Berg"]))
    [(4, 25, 'NAME')]
    """
    spans = list(spans)
    while True:
        places = _staying(text, spans)
        found = finder.spans("".join(text[place] for place in places))
        if not found:
            return spans
        spans = united([*spans, *((places[start], places[end - 1] + 1, kind) for start, end, kind in found)])


def faked(text: str, spans: Sequence[Span], key: bytes) -> str:
    """Return a text with made-up identifiers in place of its spans.

    Args:
        text: a normalised text.
        spans: its spans.
        key: secret of this row alone.
    """
    parts, place = [], 0
    for start, end, kind in spans:
        parts += [text[place:start], fake(text[start:end], kind, key)]
        place = end
    return "".join([*parts, text[place:]])


def fake(value: str, kind: str, key: bytes) -> str:
    """Return a made-up identifier: a function of the row's key, the kind and the value in one spelling."""
    plain = re.sub(r"[\W_]+", "", value).casefold()
    stream = _Stream(hashlib.blake2b(f"{kind}\x00{plain}".encode(), key=key[:64], digest_size=64).digest())
    maker = _MAKERS.get(kind)
    return maker(value, stream) if maker else masked(value, [(0, len(value), kind)])


class _Stream:
    """Draws small numbers out of a digest, one after another."""

    def __init__(self, digest: bytes) -> None:
        self._left = int.from_bytes(digest)

    def below(self, limit: int) -> int:
        self._left, drawn = divmod(self._left, limit)
        return drawn

    def digits(self, count: int) -> str:
        return "".join(str(self.below(10)) for _ in range(count))

    def word(self) -> str:
        return "".join(_SYLLABLES[self.below(len(_SYLLABLES))] for _ in range(3))


_SYLLABLES = (
    "ba be bi bo da de di do fa fe fi fo ga ge gi go ka ke ki ko la le li lo ma me mi mo na ne ni no pa pe pi po ra re ri ro "
    "sa se si so ta te ti to va ve vi vo"
).split()


def _email(_value: str, stream: _Stream) -> str:
    return f"{stream.word()}{stream.digits(2)}@example.{('org', 'net', 'com')[stream.below(3)]}"


def _handle(value: str, stream: _Stream) -> str:
    """Return an account that nobody can have: of a host that is none, or longer than its network lets names be."""
    name = f"{stream.word()}_{stream.digits(3)}"
    if value.startswith(("u/", "/u/")):
        return f"u/{stream.word()}{stream.word()}{stream.word()}{name}"
    return f"@{name}@social.example"


def _url(_value: str, stream: _Stream) -> str:
    return f"https://example.org/{stream.word()}"


def _url_id(_value: str, stream: _Stream) -> str:
    return f"https://example.org/u/{stream.word()}{stream.digits(3)}"


def _ip(value: str, stream: _Stream) -> str:
    if ":" in value and value.count(".") != 3:
        return f"2001:db8::{stream.below(0xFFFF) + 1:x}:{stream.below(0xFFFF) + 1:x}"
    return f"{('192.0.2', '198.51.100', '203.0.113')[stream.below(3)]}.{stream.below(254) + 1}"


def _mac(_value: str, stream: _Stream) -> str:
    return f"00:00:5E:00:53:{stream.below(256):02X}"


_DRAMA: dict[str, Callable[[_Stream], str]] = {
    "44": lambda stream: f"+44 7700 900{stream.digits(3)}",
    "33": lambda stream: f"+33 6 39 98 {stream.digits(2)} {stream.digits(2)}",
    "49": lambda stream: f"+49 30 23125 {stream.digits(3)}",
    "46": lambda stream: f"+46 70 174 06 {5 + stream.below(95):02d}",
    "353": lambda stream: f"+353 20 91{stream.digits(1)} {stream.digits(4)}",
    "1": lambda stream: f"+1 202 555 01{stream.digits(2)}",
}
"""Country code → numbers set aside for drama (Ofcom, ARCEP, Bundesnetzagentur, PTS, ComReg, NANPA)."""
_COUNTRY_CODE = re.compile(r"\W*(?:\+|00)\D*(1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|[2-9][0-9]{2})")


def _phone(value: str, stream: _Stream) -> str:
    """Return a drama number of the country, else the value's own layout with zeros where no number begins with them.

    No country code begins with 0 (ITU-T E.164, zone 0), and no area with 000.
    """
    code = _COUNTRY_CODE.match(value)
    if code and code.group(1) in _DRAMA:
        return _DRAMA[code.group(1)](stream)
    return f"{value[: code.end()]}{_like(value[code.end() :], stream, 3)}" if code else _like(value, stream, 4)


def _like(value: str, stream: _Stream, zeros: int) -> str:
    """Return a value's layout with other digits, the first ones 0, and U for every letter.

    U stands in no plate of most countries and is no control letter of ES, MT and UK.
    """
    signs = []
    for sign in value:
        if sign.isdecimal():
            signs.append("0" if zeros > 0 else stream.digits(1))
            zeros -= 1
        else:
            signs.append("U" if sign.isalpha() else sign)
    return "".join(signs)


def _iban(value: str, stream: _Stream) -> str:
    compact = re.sub(r"\W", "", view(value)).upper()
    whole = f"{compact[:2]}00{stream.digits(len(compact) - 4)}"  # ISO 13616: check digits run from 02 to 98
    return " ".join(whole[at : at + 4] for at in range(0, len(whole), 4)) if " " in value else whole


def _unreal(value: str, stream: _Stream, zeros: int) -> str:
    """Return a value's layout with digits that stand up to no country's check."""
    made = _like(value, stream, zeros)
    for _ in range(64):
        if not _passes(made):
            return made
        made = _like(value, stream, zeros)
    return _like(value, stream, len(value))


def _passes(made: str) -> bool:
    digits = re.sub(r"[^0-9]", "", made)
    compact = re.sub(r"[\W_]", "", made)
    if known_number(digits) or (digits and luhn([int(digit) for digit in digits])):
        return True
    for layout in (MIXED, LETTERED):
        match = layout.match(made)
        if match and match.lastgroup in CHECKED and known_mixed(match.lastgroup, match.group()):
            return True
    return any(import_module(f"stdnum.{name}").is_valid(compact) for name in ("cy.vat", "ie.pps", "pt.cc", "es.nie"))


def _card(value: str, stream: _Stream) -> str:
    return _unreal(view(value), stream, 4)  # no issuer begins with 0 (ISO/IEC 7812)


def _id(value: str, stream: _Stream) -> str:
    return _unreal(view(value), stream, 3)


def _plate(value: str, stream: _Stream) -> str:
    return _like(value, stream, len(value))  # numbers on plates begin with 1


def _address(value: str, stream: _Stream) -> str:
    """Return a street of the same kind with a made-up name and the house number 0."""
    return _WORD.sub(lambda word: _street(word.group(), stream), re.sub(r"[0-9]", "0", view(value)))


_WORD = re.compile(r"[^\W\d_]{2,}\.?")


def _street(word: str, stream: _Stream) -> str:
    small = word.lower()
    if small in STREET_WORDS or not word[:1].isupper():
        return word
    tail = next((tail for tail in STREET_TAILS if small.endswith(tail)), "")
    return stream.word().title() + (word[-len(tail) :] if tail else "")


def _name(_value: str, stream: _Stream) -> str:
    return f"{stream.word().title()} {stream.word().title()}"


_MAKERS: dict[str, Callable[[str, _Stream], str]] = {
    "ADDRESS": _address, "CARD": _card, "EMAIL": _email, "HANDLE": _handle, "IBAN": _iban, "ID": _id, "IP": _ip,
    "MAC": _mac, "NAME": _name, "PHONE": _phone, "PLATE": _plate, "URL": _url, "URL_ID": _url_id,
}  # fmt: skip
"""Kind → what makes one up; a kind of a plug-in that isn't here is masked."""
