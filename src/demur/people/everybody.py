"""Everybody's rows: by this process alone, or, where there are many people, by several, a range of ids each.

Which of them wrote a row makes no difference: the files are put together in the order of the ids, the entangled last.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from demur.clock import iso, micros, parse
from demur.errors import InputError
from demur.people.dossier import View
from demur.people.instants import adult_cutoff, months_before
from demur.people.links import Links, read_links
from demur.people.renotice import renotices
from demur.people.sheets import Sheets
from demur.people.standing import standing_of
from demur.people.streams import bounds, campaign_rows, entangled_people, plain
from demur.store import commit_record, read_json, remove_tree, write_json
from demur.store.database import Database
from demur.store.stage import cores, side_by_side

ADULT_YEARS = 18
MOST = 64
"""Processes at most: each holds the ids of all who are entangled."""
_ENTANGLED = ".entangled.json"
PAYS = 20_000
"""Accounts that pay for a process of their own: starting one takes as long as ten thousand of them."""


def view_at(
    connection: sa.Connection,
    as_of: datetime,
    known_at: datetime,
    base_known_at: datetime | None,
    grace_months: int,
    purpose: str | None = None,
) -> tuple[View, dict[str, dict[str, Any]]]:
    """Return from where one looks, and the campaigns as seen from there.

    Raises:
        InputError: the instants are not in order.
    """
    base = as_of if base_known_at is None else base_known_at
    if known_at < base or known_at < as_of:
        raise InputError(
            f"expected known_at at or after as_of and base_known_at ({iso(max(as_of, base))}), found {iso(known_at)}"
        )
    at, known, based = micros(as_of), micros(known_at), micros(base)
    campaigns = campaign_rows(connection, at, known, based)
    view = View(
        as_of=at,
        known_at=known,
        base=based,
        grace_from=micros(months_before(as_of, grace_months)),
        adult_cutoff=adult_cutoff(as_of, ADULT_YEARS),
        campaigns={name: campaign["view"] for name, campaign in campaigns.items()},
        purpose=purpose,
        renotices=renotices(connection, known, purpose),
    )
    return view, campaigns


def write_everybody(
    database: Database, connection: sa.Connection, view: View, folder: Path, asked: dict[str, Any]
) -> dict[str, Any]:
    """Write the rows of all people to the files of an export; return number and digest of each.

    Args:
        database: of the registry.
        connection: to it, reading.
        view: from where one looks.
        folder: of the export.
        asked: what ``view`` was made of, as in the commit record.
    """
    links = read_links(connection, view)
    edges = bounds(connection, view, min(cores(), MOST), PAYS) if database.elsewhere else []
    with Sheets(folder) as sheets:
        if edges:
            ranges = enumerate(pairwise([None, *edges, None]))
            write_json(folder / _ENTANGLED, sorted(links.entangled))
            common = {"found_by": database.elsewhere, "asked": asked, "entangled": str(folder / _ENTANGLED)}
            shares = {folder / f".share-{place:02d}": {"begin": i, "end": j, **common} for place, (i, j) in ranges}
            with side_by_side(len(shares)) as run:
                run("demur.people.everybody:share", shares)
            for one in shares:
                sheets.take_over(one)
                remove_tree(one)
            (folder / _ENTANGLED).unlink()
        else:
            for dossier in plain(database, connection, view, links):
                sheets.add(standing_of(dossier, view))
        for dossier in entangled_people(connection, view, links):
            sheets.add(standing_of(dossier, view))
    return sheets.facts()


def share(
    folder: Path, *, found_by: str, begin: str | None, end: str | None, asked: dict[str, Any], entangled: str
) -> None:
    """Write the rows of the people in a range of ids who are not entangled; a stage.

    It has a view of its own of what was recorded until ``known_at``: the same one, for nothing is recorded as of an
    instant at which somebody has looked (``Registry.look``). Who is entangled it is told: nobody may be left out
    by both, should something be recorded between two views because nobody looked.

    Args:
        folder: gets the files with rows of people, and what their digests are taken of.
        found_by: names the registry's database (``Database.elsewhere``).
        begin: first id; ``None`` = there is none before.
        end: first id that is another's.
        asked: what the view is made of.
        entangled: file of the ids of those who are written elsewhere.
    """
    others = Links(entangled=set(read_json(Path(entangled))))
    database = Database.found_by(found_by)
    try:
        with database.reading() as connection, Sheets(folder, spoken=True) as sheets:
            as_of, known_at, base = (parse(asked[name]) for name in ("as_of", "known_at", "base_known_at"))
            view, _ = view_at(connection, as_of, known_at, base, asked["grace_months"], asked["purpose"])
            for dossier in plain(database, connection, view, others, begin, end):
                sheets.add(standing_of(dossier, view))
    finally:
        database.close()
    commit_record(folder, {"people": sheets.facts()["standing"]["rows"]})
