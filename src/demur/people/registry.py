"""The registry: one object over one database. Records acts and facts; says what stood at any time.

Every ``record`` is on disk before it returns. No content of people is logged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
import sqlalchemy as sa

from demur.clock import iso, micros
from demur.people import export as exporting
from demur.people import loading, lookup, schema
from demur.people.audience import Audiences
from demur.people.counting import Counting
from demur.people.events import read_event
from demur.people.everybody import view_at
from demur.people.loading import Recorded
from demur.people.objecting import Objecting
from demur.people.restrictions import Restriction, names_of, restrictions
from demur.people.sheets import FILES, batch
from demur.people.standing import standing_of
from demur.people.stopping import Stopping
from demur.people.streams import dossier_of
from demur.people.timeline import Timeline
from demur.terms.people import Act

GRACE_MONTHS = 12


class Registry(Objecting, Stopping, Audiences, Counting):
    """People, notices, objections, consents and holds as events, and the standing at any past instant.

    Args:
        url: ``sqlite:///path/registry.db`` or ``postgresql+psycopg://user@host/name``.

    Raises:
        ConfigError: the URL names no database that demur can use.
    """

    def __init__(self, url: str) -> None:
        self._database = Timeline(url)

    def __enter__(self) -> Registry:
        """Use the registry in a ``with`` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Give all connections back."""
        self._database.close()

    def migrate(self) -> None:
        """Bring the schema to this version (Alembic); safe to call whenever demur starts."""
        self._database.migrate(Path(__file__).parent / "migrations", "registry_version")

    def look(self, at: datetime) -> None:
        """Say that somebody takes in everything learnt by ``at``: what is written later is recorded after it.

        Call it before reading, with the present instant; a build or an erasure that does not may miss an objection
        that was stamped before it looked and written afterwards.
        """
        self._database.look(at)

    # Recording -----------------------------------------------------------------------------------------------------

    def import_people(self, parts: Iterable[Path], *, suppression_key: bytes | None = None) -> Recorded:
        """Record imported accounts in bulk; importing the same parts twice changes nothing.

        Args:
            parts: Parquet files with schema PEOPLE.
            suppression_key: when given, whoever comes back under a suppressed identifier objects again (PPL-09).

        Raises:
            InputError: a file is no PEOPLE table.
        """
        return loading.import_people(self._database, parts, suppression_key)

    def import_events(self, path: Path, *, recorded_at: datetime, not_before: datetime | None = None) -> Recorded:
        """Record a file of events, one JSON object a line (docs/registry.md); bad lines are counted, not fatal.

        Args:
            path: the file.
            recorded_at: when demur learns what does not say so itself.
            not_before: what says it was recorded by then is recorded at ``recorded_at``: a corpus that was built
                by then did not know it.

        Raises:
            InputError: the file cannot be read at all.
        """
        return loading.record(self._database, loading.numbered_lines(path), recorded_at, not_before=not_before)

    def record_events(self, events: Iterable[Mapping[str, Any]], *, recorded_at: datetime) -> Recorded:
        """Record events that a program made, in the same words as an event file; faults name the event's number."""
        return loading.record(self._database, enumerate((dict(event) for event in events), start=1), recorded_at)

    def record(self, event: Mapping[str, Any], *, recorded_at: datetime) -> None:
        """Record one event, durably.

        Raises:
            InputError: it does not fit; all faults are listed.
        """
        table, row = read_event(dict(event), micros(recorded_at))
        self._write(table, row)

    def record_notices(self, notices: Iterable[Mapping[str, Any]], *, recorded_at: datetime) -> Recorded:
        """Record states of delivery: ``person_id``, ``campaign_id``, ``channel``, ``state``, ``valid_at`` each."""
        return self.record_events(({**notice, "type": "notice"} for notice in notices), recorded_at=recorded_at)

    def suppress(self, key: bytes, identifiers: Iterable[str], *, origin: str, recorded_at: datetime) -> None:
        """Record that whoever has one of these identifiers must never come in again; only keyed hashes are kept."""
        rows = [
            schema.event(loading.identifier_hash(key, identifier), origin, recorded_at=micros(recorded_at))
            for identifier in identifiers
        ]
        with self._database.writing() as connection:
            self._database.write(connection, schema.SUPPRESSIONS, rows)

    def suppress_items(
        self,
        items: Iterable[str],
        *,
        origin: str,
        recorded_at: datetime,
        act: Act = Act.PLACE,
        valid_at: datetime | None = None,
    ) -> None:
        """Record that items must not be used because of somebody else who is in them (TPD-02), or that this ends.

        Args:
            items: item ids; ids that nobody knows yet count as soon as they appear.
            origin: the request; a lift ends only what the same origin placed.
            recorded_at: now.
            act: ``Act.PLACE`` or ``Act.LIFT``.
            valid_at: from when on; ``None`` = now.
        """
        self.record_events(
            (
                {"type": "item_suppression", "item_id": item, "origin": origin, "act": act.value,
                 "valid_at": iso(valid_at or recorded_at)}
                for item in items
            ),
            recorded_at=recorded_at,
        )  # fmt: skip

    def suppress_hashes(self, hashes: Iterable[str], *, origin: str, recorded_at: datetime) -> None:
        """Record keyed hashes of words that no text may hold any more (``lineage.suppressed``; TPD-03, TPD-08)."""
        rows = [schema.event(one, origin, recorded_at=micros(recorded_at)) for one in hashes]
        with self._database.writing() as connection:
            self._database.write(connection, schema.SUPPRESSIONS, rows)

    def suppressed_by(self, origin: str) -> set[str]:
        """Return the items that one origin placed and did not lift."""
        table = schema.ITEM_SUPPRESSIONS
        query = sa.select(table.c.item_id, table.c.act).where(table.c.origin == origin)
        placed: set[str] = set()
        with self._database.reading() as connection:
            for item, act in connection.execute(query.order_by(table.c.valid_at, table.c.recorded_at, table.c.act)):
                (placed.add if act == Act.PLACE else placed.discard)(item)
        return placed

    # Asking --------------------------------------------------------------------------------------------------------

    def export(
        self,
        folder: Path,
        *,
        as_of: datetime,
        known_at: datetime,
        base_known_at: datetime | None = None,
        grace_months: int = GRACE_MONTHS,
        purpose: str | None = None,
        upon: Path | None = None,
    ) -> dict[str, Any]:
        """Write everybody's standing: nine Parquet files, from standing and accounts to holds and what is suppressed.

        Args:
            folder: emptied first; the commit record is written last.
            as_of: instant of the build: clocks, ages, residences, notices, consents.
            known_at: what takes away counts when recorded by then, also when it happened after ``as_of``.
            base_known_at: what lets more in counts when recorded by then; ``None`` = ``as_of``. Give the ``known_at``
                of the first build when history was imported after the instant that it is about.
            grace_months: how long an old residence counts after a move.
            purpose: only campaigns for this purpose start clocks; ``None`` = all do.
            upon: folder of an earlier export that differs in ``known_at`` alone: only people about whom something was
                recorded since are read. Where it is no help everybody is; the rows are the same.

        Returns:
            The commit record: instants, rows and digest of every file, digest of everything. Files that were made
            upon others have no digest of their own.

        Raises:
            InputError: ``known_at`` lies before the others.
        """
        return exporting.export(
            self._database, folder, as_of=as_of, known_at=known_at, base_known_at=base_known_at,
            grace_months=grace_months, purpose=purpose, upon=upon,
        )  # fmt: skip

    def standing(
        self,
        person_id: str,
        *,
        as_of: datetime,
        known_at: datetime,
        base_known_at: datetime | None = None,
        grace_months: int = GRACE_MONTHS,
        purpose: str | None = None,
    ) -> dict[str, list[dict[str, Any]]] | None:
        """Return one person's rows of standing, accounts, residence, notices, objections; the same as exported.

        Returns:
            File → rows as plain values; ``None`` when nothing about that id was known by ``known_at``.
        """
        with self._database.reading() as connection:
            view, _ = view_at(connection, as_of, known_at, base_known_at, grace_months, purpose)
            dossier = dossier_of(connection, view, person_id)
        if dossier is None:
            return None
        rows = standing_of(dossier, view)
        found = {"standing": [rows.standing], "accounts": rows.accounts, "residence": rows.residence,
                 "notices": rows.notices, "objections": rows.objections}  # fmt: skip
        return {name: batch(FILES[name], lines).to_pylist() for name, lines in found.items()}

    def about(self, person_id: str) -> dict[str, list[dict[str, Any]]]:
        """Return every event about a person, their accounts and linked ids, by table, oldest first."""
        with self._database.reading() as connection:
            return lookup.about(connection, person_id)

    def find(self, text: str) -> list[str]:
        """Return the ids of people who have an account, handle, address or id of that name, sorted."""
        with self._database.reading() as connection:
            return lookup.find(connection, text)

    def everybody(self) -> list[str]:
        """Return the ids of all persons with an account, sorted."""
        with self._database.reading() as connection:
            query = sa.select(schema.ACCOUNTS.c.person_id).distinct().order_by(schema.ACCOUNTS.c.person_id)
            return [person for (person,) in connection.execute(query)]

    def restrictions_since(self, instant: datetime | None) -> list[Restriction]:
        """Return what was recorded after an instant (``None`` = ever) and may take something away."""
        with self._database.reading() as connection:
            return list(restrictions(connection, instant))

    def everyone_linked(self, people: Iterable[str]) -> list[str]:
        """Return some people with all ids that were ever told to be the same human beings, sorted."""
        with self._database.reading() as connection:
            return sorted({one for person in set(people) for one in lookup.ever_linked(connection, person)})

    def same_as(self, person_id: str) -> list[str]:
        """Return a person with the ids that are the same human being by the last word on each, sorted."""
        with self._database.reading() as connection:
            return lookup.linked(connection, person_id)

    def names_of(self, people: Iterable[str]) -> list[str]:
        """Return the full names (two words or more) that accounts of some people ever had, sorted."""
        with self._database.reading() as connection:
            return names_of(connection, sorted(set(people)))

    def unmatched(self, reference: str | None = None) -> list[dict[str, Any]]:
        """Return objections that cover nobody yet: claims in the queue, and ids that have no account, oldest first.

        Args:
            reference: only the one of this reference; ``None`` = all.
        """
        with self._database.reading() as connection:
            return lookup.unmatched(connection, reference)

    def claims(self) -> dict[str, dict[str, str]]:
        """Return reference → claim of what waits until somebody finds out whose it is."""
        with self._database.reading() as connection:
            return {row["objection_id"]: orjson.loads(row["claim"]) for row in lookup.queued(connection)}

    def _write(self, table: Any, row: tuple[Any, ...]) -> None:
        with self._database.writing() as connection:
            self._database.write(connection, table, [row])
