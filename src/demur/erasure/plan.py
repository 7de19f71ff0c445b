"""What an erasure will cost and touch, before anything is done: the difference of two manifests. Pure (SYSTEM §3).

Not handled here: building the corpus without the person, counting tokens, measuring the rate, doing anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from demur.errors import InputError, RefusedError
from demur.terms.manifests import CorpusManifest, ErasurePlan, SliceRef

TokenCounts = Mapping[SliceRef, int]
"""Tokens of one pass over each slice."""


@dataclass(frozen=True, slots=True)
class RecordDelta:
    """How many records go, change (redacted anew) and come (another copy becomes the representative)."""

    removed: int
    changed: int = 0
    added: int = 0


def plan(
    before: CorpusManifest,
    after: CorpusManifest,
    *,
    tokens: TokenCounts,
    tokens_per_second: float,
    persons: Iterable[str],
    records: RecordDelta,
    epochs: int = 1,
) -> ErasurePlan:
    """Compare the corpus that is with the corpus that should be; return what to train again.

    Args:
        before: the corpus that the model was trained on.
        after: the same recipe and source without what must go.
        tokens: tokens of one pass over each slice of ``after``; a slice that is not named counts as empty.
        tokens_per_second: rate measured when the model was trained.
        persons: blinded ids of the persons that leave.
        records: what happens to the records.
        epochs: passes over each slice.

    Raises:
        RefusedError: the two corpora were not made by one recipe from one source: their difference is no erasure.
        InputError: the rate or the number of epochs is not positive.
    """
    if not (tokens_per_second > 0 and epochs > 0):
        raise InputError("expected a positive rate of tokens a second and at least one epoch, found another number")
    _same_build(before, after)
    changed = changed_slices(before, after)
    replay = replay_slices(changed, _known_slices(before, after))
    read = epochs * sum(tokens.get(one, 0) for one in replay)
    return ErasurePlan(
        corpus_before=before.digest,
        corpus_after=after.digest,
        changed=changed,
        replay=replay,
        tokens=read,
        tokens_full=epochs * sum(tokens.values()),
        seconds=read / tokens_per_second,
        persons=tuple(sorted(set(persons))),
        records_removed=records.removed,
        records_changed=records.changed,
        records_added=records.added,
    )


def changed_slices(before: CorpusManifest, after: CorpusManifest) -> tuple[SliceRef, ...]:
    """Return the slices whose records differ, or that only one of the corpora has, in order."""
    old, new = _contents(before), _contents(after)
    return tuple(sorted((one for one in old.keys() | new.keys() if old.get(one) != new.get(one)), key=_order))


def replay_slices(changed: Iterable[SliceRef], known: Iterable[SliceRef]) -> tuple[SliceRef, ...]:
    """Return the slices to train again: in each changed shard the first changed slice and all after it."""
    first = first_touched(changed)
    wanted = {one for one in known if one.slice >= first.get((one.region, one.shard), math.inf)}
    return tuple(sorted(wanted, key=_order))


def first_touched(changed: Iterable[SliceRef]) -> dict[tuple[str, int], int]:
    """Return for each touched (region, shard) its first changed slice: the state before it never saw the person.

    A value of 0 means that no trained state is clean: the shard falls back to the base.
    """
    first: dict[tuple[str, int], int] = {}
    for one in sorted(changed, key=_order):
        first.setdefault((one.region, one.shard), one.slice)
    return first


def expected_cost(shards: int, slices: int, people: int = 1) -> float:
    """Return the expected share of full training that erasing some people costs (ERASURE §0.4).

    Args:
        shards: K, all equally large, people placed uniformly.
        slices: S in each shard.
        people: how many leave at once; 1 uses the exact formula, more the Poisson one with λ = people / K.

    >>> expected_cost(32, 8)
    0.017578125
    >>> round(expected_cost(32, 16, people=10), 3)
    0.15
    """
    if min(shards, slices, people) < 1:
        raise InputError("expected at least one shard, slice and person, found less")
    if people == 1:
        return (1 + 1 / slices) / (2 * shards)
    load = people / shards
    return sum(1 - math.exp(-load * position / slices) for position in range(1, slices + 1)) / slices


def render_plan(found: ErasurePlan, tokens: TokenCounts, *, epochs: int = 1) -> str:
    """Return the plan as text for ``--dry-run``: what is read again, shard by shard, and what it costs."""
    rate = found.tokens / found.seconds if found.seconds else 0.0
    rows = [("region", "shard", "slices", "tokens", "seconds")]
    for (region, shard), first in first_touched(found.changed).items():
        again = [one for one in found.replay if (one.region, one.shard) == (region, shard)]
        count = epochs * sum(tokens.get(one, 0) for one in again)
        seconds = f"{count / rate:.1f}" if rate else "0.0"
        last = max((one.slice for one in again), default=first)
        rows.append((region, str(shard), f"{first}-{last}", f"{count:,}", seconds))
    share = f" ({found.tokens / found.tokens_full:.1%})" if found.tokens_full else ""
    records = f"{found.records_removed} records go, {found.records_changed} change, {found.records_added} are added"
    work = f"{found.tokens:,} of {found.tokens_full:,} tokens{share}, about {found.seconds:.0f} s"
    lines = [
        f"{len(found.persons)} person(s) leave: {records}",
        f"{len(found.changed)} slice(s) changed; {len(found.replay)} to train again: {work}",
    ]
    return "\n".join([*lines, *(_table(rows) if found.changed else ["nothing to train again"])]) + "\n"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        f"  {row[0]:<{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]


def _order(one: SliceRef) -> tuple[str, int, int]:
    return one.region, one.shard, one.slice


def _contents(manifest: CorpusManifest) -> dict[SliceRef, str]:
    return {SliceRef(one.region, one.shard, one.slice): one.content_digest for one in manifest.slices}


def _known_slices(before: CorpusManifest, after: CorpusManifest) -> set[SliceRef]:
    """Return every slice of either corpus; where the recipe says how many slices a shard has, the empty ones too."""
    known = set(_contents(before)) | set(_contents(after))
    recipe = after.inputs.get("recipe") or {}
    count = int(recipe.get("slices", 0))
    return known | {SliceRef(one.region, one.shard, number) for one in known for number in range(count)}


def _same_build(before: CorpusManifest, after: CorpusManifest) -> None:
    faults = [
        f"{name} differs"
        for name in ("recipe", "source", "source_digest", "as_of", "purpose")
        if before.inputs.get(name) != after.inputs.get(name)
    ]
    if faults:
        raise RefusedError("expected two corpora of one recipe and one source, found others; build both alike", faults)
