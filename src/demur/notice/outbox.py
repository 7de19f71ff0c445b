"""The file outbox: every mail is one ``.eml`` file. The embedded default, where no relay is configured."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from demur.errors import OutsideError
from demur.notice.channels import OUTBOX, Surroundings
from demur.store.files import write_bytes
from demur.terms.notice import Outcome, Outgoing, Result


class Outbox:
    """Writes ``<what>-<number>-<attempt>.eml``, whole or not at all, a folder for each thousand.

    Args:
        around: names the folder.
    """

    name = OUTBOX

    def __init__(self, around: Surroundings) -> None:
        self._folder = around.outbox

    async def open(self) -> None:
        """Make the folder."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Result]:
        """Write the mails; a full disk defers what is left."""
        for mail in batch:
            try:
                await asyncio.to_thread(write_bytes, self.path(mail), mail.message)
            except OutsideError:
                yield Result(mail.number, mail.attempt, Outcome.DEFERRED, "4.3.1")  # RFC 3463: system full
            else:
                yield Result(mail.number, mail.attempt, Outcome.ACCEPTED, "file")

    def path(self, mail: Outgoing) -> Path:
        """Return where a mail lies; the first sign of its return path says whether it is a notice or a letter."""
        what = mail.return_path[:1] or "b"
        return self._folder / f"{what}{mail.number // 1000:06d}" / f"{what}-{mail.number}-{mail.attempt}.eml"

    async def close(self) -> None:
        """Nothing is kept open."""
