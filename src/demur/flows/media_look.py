"""Questions to a media build that is there: is it still right, and what became of the file of an item.

The check of texts knows nothing of how the build compared them: no record may say a protected text word for word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus import read_manifest
from demur.corpus.inputs import protecting
from demur.corpus.similarity import words
from demur.errors import BrokenError, InputError
from demur.flows.left import beside
from demur.flows.media import media_folder, waiting_since
from demur.flows.media_rows import source_of
from demur.flows.media_words import Fates, posts_of
from demur.flows.parts import Parts, corpus_folder, kept_policy
from demur.lineage import SealedFile
from demur.media.build import check_slices, read_media_manifest

_TOGETHER = 20_000
"""Records whose texts are in memory at once."""
_BEGINNING = 3


def verify_media(parts: Parts, corpus: str | None = None) -> dict[str, Any]:
    """Check a media build again: every file, every medium, and that the corpus still allows every record.

    Raises:
        BrokenError: something of it is not what it was, a record is nobody's, or one says a protected text.
    """
    folder = media_folder(parts, corpus)
    manifest = read_media_manifest(folder)
    home = corpus_folder(parts.workspace, manifest.corpus_id)
    known = {one["record_id"]: one["item_id"] for one in _rows(parts, folder, "media") if one["record_id"]}
    present: set[str] = set()
    records = ((one.record_id, f"{one.picture_text}\n{one.transcript}") for one in check_slices(folder, manifest))
    with beside(parts.workspace, "media") as work:
        protected = _Protected(parts, home, work)
        while some := list(islice(records, _TOGETHER)):
            present |= {name for name, _ in some}
            told = holding([text for _, text in some], protected.texts(), least=protected.least)
            if said := [name for (name, _), hit in zip(some, told, strict=True) if hit]:
                raise BrokenError("expected no record to say a protected text, found some; build again", said)
    shown = {one["item_id"] for one in _rows(parts, folder, "shown")}
    asked = pa.array(sorted({*known.values(), *shown}), pa.string())
    allowed = pc.sum(Fates(parts, home, 0).known(asked).allowed).as_py() or 0
    if present != set(known) or allowed != len(asked):
        raise BrokenError(
            "expected every media record to be of an item that the corpus allows, found others; build again",
            [f"{len(present)} records, {len(known)} known, {allowed} of {len(asked)} items allowed"],
        )
    told_of = {"media": manifest.media_id, "corpus": manifest.corpus_id, "records": len(known), "gone": manifest.gone}
    return {**told_of, "waiting": waiting_since(parts, home)}


class _Protected:
    """The texts of protected items, as they were written."""

    def __init__(self, parts: Parts, corpus: Path, work: Path) -> None:
        inputs = read_manifest(corpus).inputs
        _, policy = kept_policy(parts.workspace, inputs["policy"])
        self.least: int = policy.copy_min_words
        self._fates = Fates(parts, corpus, protecting(policy.third_party_scope))
        source_of(parts, inputs, work)
        self._items = work / "items"
        self._ids: Any = None

    def texts(self) -> Iterator[str]:
        if self._ids is None:
            self._ids = self._fates.protected()
        for ids, texts in posts_of(self._items):
            yield from texts.filter(pc.is_in(ids, self._ids)).to_pylist()


def holding(texts: Sequence[str], protected: Iterable[str], *, least: int) -> list[bool]:
    """Say which texts hold all words of a protected one, one after another.

    Args:
        texts: what was read or heard.
        protected: texts as they were written.
        least: of fewer words a protected text belongs to nobody.

    >>> post = "We cooked potatoes, with butter and garlic!"
    >>> holding(["Ana, 10:15 we cooked potatoes with butter and garlic 3 likes", "we cooked potatoes"], [post], least=5)
    [True, False]
    """
    said = [words(text) for text in texts]
    plain = [f" {' '.join(one)} " for one in said]
    index: dict[int, list[int]] = {}
    for row, one in enumerate(said):
        for at in range(len(one) - _BEGINNING + 1):
            index.setdefault(hash(one[at : at + _BEGINNING]), []).append(row)
    found = [False] * len(texts)
    for text in protected:
        one = words(text)
        if len(one) >= max(least, _BEGINNING):
            whole = f" {' '.join(one)} "
            for row in index.get(hash(one[:_BEGINNING]), ()):
                found[row] = found[row] or whole in plain[row]
    return found


@dataclass(frozen=True, slots=True)
class Became:
    """What became of the file of an item in a media build."""

    item_id: str
    media: str
    reason: str | None
    """``None``: it is a record."""
    detail: str | None
    """Of a protected copy what is one: ``picture``, ``words`` (those posted with it) or ``text in it``; never whose."""
    record_id: str | None
    shows: tuple[str, ...]
    """Allowed posts of other people that stand in it."""


def became(parts: Parts, item: str, corpus: str | None = None) -> Became:
    """Return what became of the file of an item.

    Raises:
        InputError: the build has looked at no file of it as an allowed item's.
    """
    folder = media_folder(parts, corpus)
    found = next(
        (one for one in _rows(parts, folder, "media") if one["item_id"] == item and one["reason"] != "protected_gone"),
        None,
    )
    if found is None:
        raise InputError("expected an allowed item with a file, found none; `demur policy explain` says why it is not")
    record = found["record_id"]
    shows = sorted(one["item_id"] for one in _rows(parts, folder, "shown") if record and one["record_id"] == record)
    return Became(item, folder.name, found["reason"], found.get("detail"), record, tuple(shows))


def _rows(parts: Parts, build: Path, kind: str) -> Iterator[dict[str, Any]]:
    path = build / "sealed" / f"{kind}.sealed"
    if kind == "media" or path.exists():  # builds of before know nothing of what they show
        for table in SealedFile(path, kind, secret=parts.keys.secret("lineage")).all():
            yield from table.to_pylist()
