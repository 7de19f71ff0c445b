"""The notice room's database: opened once, migrated, handed to everything in the room."""

from __future__ import annotations

from pathlib import Path

from demur.store.database import Database


class NoticeBook:
    """Campaigns, deliveries, letters.

    Args:
        url: ``workspace.database_url("notice")``.
    """

    def __init__(self, url: str) -> None:
        self.database = Database(url)

    def migrate(self) -> None:
        """Bring the schema to this version."""
        self.database.migrate(Path(__file__).parent / "migrations", "notice_version")

    def close(self) -> None:
        """Give all connections back."""
        self.database.close()
