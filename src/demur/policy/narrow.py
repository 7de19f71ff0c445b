"""Two readings of one snapshot, as known earlier and as known later: an item stays only if both allow it (ADR 2)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from demur.store import commit_record, read_commit, write_table
from demur.terms.reasons import BIT, Reason, reasons_of
from demur.terms.tables import DECISIONS


def narrow(folder: Path, *, earlier: str, later: str) -> None:
    """Write the decisions of ``earlier`` with the reasons of ``later`` added; a stage for ``store.stage.run_stage``.

    An item that the later snapshot no longer has counts as deleted. Items that only the later one has are not added.

    Args:
        folder: empty; gets DECISIONS parts and the commit record.
        earlier: folder of DECISIONS as known at the first build.
        later: folder of DECISIONS as known now.
    """
    from demur.engine import collect, scan

    now = collect(scan(_parts(later)).select("item_id", "reason_bits"))
    known = now["item_id"].combine_chunks()
    bits = np.append(now["reason_bits"].to_numpy(), BIT[Reason.DELETED])
    counts = {"by_primary": Counter[str](), "by_reason": Counter[str]()}
    items = allowed = 0
    for number, path in enumerate(_parts(earlier)):
        table = pq.read_table(path)
        place = pa.compute.index_in(table["item_id"].combine_chunks(), known).fill_null(len(known)).to_numpy()
        mask = table["reason_bits"].to_numpy() | bits[place]
        out = _with_reasons(table, mask)
        write_table(folder / f"part-{number:05d}.parquet", out)
        items += len(mask)
        allowed += int((mask == 0).sum())
        for value, count in zip(*np.unique(mask, return_counts=True), strict=True):
            reasons = reasons_of(int(value))
            for reason in reasons:
                counts["by_reason"][reason.value] += int(count)
            if reasons:
                counts["by_primary"][reasons[0].value] += int(count)
    first = {key: value for key, value in (read_commit(Path(earlier)) or {}).items() if key not in ("call", "parts")}
    commit_record(
        folder, {**first, "items": items, "allowed": allowed, **{name: dict(found) for name, found in counts.items()}}
    )


def _parts(folder: str) -> list[Path]:
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
