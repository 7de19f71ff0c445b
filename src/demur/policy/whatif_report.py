"""What another policy would change: items, people and words gained and lost, by country, language and kind (JUR-06).

Both policies are really run, in a folder that the caller gives, so the figures are those of a real build; nothing else
is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.clock import iso
from demur.policy.coded import Numbers
from demur.policy.columns import CHUNK, decide_table
from demur.store import read_commit, write_json
from demur.store.stage import run_stage
from demur.terms.policy import Policy

Count = Callable[[Any], Numbers]
"""From a text column to a number of tokens for each."""

_AXES = ("country", "language", "kind")
_SUMS = ("items", "words", "characters", "tokens")
UNKNOWN = "unknown"


def whatif(
    before: str | Policy,
    after: str | Policy,
    *,
    items: Sequence[str],
    standing: str,
    as_of: str | datetime,
    folder: Path,
    known_at: str | datetime | None = None,
    out: Path | None = None,
    count_tokens: Count | None = None,
) -> dict[str, Any]:
    """Return what changes when ``after`` replaces ``before``.

    Args:
        before: path or name of the policy in force, or a policy.
        after: the other one.
        items: Parquet parts of a snapshot.
        standing: folder of the exported standing.
        as_of: instant of both decisions.
        folder: an empty one for the decisions; they hold persons in clear, and whoever gave it removes it.
        known_at: instant up to which restrictions count; ``None`` = ``as_of``.
        out: file that gets the report as JSON; ``None`` = none.
        count_tokens: a tokenizer's count; ``None`` = no tokens are reported, only words and characters.

    Returns:
        ``before`` and ``after`` (facts of the two runs), ``gained`` and ``lost`` (items, people, words, characters),
        and the same by country, language and kind. People are those with at least one item gained (lost).
    """
    call = {"items": list(items), "standing": standing, "as_of": _text(as_of), "known_at": _text(known_at)}
    folders = [folder / "before", folder / "after"]
    runs = [_run(place, policy, call) for place, policy in zip(folders, (before, after), strict=True)]
    report = {"before": runs[0], "after": runs[1], **_report(_changed(items, folders, count_tokens))}
    if out is not None:
        write_json(out, report)
    return report


def _text(instant: str | datetime | None) -> str | None:
    return iso(instant) if isinstance(instant, datetime) else instant


def _run(folder: Path, policy: str | Policy, call: dict[str, Any]) -> dict[str, Any]:
    if isinstance(policy, str):
        found = run_stage("demur.policy.columns:decide_table", folder, {**call, "policy": policy})
    else:
        decide_table(folder, policy=policy, **call)
        found = read_commit(folder) or {}
    return {key: value for key, value in found.items() if key not in {"call", "parts"}}


def _changed(items: Sequence[str], folders: list[Path], count: Count | None) -> Any:
    """Return one row for each direction, country, language, kind and person, with the sums over changed items."""
    was, now = (_decisions(folder) for folder in folders)
    changed = pc.not_equal(was["allowed"], now["allowed"]).combine_chunks()
    now = now.filter(changed)
    pieces, begin, taken = [], 0, 0
    for path in items:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=CHUNK // 4, columns=["language", "text"]):
                kept = batch.filter(changed.slice(begin, len(batch)))
                pieces.append(_piece(kept, now.slice(taken, len(kept)), count))
                begin, taken = begin + len(batch), taken + len(kept)
    sums = [(name, "sum") for name in _SUMS]
    keys = ["gained", *_AXES, "person"]
    found = pa.concat_tables(pieces) if pieces else _EMPTY
    return found.group_by(keys, use_threads=False).aggregate(sums).rename_columns([*keys, *_SUMS])


def _decisions(folder: Path) -> Any:
    """Return the decisions in the order of the items."""
    return pq.read_table(sorted(folder.glob("part-*.parquet")), columns=["allowed", "country", "kind", "person_id"])


_EMPTY = pa.table(
    {"gained": pa.array([], pa.bool_())}
    | {name: pa.array([], pa.string()) for name in (*_AXES, "person")}
    | {name: pa.array([], pa.int64()) for name in _SUMS}
)


def _piece(batch: Any, now: Any, count: Count | None) -> Any:
    text = pc.fill_null(batch.column("text"), "")
    words = pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(text)))
    words = pc.if_else(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(text)), 0), 0, words)
    tokens = np.zeros(len(text), np.int64) if count is None else count(text)
    return pa.table(
        {
            "gained": now["allowed"],
            "country": pc.fill_null(now["country"], UNKNOWN),
            "language": pc.fill_null(batch.column("language"), UNKNOWN),
            "kind": now["kind"],
            "person": pc.fill_null(now["person_id"], UNKNOWN),
            "items": pa.array(np.ones(len(text), np.int64)),
            "words": words.cast(pa.int64()),
            "characters": pc.utf8_length(text).cast(pa.int64()),
            "tokens": pa.array(tokens, pa.int64()),
        },
        schema=_EMPTY.schema,
    )


def _report(changed: Any) -> dict[str, Any]:
    report: dict[str, Any] = {}
    for direction, gained in (("gained", True), ("lost", False)):
        report[direction] = _sums(changed.filter(pc.equal(changed["gained"], gained)))
    for axis in _AXES:
        names = sorted(set(changed[axis].to_pylist()))
        report[f"by_{axis}"] = {name: _both(changed.filter(pc.equal(changed[axis], name))) for name in names}
    return report


def _both(part: Any) -> dict[str, Any]:
    return {
        direction: _sums(part.filter(pc.equal(part["gained"], gained)))
        for direction, gained in (("gained", True), ("lost", False))
    }


def _sums(part: Any) -> dict[str, int]:
    totals = {name: int(pc.sum(part[name]).as_py() or 0) for name in _SUMS}
    return {"people": int(pc.count_distinct(part["person"]).as_py()), **totals}
