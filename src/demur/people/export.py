"""Standing as Parquet: nine files and a commit record whose digest does not know in which order things were recorded.

Streams: memory does not grow with the number of people. Upon an earlier export of the same view only those people are
looked at about whom something was recorded since (ADR 16). Does not decide anything: standing.py does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from demur.clock import iso, micros, parse
from demur.people import schema
from demur.people.changed import changed_people, past
from demur.people.dossier import View
from demur.people.everybody import view_at, write_everybody
from demur.people.links import Links, read_links
from demur.people.sheets import BATCH, FILES, PERSONAL, batch, sheet
from demur.people.standing import standing_of
from demur.people.stopping import takes_out
from demur.people.streams import entangled
from demur.store import cannot_write, commit_record, digest_json, read_commit, remove_tree, write_table
from demur.store.database import Database
from demur.terms import tables
from demur.terms.holds import Nature
from demur.terms.people import Act

MOST = 4
"""Where more than one person in so many may have changed, everybody is read: streams cost less a person."""
CHANGED = "people.changed"
"""Parquet beside the nine files of an export upon another: whose rows were made anew; all others are as they were."""


def export(
    database: Database,
    folder: Path,
    *,
    as_of: datetime,
    known_at: datetime,
    base_known_at: datetime | None,
    grace_months: int,
    purpose: str | None,
    upon: Path | None = None,
) -> dict[str, Any]:
    """Write the nine files and the commit record; see Registry.export."""
    facts: dict[str, Any] = {
        "as_of": iso(as_of),
        "known_at": iso(known_at),
        "base_known_at": iso(as_of if base_known_at is None else base_known_at),
        "grace_months": grace_months,
        "purpose": purpose,
    }
    try:
        remove_tree(folder)
        folder.mkdir(parents=True)
        with database.reading() as connection:
            view, campaigns = view_at(connection, as_of, known_at, base_known_at, grace_months, purpose)
            files = _write_upon(connection, view, folder, upon, facts) if upon is not None else None
            if files is None:
                files = write_everybody(database, connection, view, folder, facts)
            files["campaigns"] = _write_rows(folder, "campaigns", _campaign_lines(campaigns))
            files["holds"] = _write_rows(folder, "holds", hold_rows(connection, view))
            files["suppressed"] = _write_rows(folder, "suppressed", suppressed_items(connection, view))
            files["suppressed_words"] = _write_rows(folder, "suppressed_words", suppressed_words(connection, view))
            recorded = past(connection, view.known_at)
    except OSError as error:
        raise cannot_write(folder, error) from error
    facts["files"] = {name: files[name] for name in sorted(files)}
    facts["digest"] = digest_json(facts)
    facts["past"] = recorded  # no part of the digest: what is recorded again under another name changes no row
    commit_record(folder, facts)
    return facts


def _write_upon(
    connection: sa.Connection, view: View, folder: Path, upon: Path, facts: dict[str, Any]
) -> dict[str, Any] | None:
    """Write the files of people upon an earlier export of the same view; ``None`` = it is no help, read everybody."""
    earlier = read_commit(upon)
    same = ("as_of", "base_known_at", "grace_months", "purpose")
    if earlier is None or any(earlier[name] != facts[name] for name in same):
        return None
    as_of, base = parse(facts["as_of"]), parse(facts["base_known_at"])
    before_at = parse(earlier["known_at"])
    if micros(before_at) > view.known_at or past(connection, micros(before_at)) != earlier["past"]:
        return None
    before, _ = view_at(connection, as_of, before_at, base, facts["grace_months"], facts["purpose"])
    links = read_links(connection, view)
    people = changed_people(connection, before, view, links)
    if people is None or len(people) * MOST > earlier["files"]["standing"]["rows"]:
        return None
    changed = pa.array(sorted(people), pa.string())
    write_table(folder / CHANGED, pa.table({"person_id": changed}))
    rows = _rows_of(connection, view, links, changed.to_pylist())
    return {name: _write_merged(folder, upon, name, rows[name], changed, links) for name in PERSONAL}


def _rows_of(
    connection: sa.Connection, view: View, links: Links, people: Sequence[str]
) -> dict[str, list[Sequence[Any]]]:
    """Return the rows of some people; about an id of which nothing is known there are none."""
    found: dict[str, list[Sequence[Any]]] = {name: [] for name in PERSONAL}
    for start in range(0, len(people), BATCH):
        for dossier in entangled(connection, view, links, people[start : start + BATCH]):
            if dossier.person_id not in links.entangled and not dossier.known:
                continue
            rows = standing_of(dossier, view)
            found["standing"].append(rows.standing)
            for name in PERSONAL[1:]:
                found[name].extend(getattr(rows, name))
    return found


def _write_merged(
    folder: Path, upon: Path, name: str, rows: Sequence[Sequence[Any]], changed: Any, links: Links
) -> dict[str, Any]:
    """Write a file with some people's rows made anew, in the order of a whole export: by id, the entangled last."""
    kept = pq.read_table(upon / f"{name}.parquet", schema=FILES[name])
    kept = kept.filter(pc.invert(pc.is_in(kept["person_id"], changed)))
    table = pa.concat_tables([kept, pa.Table.from_batches([batch(FILES[name], rows)])]).combine_chunks()
    last = pc.is_in(table["person_id"], pa.array(sorted(links.entangled), pa.string()))
    order = pa.table({"last": last.cast(pa.int8()), "person": table["person_id"], "row": np.arange(table.num_rows)})
    places = pc.sort_indices(order, sort_keys=[(column, "ascending") for column in order.column_names])
    write_table(folder / f"{name}.parquet", table.take(places))
    return {"rows": table.num_rows}


def _write_rows(folder: Path, name: str, rows: Iterable[Sequence[Any]]) -> dict[str, Any]:
    with sheet(folder, name) as written:
        written.extend(rows)
    return written.facts()


def _campaign_lines(campaigns: dict[str, dict[str, Any]]) -> Iterable[Sequence[Any]]:
    names = ("status", "purpose", "effective_at", "notice_days", "countries", "kinds")
    return ((campaign, *(facts[name] for name in names)) for campaign, facts in campaigns.items())


def hold_rows(connection: sa.Connection, view: View) -> list[Sequence[Any]]:
    """Return hold events: every placing known by ``known_at``; a lift only by ``as_of`` and known at base.

    A hold that does not stop builds denies no item, nor does a drill; an order to erase has no end.
    """
    table = schema.HOLDS
    names = tables.HOLDS.names
    ordered = set(connection.execute(sa.select(table.c.hold_id).where(table.c.nature == Nature.ORDER.value)).scalars())
    query = sa.select(*(table.c[name] for name in names)).where(
        table.c.recorded_at <= view.known_at, sa.or_(table.c.act == Act.LIFT.value, takes_out())
    )
    rows: list[Sequence[Any]] = []
    for row in connection.execute(query.order_by(table.c.hold_id, table.c.valid_at, table.c.event_id)):
        late = row.recorded_at > view.base or row.valid_at > view.as_of
        if row.act == Act.LIFT and (late or row.hold_id in ordered):
            continue
        lists = {"countries", "services", "kinds"}
        rows.append(tuple(schema.unlisted(v) if name in lists else v for name, v in zip(names, row, strict=True)))
    return rows


def suppressed_items(connection: sa.Connection, view: View) -> Iterator[Sequence[Any]]:
    """Yield item ids that are suppressed: placed as known by ``known_at``, not lifted as known at base."""
    table = schema.ITEM_SUPPRESSIONS
    columns = (table.c.item_id, table.c.origin, table.c.act, table.c.valid_at, table.c.recorded_at)
    query = sa.select(*columns).where(table.c.recorded_at <= view.known_at)
    ordered = query.order_by(table.c.item_id, table.c.valid_at, table.c.act, table.c.event_id)
    for item, rows in groupby(connection.execute(ordered), key=lambda row: row.item_id):
        placed: set[str] = set()
        for row in rows:  # of one instant a lift stands before a placing: in doubt it stays out
            if row.act == Act.PLACE:
                placed.add(row.origin)
            elif row.recorded_at <= view.base and row.valid_at <= view.as_of:
                placed.discard(row.origin)
        if placed:
            yield (item,)


def suppressed_words(connection: sa.Connection, view: View) -> Iterator[Sequence[Any]]:
    """Yield the keyed hashes of suppressed identifiers known by ``known_at``; who comes back is found at import."""
    column = schema.SUPPRESSIONS.c.identifier_hash
    query = sa.select(column).distinct().where(schema.SUPPRESSIONS.c.recorded_at <= view.known_at)
    return ((found,) for found in connection.execute(query.order_by(column)).scalars())
