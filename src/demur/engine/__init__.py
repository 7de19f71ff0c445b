"""The one narrow interface to the columnar engine (Daft, EVIDENCE §5). No other module imports daft.

For: policy and corpus, which compile their rules to columns. In: Parquet files, Arrow tables, expressions.
Out: Parquet files. May touch: the disk. May not: know what a rule, an item or a person is.

The engine runs lazily; ``write`` is the only place where work happens. An engine with the same five words could
replace it: ``scan``, ``table``, ``col``/``lit``/``when``, ``write``, ``collect``. Read first: ADR 1.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("DAFT_ANALYTICS_ENABLED", "0")
os.environ.setdefault("DAFT_PROGRESS_BAR", "0")
os.environ.setdefault("DO_NOT_TRACK", "1")

import daft
from daft import DataType, col, lit
from daft.functions import when

Frame = daft.DataFrame
Expr = daft.Expression

# In this process (ADR 1), always: left to itself the engine loads Ray to see whether it should run there, which costs
# more than deciding ten thousand items.
daft.set_runner_native()

__all__ = ["DataType", "Expr", "Frame", "col", "collect", "lit", "scan", "table", "when", "write"]


def scan(files: Sequence[Path]) -> Any:
    """Return a lazy frame over Parquet files of one schema."""
    return daft.read_parquet([str(file) for file in files])


def table(arrow: Any) -> Any:
    """Return a lazy frame over an Arrow table."""
    return daft.from_arrow(arrow)


def write(frame: Any, folder: Path) -> list[Path]:
    """Run a frame and write it as Parquet parts into an empty folder; the caller commits (store.commit_record).

    Returns:
        The parts, sorted by name. Their number and order mean nothing: consumers must not depend on them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(str(folder), compression="zstd")
    return sorted(folder.glob("*.parquet"))


def collect(frame: Any) -> Any:
    """Run a frame and return it as one Arrow table; for results known to be small."""
    return frame.to_arrow()
