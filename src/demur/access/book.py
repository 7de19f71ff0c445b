"""The access room's database: opened once, migrated, with the parts that work on it."""

from __future__ import annotations

from pathlib import Path

from demur.access.audit import Audit
from demur.access.proposals import Proposals
from demur.access.sessions import Sessions
from demur.access.staff import StaffAccounts
from demur.store.database import Database


class AccessBook:
    """Staff accounts, sessions of staff and members, proposals for two people, the audit trail.

    Args:
        url: ``workspace.database_url("access")``.
        key: 32 bytes under which failed logins are counted (``keys.secret("attempts")``).
    """

    def __init__(self, url: str, key: bytes) -> None:
        self.database = Database(url)
        self.sessions = Sessions(self.database)
        self.staff = StaffAccounts(self.database, key)
        self.proposals = Proposals(self.database)
        self.audit = Audit(self.database)

    def migrate(self) -> None:
        """Bring the schema to this version."""
        self.database.migrate(Path(__file__).parent / "migrations", "access_version")

    def close(self) -> None:
        """Give all connections back."""
        self.database.close()
