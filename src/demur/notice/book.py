"""The notice room's database: opened once, migrated, handed to everything in the room."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from demur.notice.schema import BATCHES, DELIVERIES, LETTERS
from demur.store.database import Database, floor_of


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

    def leap(self, at: datetime) -> None:
        """Let numbers follow the clock: none that was mailed before a restore is given out again."""
        self.database.leap([DELIVERIES, BATCHES, LETTERS], floor_of(at))

    def close(self) -> None:
        """Give all connections back."""
        self.database.close()
