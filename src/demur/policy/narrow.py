"""Two readings of one snapshot, as known earlier and as known later: an item stays only if both allow it (ADR 2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.policy.coded import Numbers
from demur.store import commit_record, read_commit, write_table
from demur.terms.reasons import BIT, Reason, reasons_of
from demur.terms.tables import DECISIONS

BOTH = "decisions"
"""Folder of what both readings say."""
LATER = "later.parquet"
"""The reasons of the later reading alone, in the same order."""


def narrow(folder: Path, *, earlier: str, later: str) -> None:
    """Write the decisions of ``earlier`` with the reasons of ``later`` added; a stage for ``store.stage.run_stage``.

    An item that the later snapshot no longer has counts as deleted. Items that only the later one has are not added.

    Args:
        folder: empty; gets DECISIONS parts in ``decisions/``, the later reading's reasons and the commit record.
        earlier: folder of DECISIONS as known at the first build.
        later: folder of DECISIONS as known now.
    """
    now = pa.concat_tables([pq.read_table(path, columns=["item_id", "reason_bits"]) for path in parts_of(later)])
    known = now["item_id"].combine_chunks()
    bits = np.append(now["reason_bits"].to_numpy(), BIT[Reason.DELETED])

    def found(table: Any, _begin: int) -> Numbers:
        place = pc.index_in(table["item_id"].combine_chunks(), known).fill_null(len(known)).to_numpy()
        reasons: Numbers = bits[place]
        return reasons

    write_both(folder, earlier, found)


def write_both(folder: Path, earlier: str, later: Callable[[Any, int], Numbers]) -> None:
    """Write the decisions of an earlier reading with the reasons of a later one added, and commit.

    Args:
        folder: where to.
        earlier: folder of DECISIONS.
        later: asked for the masks of each part and the number of its first item.
    """
    primary, every = Counter[str](), Counter[str]()
    items = allowed = 0
    added: list[Numbers] = []
    for number, path in enumerate(parts_of(earlier)):
        table = pq.read_table(path)
        added.append(later(table, items))
        mask = table["reason_bits"].to_numpy() | added[-1]
        write_table(folder / BOTH / f"part-{number:05d}.parquet", _with_reasons(table, mask))
        items += len(mask)
        allowed += int((mask == 0).sum())
        for value, count in zip(*np.unique(mask, return_counts=True), strict=True):
            reasons = reasons_of(int(value))
            for reason in reasons:
                every[reason.value] += int(count)
            if reasons:
                primary[reasons[0].value] += int(count)
    write_table(folder / LATER, pa.table({"reason_bits": np.concatenate(added)}))
    first = {key: value for key, value in (read_commit(Path(earlier)) or {}).items() if key not in ("call", "parts")}
    counts = {"by_primary": dict(primary), "by_reason": dict(every)}
    commit_record(folder, {**first, "items": items, "allowed": allowed, **counts})


def parts_of(folder: str) -> list[Path]:
    """Return the parts of decisions, in their order."""
    return sorted(Path(folder).glob("part-*.parquet"))


def _with_reasons(table: Any, mask: Any) -> Any:
    """Return the table with mask, verdict and codes set anew; codes are made once for each different mask."""
    values, place = np.unique(mask, return_inverse=True)
    codes = pa.array([[reason.value for reason in reasons_of(int(value))] for value in values], pa.list_(pa.string()))
    primary = pa.array([(reasons_of(int(value)) or (None,))[0] for value in values], pa.string())
    columns = {name: table[name] for name in table.column_names}
    columns["allowed"] = pa.array(mask == 0)
    columns["reason_bits"] = pa.array(mask)
    columns["reasons"] = codes.take(pa.array(place))
    columns["primary_reason"] = primary.take(pa.array(place))
    return pa.table(columns).select(DECISIONS.names).cast(DECISIONS)
