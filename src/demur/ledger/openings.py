"""The private half of the ledger: salts, facts and natural keys, in one SQLite file apart from the public log.

Deleted cells are overwritten by SQLite (``secure_delete``); file level only, nothing is said about disk blocks or
backups. Not handled here: commitments, the public log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from demur.errors import OutsideError

Row = tuple[int, bytes, bytes, bytes]
"""Index, digest of the natural key, salt, canonical facts."""

_REFUSED = "cannot write the ledger's openings; free space on the disk and run the same command again, nothing is lost"


class Openings:
    """The openings of one ledger.

    Args:
        path: the SQLite file; made on first use.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._base = sqlite3.connect(path, isolation_level=None, timeout=60, check_same_thread=False)
        for pragma in ("journal_mode=DELETE", "synchronous=FULL", "secure_delete=ON"):
            self._base.execute(f"PRAGMA {pragma}").fetchall()
        self._base.execute("CREATE TABLE IF NOT EXISTS openings (position INTEGER PRIMARY KEY, salt BLOB, facts BLOB)")
        self._base.execute(
            "CREATE TABLE IF NOT EXISTS events (natural BLOB PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID"
        )

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def drop_from(self, size: int) -> None:
        """Forget openings of entries that were never published (a killed append)."""
        with self._transaction():
            self._base.execute("DELETE FROM openings WHERE position >= ?", (size,))
            self._base.execute("DELETE FROM events WHERE position >= ?", (size,))

    def known(self, natural: bytes) -> int | None:
        """Return the index of an event that is in the ledger already."""
        found = self._base.execute("SELECT position FROM events WHERE natural = ?", (natural,)).fetchone()
        return None if found is None else int(found[0])

    def add_all_new(self, rows: Sequence[Row]) -> bool:
        """Store openings durably in one transaction if every natural key is new; otherwise store none."""
        try:
            with self._transaction():
                events = sorted((natural, position) for position, natural, _, _ in rows)  # in key order: 4× as fast
                self._base.executemany("INSERT INTO events VALUES (?, ?)", events)
                self._base.executemany("INSERT INTO openings VALUES (?, ?, ?)", [(row[0], *row[2:]) for row in rows])
        except sqlite3.IntegrityError:
            return False
        return True

    def get(self, position: int) -> tuple[bytes, bytes] | None:
        """Return (salt, canonical facts) of an entry; ``None`` once they are erased."""
        found = self._base.execute("SELECT salt, facts FROM openings WHERE position = ?", (position,)).fetchone()
        return None if found is None or found[0] is None else (found[0], found[1])

    def erase(self, position: int) -> bool:
        """Erase salt and facts of an entry; say whether there was something to erase."""
        done = self._base.execute(
            "UPDATE openings SET salt = NULL, facts = NULL WHERE position = ? AND salt IS NOT NULL", (position,)
        )
        return done.rowcount > 0

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._base.execute("BEGIN IMMEDIATE")
            yield
            self._base.execute("COMMIT")
        except BaseException as error:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise OutsideError(_REFUSED) from error
            raise
