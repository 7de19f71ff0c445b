"""What may be used, as of an instant: snapshot, standing and decisions, as folders in ``work/run``.

With ``narrowed_at`` later than ``known_at``, everything is decided twice and an item stays only if both readings allow
it (ADR 2): what was learned later can only take away. An erasure need not do that from nothing: it goes on from what
the last decisions left (ADR 16), looks at those people and items that something came about since, and finds the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from demur.clock import iso
from demur.errors import ConfigError
from demur.flows.kept import Before, keep, name_of, restore
from demur.flows.left import fresh
from demur.flows.parts import Parts
from demur.intake import rows_known, snapshot, snapshot_since, state_digest
from demur.policy.narrow import BOTH, LATER
from demur.store import digest_json, read_commit
from demur.store.stage import cores, run_stage
from demur.terms.policy import Policy

_EVER = datetime.max.replace(tzinfo=UTC)
MOST = 8
"""Where of more than one item in so many something was imported since, all are decided anew."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Everything that a corpus is made from."""

    policy: Policy
    as_of: datetime
    known_at: datetime
    narrowed_at: datetime
    items: Path
    """Folder of ITEMS parts, as known at ``known_at``."""
    standing: Path
    """Folder of the people tables, as known at ``narrowed_at``."""
    decisions: Path
    """Folder of DECISIONS parts: allowed by both readings."""
    source_digest: str
    source_state: str | None
    """State of the imported tables (``intake.state_digest``); ``None`` = they hold what came after ``narrowed_at``."""
    counts: dict[str, Any]


@contextmanager
def decided(
    parts: Parts,
    policy: Policy,
    reference: str,
    *,
    as_of: datetime,
    known_at: datetime,
    narrowed_at: datetime | None = None,
    upon: bool = False,
    carry: bool = False,
) -> Iterator[Decided]:
    """Decide every item; the folders are removed when the caller is done with them, since they hold persons in clear.

    Args:
        parts: the workspace.
        policy: the policy.
        reference: where child processes read it.
        as_of: instant at which clocks, ages and notices are judged.
        known_at: what demur had learned when the corpus was first built.
        narrowed_at: what it has learned since; ``None`` = ``known_at``.
        upon: go on from what the last decisions left, where they left anything; the result does not depend on it.
        carry: leave for the next time what that needs, sealed.
    """
    narrowed_at = narrowed_at or known_at
    if not as_of <= known_at <= narrowed_at:
        raise ConfigError("expected as_of ≤ known_at ≤ narrowed_at, found another order; correct the instants")
    name = digest_json([policy.digest, iso(as_of), iso(known_at), iso(narrowed_at)])[:16]
    with fresh(parts.workspace, f"decided-{name}") as folder:
        deciding = _Deciding(parts, policy, reference, folder, as_of, known_at, narrowed_at)
        yield deciding.decide(upon=upon, carry=carry)


@dataclass(frozen=True, slots=True)
class _Deciding:
    """One call of ``decided``."""

    parts: Parts
    policy: Policy
    reference: str
    folder: Path
    as_of: datetime
    known_at: datetime
    narrowed_at: datetime

    def decide(self, *, upon: bool, carry: bool) -> Decided:
        """Decide, upon what was left or anew; leave what the next time needs."""
        rows = rows_known(self.parts.workspace.source, self.known_at)
        rows_now = rows_known(self.parts.workspace.source, self.narrowed_at)
        restored = self._restored(rows) if upon else None
        before = restored or self._first(rows)
        now, decisions, counts = before, before.folder / "decisions", _facts(before.folder / "decisions")
        if before.seen < self.narrowed_at or before.later is not None:
            standing = self.folder / "later" / "standing"
            both = (self._again if upon else self._later)(before, standing, rows_now)
            now = replace(before, standing=standing, later=both / LATER, seen=self.narrowed_at, rows_seen=rows_now)
            decisions, counts = both / BOTH, _facts(both)
        if carry:
            self._tell("keep")
            keep(self.parts, self._name, now, fresh=restored is None)
        return Decided(
            self.policy, self.as_of, self.known_at, self.narrowed_at, now.folder / "source" / "items", now.standing,
            decisions, now.source_digest, self._state(rows_now), counts,
        )  # fmt: skip

    def _state(self, rows: str) -> str | None:
        source = self.parts.workspace.source
        return state_digest(source) if rows == rows_known(source, _EVER) else None

    def _restored(self, rows: str) -> Before | None:
        self._tell("restore")
        return restore(self.parts, self._name, self.folder / "kept", rows=rows, narrowed_at=self.narrowed_at)

    def _first(self, rows: str) -> Before:
        """Decide as known at first."""
        folder = self.folder / "known"
        with self._aside_snapshot(folder / "source", self.known_at) as taken:
            self._export(folder / "standing", self.known_at, None)
            source = taken()
        self._table(folder / "decisions", folder / "source" / "items", folder / "standing", self.known_at)
        return Before(folder, folder / "standing", None, self.known_at, source["digest"], rows, rows)

    def _later(self, before: Before, standing: Path, rows: str) -> Path:
        """Decide everything as known now, from nothing, and let an item stay only if both readings allow it."""
        folder = before.folder
        if rows == before.rows:  # the later snapshot is the first
            self._export(standing, self.narrowed_at, None)
        else:
            folder = self.folder / "later"
            with self._aside_snapshot(folder / "source", self.narrowed_at) as taken:
                self._export(standing, self.narrowed_at, None)
                taken()
        decisions = self.folder / "later" / "decisions"
        self._table(decisions, folder / "source" / "items", standing, self.narrowed_at)
        self._tell("narrow")
        arguments = {"earlier": str(before.folder / "decisions"), "later": str(decisions)}
        run_stage("demur.policy.narrow:narrow", self.folder / "both", arguments)
        return self.folder / "both"

    def _again(self, before: Before, standing: Path, rows: str) -> Path:
        """Do the same by looking at what came since; where that is much, at everything."""
        source, since = self.parts.workspace.source, None
        if rows != before.rows:
            self._tell("snapshot")
            since = self.folder / "since"
            # what was imported into the past meanwhile was not seen
            seen = before.seen if rows_known(source, before.seen) == before.rows_seen else self.known_at
            known_at = self.narrowed_at
            found = snapshot_since(source, since, as_of=self.as_of, since=self.known_at, seen=seen, known_at=known_at)
            if found["items"] * MOST > _facts(before.folder / "decisions")["items"]:
                return self._later(before, standing, rows)
        self._export(standing, self.narrowed_at, before.standing)
        self._tell("decide")
        run_stage(
            "demur.policy.again:decide_again",
            self.folder / "both",
            {
                "items": _parquet(before.folder / "source" / "items"),
                "earlier": str(before.folder / "decisions"),
                "later": str(before.later) if before.later else None,
                "before": str(before.standing),
                "standing": str(standing),
                "since": str(since) if since else None,
                "policy": self.reference,
                "as_of": iso(self.as_of),
                "seen": iso(before.seen),
                "known_at": iso(self.narrowed_at),
            },
        )
        return self.folder / "both"

    @property
    def _name(self) -> str:
        return name_of(self.policy.digest, iso(self.as_of), iso(self.known_at))

    def _tell(self, what: str) -> None:
        self.parts.progress(what, 0, None)

    @contextmanager
    def _aside_snapshot(self, folder: Path, known_at: datetime) -> Iterator[Callable[[], Any]]:
        """Take a snapshot while something else is done: its processes read other files; yield what waits for it."""
        self._tell("snapshot")
        arguments = {"as_of": self.as_of, "known_at": known_at}
        if cores() == 1:
            found = snapshot(self.parts.workspace.source, folder, **arguments)
            yield lambda: found
            return
        with ThreadPoolExecutor(1) as aside:
            yield aside.submit(snapshot, self.parts.workspace.source, folder, **arguments).result

    def _export(self, folder: Path, known_at: datetime, upon: Path | None) -> None:
        self._tell("standing")
        self.parts.registry.export(
            folder,
            as_of=self.as_of,
            known_at=known_at,
            base_known_at=self.known_at,
            grace_months=self.policy.grace_months,
            purpose=self.policy.purpose,
            upon=upon,
        )

    def _table(self, folder: Path, items: Path, standing: Path, known_at: datetime) -> None:
        self._tell("decide")
        run_stage(
            "demur.policy.columns:decide_table",
            folder,
            {
                "items": _parquet(items),
                "standing": str(standing),
                "policy": self.reference,
                "as_of": iso(self.as_of),
                "known_at": iso(known_at),
            },
        )


def _facts(decisions: Path) -> dict[str, Any]:
    return read_commit(decisions) or {}


def _parquet(folder: Path) -> list[str]:
    return [str(part) for part in sorted(folder.glob("*.parquet"))]
