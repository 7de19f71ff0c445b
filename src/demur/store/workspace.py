"""Where everything of one installation lies. One folder; nothing outside it is written."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from demur.errors import RefusedError
from demur.store.keys import KeyRing

URL_VARIABLE = "DEMUR_REGISTRY_URL"
"""Environment variable that names one database for all rooms."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders of a workspace (``demur --home``).

    source/items, source/people   imported tables (Parquet parts)      quarantine/  what could not be read
    registry.db                   people, notices, objections, holds   keys/        secrets
    notice.db                     campaigns, deliveries, letters       site.toml    who runs this site
    requests.db                   third parties' requests              access.db    staff, sessions
    policies/                     policy files in force                ledger/      the tile log
    corpora/<corpus id>/          built corpora                        models/<model id>/  trained models
    erasures/<erasure id>/        plans, certificates                  work/        intermediate files, disposable
    media/                        files of items, by the paths that they came with (laid or linked there)
    decided/<name>/               what the next erasure's decisions stand on, sealed; may be removed
    exports/<number>/             what left the house, who got it, and what became of it
    media_builds/<corpus id>/     media records of a corpus             media_builds/cache/  clean files by digest
    """

    root: Path
    seed: bytes | None = None
    """Only for made-up worlds: see KeyRing."""

    def database_url(self, room: str) -> str:
        """SQLAlchemy URL of a room's tables: DEMUR_REGISTRY_URL for all rooms together, or an SQLite file for each.

        A file of its own for each room, so that a campaign that writes thousands of rows a second never makes an
        objection wait for SQLite's one writer.
        """
        return os.environ.get(URL_VARIABLE, f"sqlite:///{self.root / room}.db")

    @property
    def registry_url(self) -> str:
        """SQLAlchemy URL of the registry."""
        return self.database_url("registry")

    @property
    def source(self) -> Path:
        """Imported tables."""
        return self.root / "source"

    @property
    def quarantine(self) -> Path:
        """What could not be read."""
        return self.root / "quarantine"

    @property
    def policies(self) -> Path:
        """Policy files in force."""
        return self.root / "policies"

    @property
    def corpora(self) -> Path:
        """Built corpora."""
        return self.root / "corpora"

    @property
    def media(self) -> Path:
        """Files of items by the paths that they came with."""
        return self.root / "media"

    @property
    def media_builds(self) -> Path:
        """Media records of corpora, and the cache that they are made from."""
        return self.root / "media_builds"

    @property
    def models(self) -> Path:
        """Trained models and frozen bases."""
        return self.root / "models"

    @property
    def erasures(self) -> Path:
        """Plans, certificates and destruction logs."""
        return self.root / "erasures"

    @property
    def ledger(self) -> Path:
        """The tile log."""
        return self.root / "ledger"

    @property
    def work(self) -> Path:
        """Intermediate files; may be removed whenever nothing runs."""
        return self.root / "work"

    @property
    def keys(self) -> KeyRing:
        """The key ring."""
        return KeyRing(self.root / "keys", seed=self.seed)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the workspace's one writer lock; freed by the system when the process dies.

        Raises:
            RefusedError: another command of demur is writing here.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RefusedError(f"another demur command is writing in {self.root}; wait for it to end") from error
            yield
