"""The verifier's look at texts: some are measured again, and no record may say the name of somebody who objected.

What copies are found by is a keyed hash of a text. The verifier compares hashes and cannot tell what they were made of;
so it has a sample measured again from the snapshot, by the measuring code: drawn by the corpus' digest, so that no two
builds have the same rows looked at, and bounded.

Names are looked for by a search of its own, in what was written: where a space stands, the signs on both sides of it
must be those on both sides of a name's first space. That is asked of all spaces at once; what is left is read.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.corpus.recipe import of_this_code
from demur.corpus.similarity import SIMILARITY, measure
from demur.corpus.text import Gauge
from demur.corpus.verify_near import Near
from demur.corpus.verify_spaces import APART, BEYOND, FOLDED, Spaced, beside
from demur.store import KeyRing
from demur.terms.manifests import CorpusManifest, CorpusRecipe

MOST_MEASURED = 1_000
"""Texts that a verdict has measured again, at most: half of them protected, if there are so many."""
_SPREAD = 4
"""From so many times more rows they are drawn."""
_ROWS = 8_192
"""Records that are searched at once: their texts stay in the processor's cache."""
_WIDTH = 4
"""Signs that are compared on each side of a space."""
_KEY_BITS = 22

_DRAWN = """
SELECT i.item_id, i.text, m.words, m.exact, NOT f.allowed AND f.reason_bits & s.protecting <> 0 AS protected,
       hash(i.item_id, {seed}) AS place
FROM (SELECT item_id, text FROM read_parquet(?) WHERE hash({seed}, item_id) % 1000000 < {share}) i
JOIN measures m USING (item_id) JOIN fates f USING (item_id), settings s
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Texts that were measured again."""

    otherwise: int = 0
    """How many are not as their measures say."""
    texts: int | None = None
    """How many there were; ``None`` = nothing can be measured: the corpus was built by other rules than these."""
    protected: tuple[str, ...] = ()
    """Those of them that are protected and may have copies, as they are compared."""


def measured_otherwise(
    connection: Any,
    manifest: CorpusManifest,
    *,
    snapshot: Sequence[Path],
    standing: Path,
    keys: KeyRing,
    most_read: int,
    rows: int,
) -> Measured:
    """Have texts measured again whose measures are at hand.

    Args:
        connection: the engine, with measures, fates and settings.
        manifest: of the corpus.
        snapshot: files of what it was built from.
        standing: folder of the people tables.
        keys: the key ring.
        most_read: texts are drawn from as many files as have so many rows, at least one.
        rows: how many items have measures at hand; 0 = few.
    """
    recipe = CorpusRecipe(**manifest.inputs["recipe"])
    here = (SIMILARITY, unicodedata.unidata_version)
    if recipe != of_this_code(recipe) or tuple(map(manifest.versions.get, ("similarity", "unicode"))) != here:
        return Measured()
    seed = int(manifest.digest[:15], 16)
    share = min(1_000_000, -(-_SPREAD * MOST_MEASURED * 1_000_000 // max(1, rows)))
    drawn = f"CREATE OR REPLACE TEMP TABLE drawn AS {_DRAWN.format(seed=seed, share=share)}"
    connection.execute(drawn, [_chosen(snapshot, seed, most_read)])
    found = [_first(connection, protected) for protected in ("protected", "NOT protected")]
    table = pa.concat_tables(found).combine_chunks()
    gauge = Gauge.of(
        recipe=replace(recipe, toxicity="").as_json(),  # what copies are found by is told apart from it
        keys=str(keys.folder),
        standing=str(standing),
        mentions=False,
        copy_min_words=manifest.inputs["policy_facts"]["copy_min_words"],
        toxicity=None,
    )
    return _measured(table, gauge) if table.num_rows else Measured(texts=0)


def _chosen(snapshot: Sequence[Path], seed: int, most_read: int) -> list[str]:
    """Return files that have so many rows together, in an order that the seed gives."""
    left = most_read
    found: list[str] = []
    for file in sorted(snapshot, key=lambda one: hashlib.sha256(f"{seed} {one.name}".encode()).digest()):
        if left > 0:
            found.append(str(file))
            left -= pq.read_metadata(file).num_rows
    return found


def _first(connection: Any, which: str) -> Any:
    query = f"SELECT * EXCLUDE (place) FROM drawn WHERE {which} ORDER BY place, item_id LIMIT {MOST_MEASURED // 2}"  # noqa: S608  (our own words)
    return connection.sql(query).to_arrow_table()


def _measured(drawn: Any, gauge: Gauge) -> Measured:
    plain = gauge.texts(drawn["text"], drawn["item_id"], drawn["protected"])["plain"].combine_chunks()
    now = measure(plain)
    keyed = [gauge.mac(b"exact" + key)[:16] for key in now.exact.to_pylist()]
    rows = zip(drawn["exact"].to_pylist(), keyed, drawn["words"].to_pylist(), now.words.tolist(), strict=True)
    otherwise = sum(counted != words or known not in {None, key} for known, key, counted, words in rows)
    copied = pc.and_(drawn["protected"], pc.is_valid(drawn["exact"]))
    return Measured(otherwise, len(plain), tuple(plain.filter(copied.combine_chunks()).to_pylist()))


class Names:
    """Finds names of at least two words in records.

    Args:
        names: as people wrote them.
    """

    def __init__(self, names: Iterable[str]) -> None:
        import ahocorasick

        spelled = sorted({one for name in names if (one := _spelled(name))})
        self._automaton = ahocorasick.Automaton()
        for name in spelled:
            self._automaton.add_word(name, len(name))
        self._automaton.make_automaton()
        apart = " " * (_WIDTH + 1)
        places = np.cumsum([0, *(len(name.encode()) + len(apart) for name in spelled)])[:-1] + len(apart)
        places += np.array([len(name.split(" ", 1)[0].encode()) for name in spelled], np.int64)
        body = np.frombuffer((apart + apart.join(spelled) + apart).encode(), np.uint8)
        signs = _spellings(_signs(body, places, before=_WIDTH + 1, after=_WIDTH + 1))
        folded = np.zeros((128, 128), bool)
        folded[signs[0], signs[_WIDTH]] = True
        self._near = beside(folded)
        nearer = np.zeros((128, 128, 128), bool)
        nearer[signs[0], signs[_WIDTH], signs[_WIDTH + 1]] = True
        self._nearer = nearer.reshape(-1)
        self._keys = np.zeros(1 << _KEY_BITS, bool)
        self._keys[_key(signs)] = True

    def __bool__(self) -> bool:
        """Whether there is any."""
        return len(self._automaton) > 0

    def said(self, texts: Any) -> int:
        """Return how many texts of an Arrow array say one."""
        return self.said_at(texts, Spaced.of(texts))

    def said_at(self, texts: Any, spaced: Spaced) -> int:
        """Return the same, with the spaces of the texts at hand."""
        return sum(self._stands_in(texts[row].as_py()) for row in self._likely(spaced))

    def _likely(self, spaced: Spaced) -> list[int]:
        """Return the rows in which a space stands between such signs as in a name."""
        body, spaces = spaced.body, spaced.between(self._near)
        last, first, second = _signs(body, spaces, before=1, after=2)
        spaces = spaces[self._nearer.take((last.astype(np.int32) * 128 + first) * 128 + second)]
        spaces = spaces[self._keys[_key(_signs(body, spaces))]]
        found: list[int] = np.unique(spaced.rows(spaces)).tolist()
        return found

    def _stands_in(self, text: str) -> bool:
        spelled = _one_spelling(text)
        for last, size in self._automaton.iter(spelled):
            around = spelled[last - size : last - size + 1] if last >= size else "", spelled[last + 1 : last + 2]
            if not any(sign and (sign.isalnum() or sign == "_" or _is_mark(sign)) for sign in around):
                return True
        return False


def _spelled(name: str) -> str:
    """Return a name as it is looked for; nothing for one that is anybody's: fewer than two words with letters."""
    spelled = _one_spelling(name)
    return spelled if sum(any(map(str.isalpha, word)) for word in spelled.split()) > 1 else ""


def _one_spelling(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _is_mark(sign: str) -> bool:
    return unicodedata.category(sign).startswith("M")


_LIGATURES = np.zeros((256, 256), bool)
"""Two letters, from the space on, that may be written as one sign beyond ASCII, as ss is \u00df."""
for _one, _other in ("ss", "st", "ff", "fi", "fl"):
    _LIGATURES[ord(_one), ord(_other)] = _LIGATURES[ord(_other), ord(_one)] = True


def _signs(body: Any, places: Any, *, before: int = _WIDTH, after: int = _WIDTH) -> list[Any]:
    """Return the signs that stand before and after some spaces, nearest first, as they are compared.

    Where a word ends there is nothing more to see, and behind a sign beyond ASCII neither: in another case it may have
    another number of bytes.
    """
    found = []
    for way, most in ((-1, before), (1, after)):
        last = FOLDED.take(body.take(places + way))
        found.append(last)
        for far in range(2, most + 1):
            ended = (last == APART) | (last == BEYOND)
            last = np.where(ended, last, FOLDED.take(body.take(places + way * far)))
            found.append(last)
    return found


def _spellings(signs: list[Any]) -> list[Any]:
    """Return the signs of names also as they may be written beyond ASCII, beginning at any sign on each side.

    A letter may have swallowed the next one or the mark upon it. Not both beside one space, as where a word ends and
    the next begins with a sharp s: if that were looked for, every text in another script would be read.

    Args:
        signs: one more on each side than are compared.
    """
    width = len(signs) // 2
    table = np.stack(signs, axis=1)
    begun = np.zeros((len(table), 2), bool)
    for side in (0, 1):
        tables, all_begun = [table], [begun]
        for far in range(width - 1):
            at = side * width + far
            sign, behind = table[:, at], table[:, at + 1]
            swallows, marked = _LIGATURES[sign, behind], (behind == BEYOND) & (sign > APART)
            chosen = marked | (swallows if far else swallows & ~begun[:, 0])
            other, also = table[chosen], begun[chosen]
            other[:, at : (side + 1) * width] = BEYOND
            also[:, side] |= far == 0
            tables.append(other)
            all_begun.append(also)
        table, begun = np.concatenate(tables), np.concatenate(all_begun)
    return [*table.T[: width - 1], *table.T[width:-1]]


def _key(signs: list[Any]) -> Any:
    """Return a hash of the signs beside some spaces."""
    key = np.zeros(len(signs[0]), np.uint32)
    for sign in signs:
        key = (key ^ sign) * np.uint32(2654435761)
        key ^= key >> np.uint32(15)
    return key & np.uint32((1 << _KEY_BITS) - 1)


class Search:
    """Reads records once: counts those that say one of some names, and looks for near copies; many texts at once.

    Args:
        names: as people wrote them.
        near: near copies of some texts; it keeps what it finds.
    """

    def __init__(self, names: Iterable[str], near: Near | None = None) -> None:
        self._names = Names(names)
        self._near = near if near is not None else Near()
        self._waiting: list[Any] = []
        self._found = 0

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._names) or bool(self._near)

    def add(self, texts: Any) -> None:
        """Take the texts of some records, a chunked array."""
        if self:
            self._waiting += [chunk.slice(at, _ROWS) for chunk in texts.chunks for at in range(0, len(chunk), _ROWS)]
            if sum(map(len, self._waiting)) >= _ROWS:
                self._search()

    def found(self) -> int:
        """Return how many say one."""
        self._search()
        return self._found

    def _search(self) -> None:
        if not self._waiting:
            return
        texts = pa.concat_arrays(self._waiting)
        spaced = Spaced.of(texts)
        if self._names:
            self._found += self._names.said_at(texts, spaced)
        if self._near:
            self._near.look(texts, spaced)
        self._waiting = []


def saying_names(names: Iterable[str], paths: Iterable[Path], near: Near | None = None) -> int:
    """Return how many records of some slices say one of some names; look for near copies in the same reading."""
    search = Search(names, near)
    for path in paths if search else ():
        search.add(pq.ParquetFile(path, pre_buffer=False).read(columns=["text"], use_threads=False)["text"])
    return search.found()
