"""Many rows handed to one statement: a JSON list on SQLite, arrays on PostgreSQL. Knows no table.

One statement for a thousand rows is one step of the database: it runs beside Python, not turn by turn with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

DIGEST_BYTES = 32


class Handed:
    """A relation ``g`` that a statement may join.

    Args:
        columns: name → type: ``bigint``, ``text`` or ``digest`` (32 bytes; the last one), in the order of a row.
    """

    def __init__(self, **columns: str) -> None:
        self._columns = columns

    def sql(self, *, postgresql: bool) -> str:
        """Return the relation to stand behind FROM or JOIN; its name is ``g``."""
        names = ", ".join(self._columns)
        if postgresql:
            types = {"bigint": "bigint[]", "text": "text[]", "digest": "bytea[]"}
            arrays = ", ".join(f"CAST(:g_{name} AS {types[kind]})" for name, kind in self._columns.items())
            return f"unnest({arrays}) AS g({names})"
        reads = [
            f"substr(:g_{name}, {DIGEST_BYTES} * key + 1, {DIGEST_BYTES}) AS {name}"
            if kind == "digest"
            else f"json_extract(value, '$[{place}]') AS {name}"
            for place, (name, kind) in enumerate(self._columns.items())
        ]
        return f"(SELECT {', '.join(reads)} FROM json_each(:g_rows)) AS g"  # noqa: S608  (names of our own columns)

    def bind(self, rows: Sequence[Sequence[Any]], *, postgresql: bool) -> dict[str, Any]:
        """Return the parameters that carry the rows."""
        if postgresql:
            return {f"g_{name}": [row[place] for row in rows] for place, name in enumerate(self._columns)}
        digest = next((name for name, kind in self._columns.items() if kind == "digest"), None)
        if digest is None:
            return {"g_rows": orjson.dumps(rows).decode()}
        plain = orjson.dumps([row[:-1] for row in rows]).decode()
        return {"g_rows": plain, f"g_{digest}": b"".join([row[-1] for row in rows])}
