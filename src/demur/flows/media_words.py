"""What stands in pictures or is said in voices: names that no text may hold, and texts that somebody protected.

A screenshot of a protected post is a copy of it (COR-05). It has other words around it, and letters are misread: what
counts is how much of the protected text is in the picture, in runs of three words, not how much the two are alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.clock import parse
from demur.corpus.build import protecting
from demur.corpus.mentions import objector_names, saying, suppressed_words
from demur.corpus.similarity import words
from demur.flows.parts import Parts, kept_policy
from demur.lineage import SealedFile, Suppressed
from demur.terms.manifests import CorpusManifest
from demur.terms.policy import ThirdPartyScope

RUN = 3
"""Words of a run."""
SHARE = 0.5
"""Of a protected text's runs that a picture must hold to be a copy of it."""


def naming(parts: Parts, manifest: CorpusManifest, work: Path, texts: Sequence[str]) -> list[bool]:
    """Say which texts name somebody who objected, or what no text may hold (TPD-03).

    Args:
        parts: the workspace.
        manifest: of the corpus.
        work: folder for the people tables.
        texts: what was read in pictures or heard; empty = nothing.
    """
    if not any(texts):
        return [False] * len(texts)
    inputs = manifest.inputs
    _, policy = kept_policy(parts.workspace, inputs["policy"])
    parts.registry.export(
        work / "standing",
        as_of=parse(inputs["as_of"]),
        known_at=parse(inputs["narrowed_at"]),
        base_known_at=parse(inputs["known_at"]),
        grace_months=policy.grace_months,
        purpose=policy.purpose,
    )
    mentions = policy.third_party_scope is ThirdPartyScope.COPIES_AND_MENTIONS
    names = objector_names(work / "standing") if mentions else []
    cut = Suppressed(suppressed_words(work / "standing"), parts.keys.secret("suppression"))
    found = saying(pa.array(texts, pa.string()), names).to_pylist()
    left = cut.cut(texts) if cut else texts
    return [hit or text != now for hit, text, now in zip(found, texts, left, strict=True)]


def showing(parts: Parts, corpus: Path, manifest: CorpusManifest, items: Path, texts: Sequence[str]) -> list[bool]:
    """Say which texts hold a protected one, or most of it.

    Args:
        parts: the workspace.
        corpus: its folder.
        manifest: of the corpus.
        items: folder of the snapshot's items.
        texts: what was read in pictures or heard; empty = nothing.
    """
    if not any(texts):
        return [False] * len(texts)
    _, policy = kept_policy(parts.workspace, manifest.inputs["policy"])
    mask = protecting(policy.third_party_scope)
    sealed = SealedFile(corpus / "sealed" / "fates.sealed", "fates", secret=parts.keys.secret("lineage"))
    ids = pa.concat_arrays([pa.array([], pa.string()), *(_protected(table, mask) for table in sealed.all())])
    return holding(texts, _texts(items, ids), least=policy.copy_min_words)


def holding(texts: Sequence[str], protected: Iterable[str], *, least: int) -> list[bool]:
    """Say which texts hold at least half of a protected one of ``least`` words or more.

    >>> post = "we cooked potatoes with butter and garlic"
    >>> holding(["Ana, 10:15 " + post + " 3 likes", "we cooked potatoes"], [post], least=5)
    [True, False]
    """
    index: dict[tuple[str, ...], list[int]] = {}
    for row, text in enumerate(texts):
        for run in _runs(words(text)):
            index.setdefault(run, []).append(row)
    found = [False] * len(texts)
    for text in protected:
        said = words(text)
        runs = _runs(said) if len(said) >= max(least, RUN) else frozenset()
        met = Counter(row for run in runs for row in index.get(run, ()))
        for row, shared in met.items():
            found[row] |= shared >= SHARE * len(runs)
    return found


def _runs(said: Sequence[str]) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(said[at : at + RUN]) for at in range(len(said) - RUN + 1))


def _protected(fates: Any, mask: int) -> Any:
    bits = pc.not_equal(pc.bit_wise_and(pc.fill_null(fates["reason_bits"], 0), mask), 0)
    found = fates["item_id"].filter(pc.and_(bits, pc.invert(pc.fill_null(fates["allowed"], fill_value=False))))
    return found.combine_chunks()


def _texts(items: Path, ids: Any) -> Iterator[str]:
    for part in sorted(items.glob("*.parquet")):
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(batch_size=16_384, columns=["item_id", "text"]):
                yield from batch["text"].filter(pc.is_in(batch["item_id"], ids)).drop_null().to_pylist()
