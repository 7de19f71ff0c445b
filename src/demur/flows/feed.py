"""The live feed: what a platform tells as it happens, kept durably at the door, read into the tables as import units.

A segment goes: marked in the queue, written as a file, read like any file (twice is once), people told to the registry,
removed. Killed anywhere, the same segment is found again by its mark.
"""

from __future__ import annotations

import hmac
import os
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from demur.errors import InputError, RefusedError
from demur.flows.left import alone, fresh
from demur.flows.pace import Pace
from demur.flows.parts import Parts
from demur.flows.service import Service
from demur.intake import IntakeReport, intake
from demur.intake.feed import Feed, checked
from demur.intake.feed_queue import SEGMENT_BYTES, SEGMENT_ROWS, FeedQueue, Segment, facts
from demur.store import KeyRing, Workspace

MAX_WAITING = 1_000_000
"""Batches in the queue; more are turned away until they have been read."""
LOOK = Pace(5.0)
"""A worker looks into the queue so often."""
_TABLES = ("items", "people")
_SERVICE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a batch."""

    events: int
    quarantined: dict[str, int]
    """Reason → lines that cannot be read; they are counted again, and kept as digests, when the batch is read."""

    def as_json(self) -> dict[str, Any]:
        """Return the plain form."""
        good = self.events - sum(self.quarantined.values())
        return {"events": self.events, "accepted": good, "quarantined": self.quarantined}


@dataclass(slots=True)
class Pulled:
    """What was read out of the queue."""

    segments: int = 0
    items: int = 0
    people: int = 0
    seen: int = 0
    """Versions that were stored already: events told twice."""
    quarantined: dict[str, int] = field(default_factory=dict)

    def add(self, report: IntakeReport) -> None:
        """Count a segment in."""
        self.segments += 1
        self.items += report.items
        self.people += report.people
        self.seen += report.items_seen + report.people_seen
        for reason, count in report.quarantined.items():
            self.quarantined[reason] = self.quarantined.get(reason, 0) + count

    def as_json(self) -> dict[str, Any]:
        """Return the plain form."""
        return {name: getattr(self, name) for name in self.__slots__}


def feed_token(keys: KeyRing, service: str) -> str:
    """Return the bearer token of one feed: it opens this service's door and nothing else.

    Raises:
        InputError: the name is none that a feed can have.
    """
    if not _SERVICE.fullmatch(service):
        raise InputError("expected a feed's name of a-z, 0-9, dot, dash, underscore, up to 63; correct it")
    return keys.mac("feed", service).hex()


def may_feed(keys: KeyRing, service: str, authorization: str) -> bool:
    """Say whether an Authorization field carries this feed's token (RFC 6750 §2.1; constant time)."""
    if not _SERVICE.fullmatch(service):
        return False
    scheme, _, told = authorization.partition(" ")
    right = hmac.compare_digest(told.strip().encode(), feed_token(keys, service).encode())
    return right and scheme.lower() == "bearer"


def receive(workspace: Workspace, service: str, body: bytes, *, at: datetime) -> Kept:
    """Keep a batch of events; it is on disk when this returns.

    Raises:
        RefusedError: too much waits; it must be read first.
    """
    lines = [line for line in body.splitlines() if line.strip()]
    if not lines:
        return Kept(0, {})
    with FeedQueue(workspace.database_url("feed")) as queue:
        if queue.length() >= MAX_WAITING:
            raise RefusedError("too many batches wait; run `demur feed pull` and send this one again")
        kept = Kept(len(lines), dict(checked(lines, service, at)))
        queue.put(service, b"\n".join(lines), at)
    return kept


def pull(
    parts: Parts, *, at: datetime, url: str | None = None, rows: int = SEGMENT_ROWS, size: int = SEGMENT_BYTES
) -> Pulled:
    """Read everything that waits into the tables, segment by segment; the caller holds the workspace's lock.

    Args:
        parts: the workspace.
        at: instant of the import.
        url: database of another queue table; ``None`` = the workspace's own.
        rows: rows of the queue in one segment, at most.
        size: bytes in one segment, at most, if it has more than one row.
    """
    found = Pulled()
    with FeedQueue(url or parts.workspace.database_url("feed")) as queue:
        # what somebody began may have been read without the registry having heard of it
        begun = queue.unfinished()
        while begun is not None:
            _read(parts, queue, begun, found, at, before=frozenset())
            begun = queue.unfinished()
        while (segment := queue.claim(rows=rows, size=size)) is not None:
            _read(parts, queue, segment, found, at, before=_stored(parts))
    return found


def step(service: Service) -> int:
    """Read what waits, as a step of ``demur work``: return how many segments; 0 while somebody else is writing."""
    parts, url = service.parts, service.parts.workspace.database_url("feed")
    if not LOOK.due(url):
        return 0
    LOOK.rest(url)
    with FeedQueue(url) as queue:
        if not queue.waiting():
            return 0
    try:
        with alone(parts.workspace):
            return pull(parts, at=service.clock()).segments
    except RefusedError:
        return 0


def _stored(parts: Parts) -> frozenset[Path]:
    return frozenset(path for name in _TABLES for path in (parts.workspace.source / name).glob("*.parquet"))


def _read(
    parts: Parts, queue: FeedQueue, segment: Segment, found: Pulled, at: datetime, before: frozenset[Path]
) -> None:
    with fresh(parts.workspace, "feed") as folder:
        path = folder / f"{segment.name}.jsonl"
        with path.open("wb") as stream:
            for body in queue.bodies(segment):
                stream.write(body.rstrip(b"\n") + b"\n")
        report = intake(
            Feed(),
            [path],
            store_folder=parts.workspace.source,
            quarantine_folder=parts.workspace.quarantine,
            imported_at=at,
            progress=parts.progress,
            service=segment.service,
            spill_folder=folder,
        )
    came = sorted(_stored(parts) - before)
    people = [part for part in came if part.parent.name == "people"]
    if people:
        parts.registry.import_people(people, suppression_key=parts.keys.secret("suppression"))
    for written in (*came, *{part.parent for part in came}):
        _sync(written)
    queue.done(segment)
    found.add(report)
    parts.progress("feed", found.segments, None)


def _sync(path: Path) -> None:
    """Wait until a file or folder is on disk: its rows leave the queue next, and power may fail."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def status(parts: Parts, *, url: str | None = None) -> list[dict[str, Any]]:
    """Return what waits, by service."""
    with FeedQueue(url or parts.workspace.database_url("feed")) as queue:
        return facts(queue.waiting())
