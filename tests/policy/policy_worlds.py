"""Random small worlds with unknowns everywhere, and dictionaries that serve them row by row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from demur.terms.content import Audience, Kind
from demur.terms.people import Status
from demur.terms.tables import ACCOUNTS, HOLDS, ITEMS, RESIDENCE, STANDING, SUPPRESSED

AS_OF = datetime(2025, 6, 1, tzinfo=UTC)
Row = dict[str, Any]


@dataclass
class World:
    """The tables of one world; serves ``judge.Rows``."""

    items: list[Row] = field(default_factory=list)
    accounts: list[Row] = field(default_factory=list)
    people: list[Row] = field(default_factory=list)
    homes: list[Row] = field(default_factory=list)
    holds: list[Row] = field(default_factory=list)
    suppressed: list[Row] = field(default_factory=list)

    def join(self, other: World) -> None:
        for name in ("items", "accounts", "people", "homes", "holds", "suppressed"):
            getattr(self, name).extend(getattr(other, name))

    def index(self) -> Served:
        return Served(self)

    def write(self, folder: Path) -> list[str]:
        """Write the world as the tables that rooms hand over; return the parts of the snapshot."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows, schema in (
            ("standing", self.people, STANDING),
            ("accounts", self.accounts, ACCOUNTS),
            ("residence", self.homes, RESIDENCE),
            ("holds", self.holds, HOLDS),
            ("suppressed", self.suppressed, SUPPRESSED),
        ):
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / f"{name}.parquet")
        half = len(self.items) // 2
        parts = []
        for number, rows in enumerate((self.items[:half], self.items[half:])):
            parts.append(str(folder / f"items-{number}.parquet"))
            pq.write_table(pa.Table.from_pylist(rows, schema=ITEMS), parts[-1])
        return parts


class Served:
    """Rows by id."""

    def __init__(self, world: World) -> None:
        self._items = {row["item_id"]: row for row in world.items}
        self._suppressed = {row["item_id"] for row in world.suppressed}
        self._people = {row["person_id"]: row for row in world.people}
        self._accounts: dict[str, list[Row]] = defaultdict(list)
        self._homes: dict[str, list[Row]] = defaultdict(list)
        for row in world.accounts:
            self._accounts[row["account_id"]].append(row)
        for row in world.homes:
            self._homes[row["person_id"]].append(row)

    def item(self, item_id: str) -> Mapping[str, Any] | None:
        return self._items.get(item_id)

    def epochs(self, account_id: str) -> Iterable[Mapping[str, Any]]:
        return self._accounts.get(account_id, [])

    def standing(self, person_id: str) -> Mapping[str, Any] | None:
        return self._people.get(person_id)

    def residence(self, person_id: str) -> Iterable[Mapping[str, Any]]:
        return self._homes.get(person_id, [])

    def suppressed(self, item_id: str) -> bool:
        return item_id in self._suppressed


def item(item_id: str, **given: Any) -> Row:
    """Return an item that nothing speaks against, but for what is given."""
    row: Row = dict.fromkeys(ITEMS.names)
    row |= {
        "item_id": item_id,
        "version_id": "v",
        "state": "live",
        "service": "s",
        "kind": "post",
        "account_id": "a",
        "created_at": datetime(2025, 1, 1, tzinfo=UTC),
        "audience": "public",
        "text": "some words of somebody",
        "language": "de",
        "source": "test",
        "imported_at": AS_OF,
    }
    return row | given


def account(account_id: str = "a", person_id: str = "p", **given: Any) -> Row:
    """Return an active, open account, but for what is given."""
    row: Row = dict.fromkeys(ACCOUNTS.names)
    row |= {"account_id": account_id, "service": "s", "person_id": person_id, "status": "active", "private": False}
    return row | given


def person(person_id: str = "p", **given: Any) -> Row:
    """Return an adult in Germany, told in January 2025, who did not object, but for what is given."""
    row: Row = dict.fromkeys(STANDING.names)
    row |= {
        "person_id": person_id,
        "born_on": date(1980, 1, 1),
        "age_conflict": False,
        "countries_now": ["DE"],
        "countries_at_notice": ["DE"],
        "objected": False,
        "consent_purposes": [],
        "first_delivered_at": datetime(2025, 1, 10, tzinfo=UTC),
        "last_delivered_at": datetime(2025, 1, 10, tzinfo=UTC),
        "campaign_effective_at": datetime(2025, 1, 1, tzinfo=UTC),
        "campaigns": ["c"],
        "kind_clocks": [],
    }
    return row | given


def home(person_id: str = "p", country: str | None = "DE", begin: Any = None, end: Any = None) -> Row:
    return {"person_id": person_id, "country": country, "valid_from": begin, "valid_until": end}


def hold(hold_id: str = "h", act: str = "place", **given: Any) -> Row:
    row: Row = dict.fromkeys(HOLDS.names)
    row |= {
        "hold_id": hold_id,
        "act": act,
        "authority": "DPC",
        "instrument": "letter 1",
        "valid_at": datetime(2025, 1, 1, tzinfo=UTC),
        "recorded_at": datetime(2025, 1, 1, tzinfo=UTC),
    }
    return row | given


def simple(*items: Row, **given: Any) -> World:
    """Return a world of one eligible person with some items."""
    return World(
        list(items) or [item("i")],
        given.get("accounts", [account()]),
        given.get("people", [person()]),
        given.get("homes", [home()]),
        given.get("holds", []),
    )


_COUNTRIES = ["DE", "FR", "US", "BR", "GB", "CH", "ZZ", None]
_TIMES = [
    None,
    *(datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=days) for days in (-4000, -400, -1, 0, 90, 150, 151, 152)),
]
_PURPOSES = ["train-generative-ai", "other"]


def random_world(chance: Random, name: str) -> World:  # noqa: C901  (one branch an oddity)
    """Return a world of a few people, accounts and items in which anything may be unknown, late, double or circular."""

    def often(value: Any, otherwise: Any, share: float = 0.8) -> Any:
        return value if chance.random() < share else otherwise

    def some(values: list[Any], most: int = 2) -> list[Any]:
        return [chance.choice(values) for _ in range(chance.randint(0, most))]

    def when() -> Any:
        return chance.choice(_TIMES)

    def a_scope(values: list[Any]) -> Any:
        return often(None, some([*values, None]), 0.6)

    services = [f"{name}-s", f"{name}-t"]
    kinds = [kind.value for kind in Kind]
    people = [f"{name}-p{n}" for n in range(chance.randint(1, 4))]
    accounts = [f"{name}-a{n}" for n in range(chance.randint(1, 5))]
    ids = [f"{name}-i{n}" for n in range(chance.randint(4, 12))]
    lost = f"{name}-lost"
    world = World()
    for each in people:
        if chance.random() < 0.06:
            continue
        world.people.append(
            {
                "person_id": each,
                "born_on": often(
                    chance.choice(
                        [date(1980, 2, 3), date(2007, 5, 30), date(2007, 5, 31), date(2007, 6, 1), date(2004, 2, 29)]
                    ),
                    None,
                ),
                "age_conflict": often(False, True, 0.9),
                "countries_now": often([chance.choice(_COUNTRIES[:6])], some(_COUNTRIES)),
                "countries_at_notice": often([chance.choice(_COUNTRIES[:6])], some(_COUNTRIES)),
                "arrived_at": often(None, when()),
                "objected": often(False, True),
                "objected_kinds": a_scope(kinds),
                "objected_services": a_scope(services),
                "withdrawn_at": often(None, when()),
                "consent_purposes": some(_PURPOSES),
                "first_delivered_at": often(_TIMES[2], when()),
                "last_delivered_at": often(_TIMES[4], when()),
                "campaign_effective_at": often(_TIMES[3], when()),
                "campaigns": often(["c1"], some(["c1", "c2", None])),
                "kind_clocks": often(
                    [],
                    [
                        {
                            "kind": kind,
                            "first_delivered_at": often(_TIMES[2], when()),
                            "last_delivered_at": often(_TIMES[4], when()),
                            "effective_at": often(_TIMES[3], when()),
                        }
                        for kind in chance.sample(["post", "comment", "reshare", *kinds[:2]], 2)
                    ],
                    0.6,
                ),
                "signal": often(None, chance.choice(["y", "n", "maybe"])),
                "language": None,
                "last_active_at": None,
            }
        )
        for _ in range(often(1, chance.randint(0, 3))):
            world.homes.append(home(each, chance.choice(_COUNTRIES), often(None, when()), often(None, when())))
    for each in accounts:
        for _ in range(often(1, chance.randint(0, 3))):
            world.accounts.append(
                {
                    "account_id": each,
                    "service": services[0],
                    "person_id": chance.choice([*people, *people, f"{name}-nobody"]),
                    "owned_from": often(None, when()),
                    "owned_until": often(None, when()),
                    "status": often("active", chance.choice([*Status, "strange", None])),
                    "private": often(False, chance.choice([True, None])),
                    "compromised_from": often(None, when()),
                    "compromised_until": often(None, when()),
                    "handles": [],
                    "names": [],
                }
            )
    for each in ids:
        world.items.append(
            item(
                each,
                state=often("live", "deleted", 0.9),
                service=chance.choice(services),
                kind=often(chance.choice(["post", "comment", "reshare"]), chance.choice([*kinds, "strange"])),
                account_id=often(chance.choice(accounts), chance.choice([lost, None]), 0.9),
                co_account_ids=often(None, some([*accounts, lost])),
                created_at=often(_TIMES[5], when()),
                audience=often("public", chance.choice([*Audience, "strange"])),
                container_id=often(None, "g", 0.6),
                container_audience=often(None, chance.choice([*Audience, "strange", "public", "public"]), 0.6),
                parent_id=often(None, chance.choice([*ids, lost]), 0.5),
                parent_audience=often("public", chance.choice([None, "group"])),
                original_id=often(None, chance.choice([*ids, lost]), 0.6),
                expires_at=often(None, when()),
                public_since=often(None, when()),
                addressed_to_ai=chance.choice([None, True, False]),
                signal=often(None, chance.choice(["y", "n", "maybe"])),
                special_category=often(None, chance.choice([True, False])),
            )
        )
    for number in range(chance.randint(0, 2)):
        placed = hold(
            f"{name}-h{number}",
            countries=often(None, some(["DE", "FR", "US"])),
            services=[chance.choice(services)],
            kinds=often(None, some([*kinds, None])),
            created_from=often(None, when()),
            created_until=often(None, when()),
            purpose=often(None, chance.choice(_PURPOSES)),
            campaign_id=often(None, chance.choice(["c1", "c2"])),
            valid_at=when() or AS_OF,
        )
        world.holds.append(placed)
        if chance.random() < 0.3:  # and now and then an item that somebody else had taken out
            world.suppressed += [{"item_id": row["item_id"]} for row in world.items if chance.random() < 0.2]
        if chance.random() < 0.3:
            world.holds.append({**placed, "act": "lift", "valid_at": when() or AS_OF, "recorded_at": when() or AS_OF})
    return world
