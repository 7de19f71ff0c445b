"""Names that no text may hold: whose they are, and which records of a corpus say one (TPD-03).

Names have no index on purpose: it would be one of everybody who was ever mentioned. Records are read for them, many
texts in one search.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.corpus.manifest import read_manifest
from demur.corpus.redact_names import name_finder
from demur.lineage import Suppressed
from demur.store import KeyRing, digest_json

_TOGETHER = 32
"""Texts searched as one; only where that finds something each is looked at."""
_BETWEEN = " \uffff "


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


def mentioning(corpus: Path, standing: Path, *, mentions: bool, keys: KeyRing) -> Any:
    """Return the ids of the records whose text another set of names may have changed.

    Those that say the name of somebody who objected by now, that had a name taken out (whose objection may be over),
    and, if the suppressed words are others than before, those that hold one now or had one taken out.

    Args:
        corpus: the corpus before.
        standing: folder of the people tables.
        mentions: names of people who objected are taken out of texts.
        keys: the key ring.
    """
    names = objector_names(standing) if mentions else []
    stored = suppressed_words(standing)
    other = digest_json(stored) != read_manifest(corpus).inputs.get("suppressed_words")
    cut = Suppressed(stored if other else (), keys.secret("suppression"))
    marks = "<NAME>|<HANDLE>" if other else "<NAME>"
    found = []
    for table in _records(corpus):
        texts = table["text"]
        hits = pc.or_(pc.match_substring_regex(texts, marks), saying(texts, names))
        if cut:
            hits = pc.or_(hits, pc.not_equal(pa.array(cut.cut(texts.to_pylist()), pa.string()), texts))
        found.append(table["record_id"].filter(hits))
    return pa.concat_arrays([pa.array([], pa.string()), *found])


def saying(texts: Any, names: Sequence[str]) -> Any:
    """Say which texts hold one of the names; an Arrow boolean array."""
    found = np.zeros(len(texts), bool)
    finder = name_finder(names)
    if finder is not None:
        strings = texts.to_pylist()
        joined = [_BETWEEN.join(strings[at : at + _TOGETHER]) for at in range(0, len(strings), _TOGETHER)]
        for piece in np.flatnonzero(finder.rows(pa.array(joined, pa.string()))).tolist():
            for row in range(piece * _TOGETHER, min((piece + 1) * _TOGETHER, len(strings))):
                found[row] = bool(finder.spans(strings[row]))
    return pa.array(found)


def _records(corpus: Path) -> Iterator[Any]:
    for one in read_manifest(corpus).slices:
        if one.records:
            table = pq.read_table(corpus / one.path, columns=["record_id", "text"], use_threads=False)
            yield table.combine_chunks().to_batches()[0]
