"""Names that no text may hold: whose they are, and which records of a corpus say one (TPD-03).

Names have no index on purpose: it would be one of everybody who was ever mentioned. Records are read for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.corpus.manifest import read_manifest
from demur.corpus.measures import Before
from demur.corpus.redact_fold import RUN, WordSieve, apart, folded
from demur.corpus.redact_names import Names, name_finder
from demur.lineage import Suppressed
from demur.store import KeyRing, digest_json

NAMES: Any = pa.schema([("name_hash", pa.string())])
"""Keyed: the next build asks whether a name is new, and nobody needs to read one."""


def objector_names(standing: Path) -> list[str]:
    """Return every display name, now or before, of people with an objection in force, sorted."""
    people = pq.read_table(standing / "standing.parquet", columns=["person_id", "objected"])
    objectors = people.filter(people["objected"])["person_id"].combine_chunks()
    accounts = pq.read_table(standing / "accounts.parquet", columns=["person_id", "names"])
    found = accounts.filter(pc.is_in(accounts["person_id"], objectors))["names"].to_pylist()
    return sorted({name.strip() for names in found for name in names or [] if name and len(name.split()) >= 2})


def suppressed_words(standing: Path) -> list[str]:
    """Return the keyed hashes of what other people had taken out of everybody's texts, sorted."""
    stored: list[str] = pq.read_table(standing / "suppressed_words.parquet")["identifier_hash"].to_pylist()
    return sorted(set(stored))


def words_digest(standing: Path) -> str:
    """Return a digest of the suppressed words; it stands in the manifest."""
    return digest_json(suppressed_words(standing))


def mentioning(
    corpus: Path,
    standing: Path,
    *,
    fresh: list[str],
    over: bool,
    masked: bool,
    earlier: Before,
    keys: KeyRing,
) -> Any:
    """Return the ids of the records whose text another set of names may have changed.

    Those that say a name that is new; those that had a name taken out, if an objection is over, or if what is left of
    them says a word of a new name (which may begin or end in the one that was taken out); and, if the suppressed words
    are others than before, those that hold one now or had one taken out. With the same names and words: none, and
    nothing is read.

    Args:
        corpus: the corpus before.
        standing: folder of the people tables.
        fresh: names that are looked for now and were not when it was built.
        over: some that were looked for then are not any more.
        masked: what is taken out leaves its type in angle brackets.
        earlier: its sealed files.
        keys: the key ring.
    """
    stored = suppressed_words(standing)
    other = digest_json(stored) != read_manifest(corpus).inputs.get("suppressed_words")
    found = [pa.array([], pa.string())]
    if not (fresh or over or other):
        return found[0]
    cut = Suppressed(stored if other else (), keys.secret("suppression"))
    finder, beside = name_finder(fresh), None if over or other else _Beside.of(fresh)
    for path in (corpus / one.path for one in read_manifest(corpus).slices if one.records):
        texts = _column(path, "text")
        hits = pc.or_(saying(texts, finder, wide=True), _cut(texts, beside))
        if cut:
            hits = pc.or_(hits, pc.not_equal(pa.array(cut.cut(texts.to_pylist()), pa.string()), texts))
        if pc.any(hits).as_py():
            found.append(_column(path, "record_id").filter(hits))
    for _, fates in () if masked else earlier.rows("fates", range(earlier.parts)):
        spans = fates["spans"].combine_chunks()
        rows = pc.list_parent_indices(spans).filter(pc.equal(pc.struct_field(pc.list_flatten(spans), "kind"), "NAME"))
        found.append(fates["record_id"].combine_chunks().take(pc.unique(rows)).drop_null())
    return pa.concat_arrays(found)


@dataclass(frozen=True, slots=True)
class _Beside:
    """The words of new names, which may begin or end in what was taken out."""

    words: frozenset[str]
    sieve: WordSieve
    is_part: Callable[[str], bool]
    """Says whether a word may be one of them in another case."""

    @classmethod
    def of(cls, names: list[str]) -> _Beside:
        """Return those of some names."""
        finder = name_finder(names)
        words = {word for name in finder.spelled for word in RUN.findall(name)} if finder else set()
        words |= {f"{word}s" for word in words}
        if finder is None:
            return cls(frozenset(), WordSieve((), ()), words.__contains__)
        sieve = WordSieve((), words, finder.cases.stems, finder.cases.short)
        return cls(frozenset(words), sieve, finder.cases.is_part)


def _cut(texts: Any, beside: _Beside | None) -> Any:
    """Say which texts had something taken out that another set of names may bring back, or may take out otherwise.

    Args:
        texts: Arrow string array without nulls.
        beside: only where one of these words is left.
    """
    hits = pc.match_substring_regex(texts, "<NAME>|<HANDLE>")
    if beside is None:
        return hits
    found = np.zeros(len(texts), bool)
    rows = np.flatnonzero(hits.to_numpy(zero_copy_only=False))
    for row in rows[beside.sieve.rows(texts.take(pa.array(rows)))].tolist():
        text = texts[row].as_py()
        runs = {*RUN.findall(folded(text)), *RUN.findall(apart(text))}
        found[row] = not beside.words.isdisjoint(runs) or any(map(beside.is_part, runs))
    names = pc.match_substring(texts.take(pa.array(rows)), "<NAME>").to_numpy(zero_copy_only=False)
    for row in rows[names].tolist():
        found[row] |= _TOUCHING.search(texts[row].as_py()) is not None
    return pa.array(found)


_TOUCHING = re.compile(r"<NAME>(?:[^\w<]|_)*<(?:NAME|HANDLE)>|<HANDLE>(?:[^\w<]|_)*<NAME>")
"""A new name may begin in one that was taken out and end in the next one: no word of it is left."""


def saying(texts: Any, names: Names, *, wide: bool = False) -> Any:
    """Say which texts hold one of the names; an Arrow boolean array. ``wide`` as in ``NameFinder.spans``."""
    found = np.zeros(len(texts), bool)
    found[[row for row, *_ in said_in(texts, names, wide=wide)]] = True
    return pa.array(found)


def said_in(texts: Any, names: Names, *, wide: bool = False) -> Iterator[tuple[int, int, int]]:
    """Yield (text, start, end) of the first of the names in each text that holds one."""
    finder = name_finder(names)
    if finder is None:
        return
    for row in np.flatnonzero(finder.rows(texts)).tolist():
        for start, end, _ in finder.spans(texts[row].as_py(), wide=wide)[:1]:
            yield row, start, end


def _column(path: Path, name: str) -> Any:
    return pq.ParquetFile(path, pre_buffer=False).read(columns=[name], use_threads=False)[name].combine_chunks()
