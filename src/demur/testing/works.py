"""What one person makes: items with their versions, and what is planned about each.

Others' items are reached without making those people: the first two items of everybody (*anchors*) refer to nobody and
the third is a reply to somebody of a smaller index, so each can be made again from (seed, person) alone.
Decides nothing; ``truth.py`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from demur.testing.cast import Profile, World, origin, profile
from demur.testing.dice import Dice
from demur.testing.grammar import TOPICS, Lexicon, capital, decorate, lexicon, passage, say, sentence
from demur.testing.identifiers import TYPES, planted
from demur.terms.content import Kind

_MOST_ITEMS = 400
_KINDS: tuple[str, ...] = tuple(kind.value for kind in Kind)
_WEIGHTS: dict[str, float] = {
    "post": 22, "comment": 20, "reply": 16, "reshare": 6, "quote": 4, "photo": 4, "caption": 4, "review": 4,
    "group_activity": 4, "ai_chat": 4, "private_message": 6, "friends_only": 3, "story": 2,
}  # fmt: skip
_KIND_WEIGHTS = tuple(_WEIGHTS.get(kind, 0.5) for kind in _KINDS)
_ANSWERS = frozenset({"reply", "comment", "reaction", "ai_feedback"})
_WITHOUT_TEXT = frozenset({"photo", "profile_picture", "avatar", "reaction", "rating", "voice", "video", "live_replay"})
_MEDIA = {"photo": "jpg", "story": "jpg", "profile_picture": "jpg", "voice": "wav"}
_NARROW = ("public", "unlisted", "followers", "group", "direct", "unknown")
EDGES = (
    "deleted", "expired_audience", "now_public", "created_unknown", "author_unknown", "edited", "special", "not_special",
    "signal_no", "signal_yes", "audience_unknown", "exact_copy", "near_copy", "retweet_copy", "orphan", "co_author",
    "lost_original", "mention", "full_name", "planted", "planted", "planted", "held_photo",
)  # fmt: skip
"""What can be odd about one item; every fifth item or so carries one."""


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
    row = _row(world, who, number, "post", dice, audience=audience, text=text)
    if audience == "group":
        row.update(container_id=f"{row['service']}:club{index % 50}", container_audience="group")
    return Work([row], who.tag)


@lru_cache(maxsize=8192)
def answer(world: World, index: int) -> Work:
    """Return the third item of a person: a reply to an anchor or, one step further down, to another such reply."""
    who = profile(world, index)
    dice = Dice(world.seed, "answer", index)
    lower = _alike(world, index, dice, below=index) if index else index
    parent = (lower, 2) if index and dice.chance(0.5) else (lower, dice.below(2))
    target = answer(world, lower) if parent[1] == 2 else anchor(world, *parent)
    topic = dice.pick(TOPICS)
    row = _row(world, who, 2, "reply", dice, text=passage(lexicon(who.tag), topic, dice, dice.between(1, 2)))
    row.update(parent_id=target.row["item_id"], parent_audience=target.row["audience"])
    row["mentions"] = [profile(world, lower).account(target.row["service"])]
    return Work([row], who.tag, parent=parent)


def works(world: World, index: int) -> Iterator[Work]:
    """Yield all items of one person, in the order of their numbers."""
    who = profile(world, index)
    yield from (anchor(world, index, 0), anchor(world, index, 1), answer(world, index))
    if who.case == "loop":
        yield from _loop(world, who)
    for number in range(5, 2 + count_of(world, index)):
        yield _further(world, who, number)


def _further(world: World, who: Profile, number: int) -> Work:
    dice = Dice(world.seed, "work", who.index, number)
    kind = _KINDS[who.index % len(_KINDS)] if number == 5 else dice.weighted(_KINDS, _KIND_WEIGHTS)
    edge = ""
    if number == 6:
        edge, kind = EDGES[who.index % len(EDGES)], "post"
    elif dice.chance(0.12):
        edge = dice.pick(EDGES)
    made = _made(world, who, number, kind, dice)
    maker = _EDGE_MAKERS.get(edge)
    if maker is not None and kind in {"post", "comment"}:
        made.edge = edge
        maker(world, who, made, dice)
    return made


def _made(world: World, who: Profile, number: int, kind: str, dice: Dice) -> Work:
    row = _row(world, who, number, kind, dice)
    made = Work([row], who.tag)
    maker = _KIND_MAKERS.get(kind)
    if maker is not None:
        maker(world, who, made, dice)
    elif kind in _ANSWERS:
        _answering(world, who, made, dice)
    if kind not in _WITHOUT_TEXT and row["text"] is None:
        topic = dice.pick(TOPICS)
        sentences = dice.weighted((1, 2, 3, 4), (2, 5, 3, 1))
        row["text"] = decorate(passage(lexicon(who.tag), topic, dice, sentences), topic, dice)
    if kind in _MEDIA and dice.chance(0.25):
        ending = _MEDIA[kind]
        row["media_path"] = f"media/{row['item_id'].replace(':', '-')}.{ending}"
        row["media_type"] = "image/jpeg" if ending == "jpg" else "audio/wav"
    if row["text"] is None:
        made.tag = None
    return made


def _row(
    world: World,
    who: Profile,
    number: int,
    kind: str,
    dice: Dice,
    audience: str = "public",
    text: str | None = None,
) -> dict[str, Any]:
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


def _alike(world: World, index: int, dice: Dice, below: int | None = None) -> int:
    """Return somebody else, who writes the same language when a few tries find one."""
    bound = world.people if below is None else below
    tag = origin(world.seed, index)[1]
    found = index
    for _ in range(8):
        found = dice.below(bound)
        if found != index and origin(world.seed, found)[1] == tag:
            break
    return found if found != index else (index + 1) % bound


# Kinds -----------------------------------------------------------------------------------------------------------


def _answering(world: World, who: Profile, made: Work, dice: Dice) -> None:
    other = _alike(world, who.index, dice)
    made.parent = (other, dice.below(3))
    target = answer(world, other) if made.parent[1] == 2 else anchor(world, *made.parent)
    made.row.update(parent_id=target.row["item_id"], parent_audience=target.row["audience"])
    if dice.chance(0.3) and made.row["kind"] != "reaction":
        friend = profile(world, other)
        words = lexicon(who.tag)
        hello = say(words, "hello", dice, name=f"@{friend.handle}")
        made.row["text"] = f"{hello}. {sentence(words, dice.pick(TOPICS), dice)}"
        made.row["mentions"] = [friend.account(target.row["service"])]


def _carrying(world: World, who: Profile, made: Work, dice: Dice) -> None:
    made.original = (_alike(world, who.index, dice), dice.below(2))
    source = anchor(world, *made.original).row
    made.row["original_id"] = source["item_id"]
    if made.row["kind"] == "reshare":
        made.row["text"] = source["text"]
        made.tag = profile(world, made.original[0]).tag
    else:
        words = lexicon(who.tag)
        own = f"{say(words, 'look', dice)} “{source['text']}”"
        made.row["text"] = f"{own} {capital(dice.pick(words.slots['feel']))}."


def _private(world: World, who: Profile, made: Work, dice: Dice) -> None:
    direct = made.row["kind"] == "private_message"
    made.row["audience"] = "direct" if direct else "followers"
    if direct and dice.chance(0.3):
        _plant(who, made, dice)


def _grouped(world: World, who: Profile, made: Work, dice: Dice) -> None:
    closed = dice.chance(0.35)
    what = {"page_activity": "page", "channel_activity": "channel"}.get(made.row["kind"], "club")
    made.row["container_id"] = f"{made.row['service']}:{what}{dice.below(50)}{'c' if closed else 'o'}"
    made.row["container_audience"] = "group" if closed else "public"
    if closed and dice.chance(0.5):
        made.row["audience"] = "group"


def _rated(world: World, who: Profile, made: Work, dice: Dice) -> None:
    made.row["rating"] = float(dice.between(1, 5))


def _ai(world: World, who: Profile, made: Work, dice: Dice) -> None:
    words = lexicon(who.tag)
    topic = dice.pick(TOPICS)
    roll = dice.below(3)  # a turn to the AI, the AI's answer to it, somebody else's turn in a group chat
    made.row["addressed_to_ai"] = roll < 2
    made.row["container_id"] = f"{made.row['service']}:chat{who.index}-{made.row['item_id'].rpartition('-')[2]}"
    slot = ("please", "answer", "ask")[roll]
    made.row["text"] = f"{say(words, slot, dice)} {passage(words, topic, dice, 1 + roll % 2 * 2)}"
    made.row["audience"] = "direct"


def _story(world: World, who: Profile, made: Work, dice: Dice) -> None:
    late = dice.chance(0.3)
    made.row["created_at"] = made.row["version_at"] = world.days(1.5) if late else made.row["created_at"]
    made.row["expires_at"] = world.days(-0.5) if late else made.row["created_at"] + timedelta(days=1)


def _bio(world: World, who: Profile, made: Work, dice: Dice) -> None:
    kind = made.row["kind"]
    made.row["text"] = {"profile_name": who.name, "username": who.handle}.get(kind)
    made.tag = who.tag if kind == "bio" else None


# Edges -----------------------------------------------------------------------------------------------------------


def _later(made: Work, **changes: Any) -> None:
    moved = made.row["version_at"] + timedelta(hours=7)
    made.rows.append({**made.row, "version_at": moved, **changes})


def _plant(who: Profile, made: Work, dice: Dice) -> None:
    words = lexicon(who.tag)
    number = made.row["item_id"].rpartition("-")[2]
    type_ = dice.pick(TYPES)
    slot = "reach" if type_ in {"email", "phone", "url", "handle"} else "number"
    type_, value = planted(type_, who.country or "DE", f"{who.index}-{number}", dice)
    made.planted.append((type_, value))
    before = made.row["text"] or passage(words, dice.pick(TOPICS), dice, 2)
    made.row["text"] = f"{before} {say(words, slot, dice, value=value)}."


def _deleted(world: World, who: Profile, made: Work, dice: Dice) -> None:
    _later(made, state="deleted", text=None)


def _narrowed(world: World, who: Profile, made: Work, dice: Dice) -> None:
    _later(made, audience="followers")


def _widened(world: World, who: Profile, made: Work, dice: Dice) -> None:
    made.row["audience"] = "followers"
    made.row["created_at"] = made.row["version_at"] = dice.instant(world.days(600), world.days(420))
    at = world.days(300)
    made.rows.append({**made.row, "version_at": at, "audience": "public", "public_since": at})


def _edited(world: World, who: Profile, made: Work, dice: Dice) -> None:
    words = lexicon(who.tag)
    for _ in range(dice.between(1, 3)):
        _later(made, text=passage(words, dice.pick(TOPICS), dice, 2))


def _copied(world: World, who: Profile, made: Work, dice: Dice) -> None:
    other = _alike(world, who.index, dice)
    source = anchor(world, other, 0).row
    text: str = source["text"]
    made.copy_of, made.copy_kind = source["item_id"], made.edge
    made.tag = profile(world, other).tag
    if made.edge == "near_copy":
        pieces = text.split(" ")
        at = dice.below(len(pieces))
        pieces[at] = pieces[at].upper() if pieces[at] != pieces[at].upper() else f"{pieces[at]}!"
        text = " ".join([*pieces, "!"])
    elif made.edge == "retweet_copy":
        text = f"RT @{profile(world, other).handle}: {text}"
    made.row["text"] = text
    made.original = None
    made.row["created_at"] = made.row["version_at"] = max(made.row["created_at"], _late(source["created_at"], world))


def _late(earlier: datetime, world: World) -> datetime:
    return min(earlier + timedelta(hours=3), world.days(1))


def _orphan(world: World, who: Profile, made: Work, dice: Dice) -> None:
    known = dice.chance(0.5)
    made.row.update(
        kind="comment",
        parent_id=f"{made.row['service']}:gone-{made.row['item_id'].rpartition(':')[2]}",
        parent_audience="public" if known else None,
    )
    made.parent = None


def _co_author(world: World, who: Profile, made: Work, dice: Dice) -> None:
    made.co_author = _alike(world, who.index, dice)
    made.row["co_account_ids"] = [profile(world, made.co_author).account()]


def _lost(world: World, who: Profile, made: Work, dice: Dice) -> None:
    made.row.update(kind="reshare", original_id=f"{made.row['service']}:lost-{who.index}")


def _named(world: World, who: Profile, made: Work, dice: Dice) -> None:
    friend = profile(world, _alike(world, who.index, dice))
    words = lexicon(who.tag)
    by_handle = made.edge == "mention"
    hello = say(words, "hello", dice, name=f"@{friend.handle}" if by_handle else friend.name)
    made.row["text"] = f"{hello}. {made.row['text']}"
    made.row["mentions"] = [friend.account()] if by_handle else None
    made.mentions.append(friend.name if not by_handle else f"@{friend.handle}")


def _held_photo(world: World, who: Profile, made: Work, dice: Dice) -> None:
    made.row.update(kind="photo", text=None)
    made.tag = None


def _changed(**changes: Any) -> Callable[[World, Profile, Work, Dice], None]:
    def change(world: World, who: Profile, made: Work, dice: Dice) -> None:
        made.row.update(changes)

    return change


def _planted(world: World, who: Profile, made: Work, dice: Dice) -> None:
    _plant(who, made, dice)


def _loop(world: World, who: Profile) -> Iterator[Work]:
    """Two replies that answer each other: no audience can be told from them."""
    ids = [item_id(who, 3), item_id(who, 4)]
    for number, other in ((3, ids[1]), (4, ids[0])):
        dice = Dice(world.seed, "loop", who.index, number)
        text = passage(lexicon(who.tag), dice.pick(TOPICS), dice, 2)
        row = _row(world, who, number, "reply", dice, text=text)
        row.update(parent_id=other, parent_audience="public")
        yield Work([row], who.tag, edge="loop")


_Maker = Callable[[World, Profile, Work, Dice], None]
_KIND_MAKERS: dict[str, _Maker] = {
    "reshare": _carrying, "quote": _carrying, "private_message": _private, "friends_only": _private,
    "group_activity": _grouped, "page_activity": _grouped, "channel_activity": _grouped, "event": _grouped,
    "review": _rated, "rating": _rated, "ai_chat": _ai, "story": _story,
    "bio": _bio, "profile_name": _bio, "username": _bio,
}  # fmt: skip
_EDGE_MAKERS: dict[str, _Maker] = {
    "deleted": _deleted, "expired_audience": _narrowed, "now_public": _widened, "edited": _edited,
    "created_unknown": _changed(created_at=None), "author_unknown": _changed(account_id=None),
    "special": _changed(special_category=True), "not_special": _changed(special_category=False),
    "signal_no": _changed(signal="n", signal_origin="content-usage"),
    "signal_yes": _changed(signal="y", signal_origin="content-usage"),
    "audience_unknown": _changed(audience="unknown"), "exact_copy": _copied, "near_copy": _copied,
    "retweet_copy": _copied, "orphan": _orphan, "co_author": _co_author, "lost_original": _lost,
    "mention": _named, "full_name": _named, "planted": _planted, "held_photo": _held_photo,
}  # fmt: skip
