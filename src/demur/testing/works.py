"""What one person makes: items with their versions, and what is planned about each.

Others' items are reached without making those people: the first two items of everybody (*anchors*) refer to nobody and
the third is a reply to somebody of a smaller index, so each can be made again from (seed, person) alone.
Decides nothing; ``truth.py`` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from demur.testing.cast import Profile, World, origin, profile
from demur.testing.dice import Dice
from demur.testing.grammar import TOPICS, decorate, lexicon, passage

_MOST_ITEMS = 400
CIRCLE = 3000
"""How many people around somebody they may answer, copy or name."""
_NARROW = ("public", "unlisted", "followers", "group", "direct", "unknown")


@dataclass(frozen=True, slots=True)
class Scene:
    """Where one item comes into being: the world, its maker, and chance of its own."""

    world: World
    who: Profile
    dice: Dice


@dataclass(slots=True)
class Work:
    """One item as planned: its rows and what the plan knows beyond them."""

    rows: list[dict[str, Any]]
    """Versions, oldest first; the last one stands."""
    tag: str | None
    """Language or dialect of the text; ``None`` = no text."""
    edge: str = ""
    planted: list[tuple[str, str]] = field(default_factory=list)
    """(type, value) of identifiers put into the text."""
    mentions: list[str] = field(default_factory=list)
    """Full names of people written out in the text."""
    copy_of: str | None = None
    """Item whose text it repeats without saying so."""
    copy_kind: str | None = None
    parent: tuple[int, int] | None = None
    """(person, number) of the item answered, when it exists."""
    original: tuple[int, int] | None = None
    """(person, number) of the anchor that it carries."""
    co_author: int | None = None

    @property
    def row(self) -> dict[str, Any]:
        """The version that stands."""
        return self.rows[-1]


def item_id(who: Profile, number: int) -> str:
    """Return the id of a person's item."""
    return f"{service_of(who, number)}:{who.index}-{number}"


def service_of(who: Profile, number: int) -> str:
    """Return the service an item is made on: linked accounts take turns."""
    return who.services[number % len(who.services)]


def count_of(world: World, index: int) -> int:
    """Return how many items a person makes: 15 on average, few people very many."""
    unit = Dice(world.seed, "count", index).unit()
    return min(_MOST_ITEMS, int(4 + 4.4 * max(unit, 1e-6) ** -0.6))


@lru_cache(maxsize=8192)
def anchor(world: World, index: int, number: int) -> Work:
    """Return one of the two items of a person that refer to nobody."""
    who = profile(world, index)
    dice = Dice(world.seed, "anchor", index, number)
    words = lexicon(who.tag)
    topic = dice.pick(TOPICS)
    text = decorate(passage(words, topic, dice, dice.between(2, 4)), topic, dice)
    audience = "public" if number == 0 else dice.weighted(_NARROW, (70, 6, 12, 6, 3, 3))
    row = first_row(Scene(world, who, dice), number, "post", audience=audience, text=text)
    if audience == "group":
        row.update(container_id=f"{row['service']}:club{index % 50}", container_audience="group")
    return Work([row], who.tag)


@lru_cache(maxsize=8192)
def answer(world: World, index: int) -> Work:
    """Return the third item of a person: a reply to an anchor or, one step further down, to another such reply."""
    who = profile(world, index)
    dice = Dice(world.seed, "answer", index)
    lower = alike(world, index, dice, below=index) if index else index
    parent = (lower, 2) if index and dice.chance(0.5) else (lower, dice.below(2))
    target = answer(world, lower) if parent[1] == 2 else anchor(world, *parent)
    topic = dice.pick(TOPICS)
    text = passage(lexicon(who.tag), topic, dice, dice.between(1, 2))
    row = first_row(Scene(world, who, dice), 2, "reply", text=text)
    row.update(parent_id=target.row["item_id"], parent_audience=target.row["audience"])
    row["mentions"] = [profile(world, lower).account(target.row["service"])]
    return Work([row], who.tag, parent=parent)


def first_row(
    scene: Scene, number: int, kind: str, *, audience: str = "public", text: str | None = None
) -> dict[str, Any]:
    """Return a person's item in its first version, with nothing odd about it."""
    world, who, dice = scene.world, scene.who, scene.dice
    service = service_of(who, number)
    created = dice.instant(who.joined_at, world.days(2))
    return {
        "item_id": f"{service}:{who.index}-{number}",
        "version_at": created,
        "state": "live",
        "service": service,
        "kind": kind,
        "account_id": f"{service}:u{who.index}",
        "co_account_ids": None,
        "created_at": created,
        "audience": audience,
        "container_id": None,
        "container_audience": None,
        "parent_id": None,
        "parent_audience": None,
        "original_id": None,
        "expires_at": None,
        "public_since": None,
        "addressed_to_ai": None,
        "text": text,
        "language": who.tag if dice.chance(0.4) else None,
        "rating": None,
        "mentions": None,
        "signal": None,
        "signal_origin": None,
        "special_category": None,
        "media_path": None,
        "media_type": None,
    }


def alike(world: World, index: int, dice: Dice, below: int | None = None) -> int:
    """Return somebody else nearby, who writes the same language when a few tries find one.

    Nearby means in the same circle of people, so that what a stream needs to know stays small.
    """
    tag = origin(world.seed, index)[1]
    span = min(world.people if below is None else below, CIRCLE)
    start = index - (span if below is not None else span // 2)
    found = index
    for _ in range(8):
        found = (start + dice.below(span)) % world.people
        if found != index and origin(world.seed, found)[1] == tag:
            break
    return found if found != index else (index + 1) % world.people
