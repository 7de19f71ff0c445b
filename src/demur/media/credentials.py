"""Read what a file itself says about training: its C2PA manifest store, as far as that, and IPTC. In the worker.

The store is a tree of JUMBF boxes: in JPEG cut into APP11 segments, in PNG a chunk ``caBX``, in WebP, WAV and AVI a
chunk ``C2PA``, in AVIF, HEIF, MP4, M4A and MOV a box with a UUID. Signatures are not verified: what is read here can
only take a file out, never in, and whoever can write a no into a file may as well withhold it. Stores that lie
elsewhere (a link in XMP) and compressed ones are not read. What cannot be read says nothing, and is told as unread.
The IPTC property "Data Mining" is a value of a vocabulary, in XMP, which formats keep as plain text: it is found by its
name, wherever it stands.

Sources: ISO/IEC 19566-5 (JUMBF) annex A, annex D.2 for JPEG; ITU-T T.81 B.1.1.2 to B.1.1.4
(markers, fill bytes, segments); C2PA 2.2 §11.1, annex A (A.5 for the box with a UUID);
ISO/IEC 14496-12 §4.2 (boxes), §11.1 (UUID); CAWG Training and Data Mining 1.1 §3; RFC 8949 (CBOR) §3; IPTC Photo
Metadata Standard 2023.1, "Data Mining"; PLUS LDF, vocabulary "Data Mining".
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from itertools import groupby
from typing import Any

ASSERTIONS = ("cawg.training-mining", "c2pa.training-mining")
_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_DEPTH = 12
_MOST = 32
"""Assertions of one file."""
_MOST_BOXES = 200_000
"""Boxes, chunks and segments that are looked at in one file; a film in fragments has a few a second."""
_MOST_BYTES = 1 << 20
"""Of one assertion."""
_PROOF = b"merkle"
"""Purpose of a box with hashes of a fragment: no store."""
_SOS, _EOI, _APP11 = 0xDA, 0xD9, 0xEB
_ALONE = (0x01, *range(0xD0, 0xD9))
"""Markers without a segment: TEM, RST0 to RST7, SOI (ITU-T T.81 table B.1)."""
_MARKER = re.compile(rb"\xff++([^\x00])", re.DOTALL)
"""Any number of fill bytes may precede one (ITU-T T.81 B.1.1.2)."""
_USES = ("allowed", "notAllowed", "constrained")
_PROHIBITED = b"DMI-PROHIBITED"
"""How all values begin that allow no training of models that generate, some under a constraint."""
_SAYS_NO = {"entries": {"cawg.ai_generative_training": {"use": "notAllowed"}}}
"""The assertion that says the same."""


def training_assertions(content: bytes) -> tuple[list[dict[str, Any]], bool]:
    """Return a file's assertions about training and mining, and whether something of its store cannot be read.

    An assertion is ``label`` and ``entries``, name → use; of IPTC it has no label. What was read stands, whatever else
    cannot be.
    """
    reading, found = _Reading(), list[dict[str, Any]]()
    for store in reading.stores(content):
        for label, held in reading.labelled(store, 0):
            entries = held.get("entries") if isinstance(held, dict) else None
            if not isinstance(entries, dict) or len(found) == _MOST:
                reading.unread = True
                continue
            uses = {str(name): one.get("use") for name, one in entries.items() if isinstance(one, dict)}
            told = {name: {"use": use} for name, use in uses.items() if use in _USES}
            reading.unread |= len(told) < len(entries)
            found.append({"label": label, "entries": told})
    return [*found, *([_SAYS_NO] if _PROHIBITED in content else [])], reading.unread


class _Reading:
    """The reading of one file; what cannot be read is noted, and the rest is read on."""

    def __init__(self) -> None:
        self.unread = False
        self._boxes = 0

    def stores(self, content: bytes) -> Iterator[memoryview]:
        """Yield the manifest stores of a file, as far as they are there."""
        if content[:2] == b"\xff\xd8":
            yield from self._of_jpeg(content)
        elif content[:8] == b"\x89PNG\r\n\x1a\n":
            yield from (body for name, body in self._chunks(content, 8, ">I4s", 4) if name == b"caBX")
        elif content[:4] == b"RIFF":
            yield from (body for name, body in self._chunks(content, 12, "<4sI", 0) if name == b"C2PA")
        else:
            yield from self._of_boxes(content)

    def _of_jpeg(self, content: bytes) -> Iterator[memoryview]:
        """Put the APP11 segments of each box together: by its number, in their own order."""
        parts, walked = list[tuple[int, int, bytes, int]](), 2
        for marker, body, end in self._segments(content):
            walked = end
            if marker == _APP11 and body[:2] == b"JP" and len(body) > 16:
                number, turn = struct.unpack_from(">HI", body, 2)
                head = 8 + (8 if body[8:12] == b"\0\0\0\x01" else 0)
                parts.append((number, turn, body[8:], head))
        if not any(b"c2pa" in part[2] for part in parts) and content.find(b"c2pa", walked) >= 0:
            self.unread = True  # in a second picture, or behind what could be walked through
        for _number, some in groupby(sorted(parts), lambda part: part[0]):
            first, *rest = some
            yield memoryview(first[2] + b"".join(body[head:] for _, _, body, head in rest))

    def _segments(self, content: bytes) -> Iterator[tuple[int, bytes, int]]:
        """Yield the segments before the first scan: marker, what it holds, where it ends."""
        place = 2
        while self._may() and (found := _MARKER.match(content, place)):
            marker, place = found[1][0], found.end()
            if marker in (_SOS, _EOI):
                return
            if marker not in _ALONE:
                size = int.from_bytes(content[place : place + 2], "big")
                yield marker, content[place + 2 : place + size], place + size
                place += max(2, size)
        self.unread = True

    def _chunks(self, content: bytes, place: int, form: str, tail: int) -> Iterator[tuple[bytes, memoryview]]:
        """Yield the chunks of a PNG or a RIFF file; the latter fills them up to even sizes."""
        whole = memoryview(content)
        while place + 8 <= len(content) and self._may():
            one, other = struct.unpack_from(form, content, place)
            name, size = (other, one) if isinstance(other, bytes) else (one, other)
            yield name, whole[place + 8 : place + 8 + size]
            place += 8 + size + (tail or size % 2)

    def _of_boxes(self, content: bytes) -> Iterator[memoryview]:
        """Yield the stores of an ISO base media file: version and flags, purpose, where more lies, then the store."""
        end = 0
        for name, body, end in self._walk(memoryview(content)):
            if name != b"uuid" or body[:16] != _UUID:
                continue
            purpose, ended, _ = bytes(body[20:84]).partition(b"\0")
            if not ended:
                self.unread = True
            elif purpose != _PROOF:
                yield body[20 + len(purpose) + 1 + 8 :]
            self.unread |= end > len(content)
        if content.find(_UUID, end) >= 0:  # beyond what could be walked through
            self.unread = True

    def _walk(self, content: memoryview) -> Iterator[tuple[bytes, memoryview, int]]:
        """Yield the boxes of a JUMBF or ISO base media file: name, what is there of it, where it should end.

        Of size 1 is one whose size is of 64 bits, of size 0 one that goes to the end (ISO/IEC 14496-12 §4.2).
        """
        place = 0
        while place + 8 <= len(content) and self._may():
            size, name = struct.unpack_from(">I4s", content, place)
            head = 8
            if size == 1 and place + 16 <= len(content):
                (size,), head = struct.unpack_from(">Q", content, place + 8), 16
            elif size == 0:
                size = len(content) - place
            if size < head:
                return
            yield name, content[place + head : place + size], place + size
            place += size

    def _may(self) -> bool:
        self._boxes += 1
        self.unread |= self._boxes > _MOST_BOXES
        return self._boxes <= _MOST_BOXES

    def _inner(self, body: memoryview) -> list[tuple[bytes, memoryview]]:
        """Return the boxes of a store or of a box in it; noughts may fill it up."""
        boxes = [one for one in self._walk(body) if one[0] != bytes(4)]
        end = boxes[-1][2] if boxes else 0
        self.unread |= end > len(body) or bool(bytes(body[end:]).strip(b"\0"))
        return [(name, inner) for name, inner, _ in boxes]

    def labelled(self, store: memoryview, depth: int) -> Iterator[tuple[str, Any]]:
        """Yield the assertions of a tree of boxes: label and what it holds; ``None`` = that cannot be read."""
        boxes = self._inner(store) if depth < _DEPTH else []
        if depth == _DEPTH or (depth == 0 and not boxes) or any(name == b"brob" for name, _ in boxes):
            self.unread = True  # nested too deep, no store, compressed
        for name, body in boxes:
            if name != b"jumb":
                continue
            inner = self._inner(body)
            about = bytes(inner[0][1][:512]) if inner and inner[0][0] == b"jumd" else b""
            label = about[17:].partition(b"\0")[0].decode("utf-8", "replace") if about[16:17] > b"\x01" else ""
            if label.partition("__")[0] in ASSERTIONS:
                told = [one for one in inner[1:] if one[0] in (b"json", b"cbor")]
                self.unread |= not told
                yield from ((label, _read(*one)) for one in told)
            else:
                yield from self.labelled(body, depth + 1)


def _read(name: bytes, body: memoryview) -> Any:
    """Return what a box of JSON or CBOR holds; ``None`` = it cannot be read."""
    if len(body) > _MOST_BYTES:
        return None
    try:
        return json.loads(bytes(body)) if name == b"json" else _Cbor(bytes(body)).value(0)
    except (ValueError, IndexError, struct.error, RecursionError, UnicodeDecodeError):
        return None


class _Cbor:
    """Reads one value; maps have text for keys, tags are passed over, what has no form in JSON becomes ``None``."""

    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0

    def _take(self, size: int) -> bytes:
        if size < 0 or self._place + size > len(self._content):
            raise IndexError
        self._place += size
        return self._content[self._place - size : self._place]

    def value(self, depth: int) -> Any:
        """Return the value that begins here."""
        if depth > _DEPTH:
            raise ValueError
        first = self._take(1)[0]
        major, more = first >> 5, first & 31
        if major == 7:
            self._take({25: 2, 26: 4, 27: 8, 24: 1}.get(more, 0))
            return {20: False, 21: True}.get(more)
        size = more if more < 24 else int.from_bytes(self._take(1 << more - 24), "big") if more < 28 else None
        if size is None and (more != 31 or major in (0, 1, 6)):
            raise ValueError
        match major:
            case 0 | 1:
                return size if major == 0 else -1 - (size or 0)
            case 2 | 3:
                return self._text(major, size, depth)
            case 4:
                return [self.value(depth + 1) for _ in self._times(size)]
            case 5:
                return {str(self.value(depth + 1)): self.value(depth + 1) for _ in self._times(size)}
        return self.value(depth + 1)  # what a tag is of

    def _text(self, major: int, size: int | None, depth: int) -> Any:
        if size is None:
            parts = [self.value(depth + 1) for _ in self._times(None)]
            return "".join(one for one in parts if isinstance(one, str)) if major == 3 else None
        plain = self._take(size)
        return plain.decode() if major == 3 else None

    def _times(self, size: int | None) -> Iterator[None]:
        """Yield so many times; without a size until a break stands here."""
        if size is not None and size > len(self._content):
            raise IndexError
        done = 0
        while done < size if size is not None else self._content[self._place] != 0xFF:
            yield None
            done += 1
        if size is None:
            self._take(1)
