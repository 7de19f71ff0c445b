"""The rest of what people make: a maker for each kind of content and for each thing that can be odd about an item.

Anchors and answers, which others can reach, are in ``works.py``. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from demur.terms.content import Kind
from demur.testing.cast import CASES, Profile, World, profile
from demur.testing.dice import Dice
from demur.testing.grammar import TOPICS, capital, decorate, lexicon, passage, say, sentence
from demur.testing.identifiers import TYPES, planted
from demur.testing.works import Scene, Work, alike, anchor, answer, count_of, first_row, item_id

_KINDS: tuple[str, ...] = tuple(kind.value for kind in Kind)
_WEIGHTS: dict[str, float] = {
    "post": 22, "comment": 20, "reply": 16, "reshare": 6, "quote": 4, "photo": 4, "caption": 4, "review": 4,
    "group_activity": 4, "ai_chat": 4, "private_message": 6, "friends_only": 3, "story": 2,
}  # fmt: skip
_KIND_WEIGHTS = tuple(_WEIGHTS.get(kind, 0.5) for kind in _KINDS)
_WITHOUT_TEXT = frozenset({"photo", "profile_picture", "avatar", "reaction", "rating", "voice", "video", "live_replay"})
_MEDIA = {"photo": "jpg", "story": "jpg", "profile_picture": "jpg", "voice": "wav"}
EDGES = (
    "deleted", "now_narrow", "now_public", "created_unknown", "author_unknown", "edited", "special",
    "not_special",
    "signal_no", "signal_yes", "audience_unknown", "exact_copy", "near_copy", "retweet_copy", "orphan", "co_author",
    "lost_original", "mention", "full_name", "planted", "planted", "held_photo", "planted",
)  # fmt: skip
"""What can be odd about one item; every fifth item or so carries one."""


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
        edge, kind = "planted" if who.index % 4 == 0 else EDGES[who.index % len(EDGES)], "post"
    elif dice.chance(0.12):
        edge = dice.pick(EDGES)
    scene = Scene(world, who, dice)
    made = _made(scene, number, kind)
    if edge and kind in {"post", "comment"}:
        made.edge = edge
        _EDGE_MAKERS[edge](made, scene)
    return made


def _made(scene: Scene, number: int, kind: str) -> Work:
    dice, words = scene.dice, lexicon(scene.who.tag)
    row = first_row(scene, number, kind)
    made = Work([row], scene.who.tag)
    maker = _KIND_MAKERS.get(kind)
    if maker is not None:
        maker(made, scene)
    if kind not in _WITHOUT_TEXT and row["text"] is None:
        topic = dice.pick(TOPICS)
        row["text"] = decorate(passage(words, topic, dice, dice.weighted((1, 2, 3, 4), (2, 5, 3, 1))), topic, dice)
    if kind in _MEDIA and dice.chance(0.25):
        ending = _MEDIA[kind]
        row["media_path"] = f"media/{row['item_id'].replace(':', '-')}.{ending}"
        row["media_type"] = "image/jpeg" if ending == "jpg" else "audio/wav"
    if row["text"] is None:
        made.tag = None
    return made


# Kinds -----------------------------------------------------------------------------------------------------------


def _answering(made: Work, scene: Scene) -> None:
    other = alike(scene.world, scene.who.index, scene.dice)
    made.parent = (other, scene.dice.below(3))
    target = answer(scene.world, other) if made.parent[1] == 2 else anchor(scene.world, *made.parent)
    made.row.update(parent_id=target.row["item_id"], parent_audience=target.row["audience"])
    if scene.dice.chance(0.3) and made.row["kind"] != "reaction":
        friend = profile(scene.world, other)
        words = lexicon(scene.who.tag)
        hello = say(words, "hello", scene.dice, name=f"@{friend.handle}")
        made.row["text"] = f"{hello}. {sentence(words, scene.dice.pick(TOPICS), scene.dice)}"
        made.row["mentions"] = [friend.account(target.row["service"])]


def _carrying(made: Work, scene: Scene) -> None:
    made.original = (alike(scene.world, scene.who.index, scene.dice), scene.dice.below(2))
    source = anchor(scene.world, *made.original).row
    made.row["original_id"] = source["item_id"]
    if made.row["kind"] == "reshare":
        made.row["text"] = source["text"]
        made.tag = profile(scene.world, made.original[0]).tag
    else:
        words = lexicon(scene.who.tag)
        own = f"{say(words, 'look', scene.dice)} “{source['text']}”"
        made.row["text"] = f"{own} {capital(scene.dice.pick(words.slots['feel']))}."


def _private(made: Work, scene: Scene) -> None:
    direct = made.row["kind"] == "private_message"
    made.row["audience"] = "direct" if direct else "followers"
    if direct and scene.dice.chance(0.3):
        _planted(made, scene)


def _grouped(made: Work, scene: Scene) -> None:
    closed = scene.dice.chance(0.35)
    what = {"page_activity": "page", "channel_activity": "channel"}.get(made.row["kind"], "club")
    made.row["container_id"] = f"{made.row['service']}:{what}{scene.dice.below(50)}{'c' if closed else 'o'}"
    made.row["container_audience"] = "group" if closed else "public"
    if closed and scene.dice.chance(0.5):
        made.row["audience"] = "group"


def _rated(made: Work, scene: Scene) -> None:
    made.row["rating"] = float(scene.dice.between(1, 5))


def _ai(made: Work, scene: Scene) -> None:
    words = lexicon(scene.who.tag)
    topic = scene.dice.pick(TOPICS)
    roll = scene.dice.below(3)  # a turn to the AI, the AI's answer to it, somebody else's turn in a group chat
    made.row["addressed_to_ai"] = roll < 2
    made.row["container_id"] = f"{made.row['service']}:chat{scene.who.index}-{made.row['item_id'].rpartition('-')[2]}"
    slot = ("please", "answer", "ask")[roll]
    made.row["text"] = f"{say(words, slot, scene.dice)} {passage(words, topic, scene.dice, 1 + roll % 2 * 2)}"
    made.row["audience"] = "direct"


def _story(made: Work, scene: Scene) -> None:
    late = scene.dice.chance(0.3)
    made.row["created_at"] = made.row["version_at"] = scene.world.days(1.5) if late else made.row["created_at"]
    made.row["expires_at"] = scene.world.days(-0.5) if late else made.row["created_at"] + timedelta(days=1)


def _bio(made: Work, scene: Scene) -> None:
    kind = made.row["kind"]
    made.row["text"] = {"profile_name": scene.who.name, "username": scene.who.handle}.get(kind)
    made.tag = scene.who.tag if kind == "bio" else None


# Edges -----------------------------------------------------------------------------------------------------------


def _later(made: Work, **changes: Any) -> None:
    moved = made.row["version_at"] + timedelta(hours=7)
    made.rows.append({**made.row, "version_at": moved, **changes})


def _planted(made: Work, scene: Scene) -> None:
    who, dice = scene.who, scene.dice
    words = lexicon(who.tag)
    number = made.row["item_id"].rpartition("-")[2]
    every_country = number == "6" and who.index % 4 == 0  # those people's countries take turns
    type_ = "national_id" if every_country else dice.pick(TYPES)
    slot = "reach" if type_ in {"email", "phone", "url", "handle"} else "number"
    type_, value = planted(type_, who.country or "DE", f"{who.index}-{number}", dice)
    made.planted.append((type_, value))
    before = made.row["text"] or passage(words, dice.pick(TOPICS), dice, 2)
    made.row["text"] = f"{before} {say(words, slot, dice, value=value)}."


def _deleted(made: Work, _scene: Scene) -> None:
    _later(made, state="deleted", text=None)


def _narrowed(made: Work, _scene: Scene) -> None:
    _later(made, audience="followers")


def _widened(made: Work, scene: Scene) -> None:
    made.row["audience"] = "followers"
    made.row["created_at"] = made.row["version_at"] = scene.dice.instant(scene.world.days(600), scene.world.days(420))
    at = scene.world.days(300)
    made.rows.append({**made.row, "version_at": at, "audience": "public", "public_since": at})


def _edited(made: Work, scene: Scene) -> None:
    words = lexicon(scene.who.tag)
    for _ in range(scene.dice.between(1, 3)):
        _later(made, text=passage(words, scene.dice.pick(TOPICS), scene.dice, 2))


def _copied(made: Work, scene: Scene) -> None:
    other = _owed(scene) if scene.dice.chance(0.3) else alike(scene.world, scene.who.index, scene.dice)
    source = anchor(scene.world, other, 0).row
    text: str = source["text"]
    made.copy_of, made.copy_kind = source["item_id"], made.edge
    made.tag = profile(scene.world, other).tag
    if made.edge == "near_copy":
        pieces = text.split(" ")
        words = lexicon(made.tag).slots
        for _ in range(scene.dice.between(1, 2)):
            pieces[scene.dice.below(len(pieces))] = scene.dice.pick(words["place"]).rpartition(" ")[2]
        text = " ".join(pieces)
    elif made.edge == "retweet_copy":
        text = f"RT @{profile(scene.world, other).handle}: {text}"
    made.row["text"] = text
    made.row["created_at"] = made.row["version_at"] = max(
        made.row["created_at"], _late(source["created_at"], scene.world)
    )


def _owed(scene: Scene) -> int:
    """Return somebody near whose words nobody may use: one who objected or is a minor (COR-05)."""
    turn = CASES.index(scene.dice.pick(("objected", "linked_objected", "minor")))
    found = 5 * (len(CASES) * (scene.who.index // (5 * len(CASES))) + turn) + 1
    is_there = found < scene.world.people and found != scene.who.index
    return found if is_there else alike(scene.world, scene.who.index, scene.dice)


def _late(earlier: datetime, world: World) -> datetime:
    return min(earlier + timedelta(hours=3), world.days(1))


def _orphan(made: Work, scene: Scene) -> None:
    known = scene.dice.chance(0.5)
    made.row.update(
        kind="comment",
        parent_id=f"{made.row['service']}:gone-{made.row['item_id'].rpartition(':')[2]}",
        parent_audience="public" if known else None,
    )
    made.parent = None


def _co_author(made: Work, scene: Scene) -> None:
    made.co_author = alike(scene.world, scene.who.index, scene.dice)
    made.row["co_account_ids"] = [profile(scene.world, made.co_author).account()]


def _lost(made: Work, scene: Scene) -> None:
    made.row.update(kind="reshare", original_id=f"{made.row['service']}:lost-{scene.who.index}")


def _named(made: Work, scene: Scene) -> None:
    friend = profile(scene.world, alike(scene.world, scene.who.index, scene.dice))
    words = lexicon(scene.who.tag)
    by_handle = made.edge == "mention"
    hello = say(words, "hello", scene.dice, name=f"@{friend.handle}" if by_handle else friend.name)
    made.row["text"] = f"{hello}. {made.row['text']}"
    made.row["mentions"] = [friend.account()] if by_handle else None
    made.mentions.append(friend.name if not by_handle else f"@{friend.handle}")


def _held_photo(made: Work, _scene: Scene) -> None:
    made.row.update(kind="photo", text=None)
    made.tag = None


def _changed(**changes: Any) -> Callable[[Work, Scene], None]:
    def change(made: Work, _scene: Scene) -> None:
        made.row.update(changes)

    return change


def _loop(world: World, who: Profile) -> Iterator[Work]:
    """Two replies that answer each other: no audience can be told from them."""
    ids = [item_id(who, 3), item_id(who, 4)]
    for number, other in ((3, ids[1]), (4, ids[0])):
        scene = Scene(world, who, Dice(world.seed, "loop", who.index, number))
        text = passage(lexicon(who.tag), scene.dice.pick(TOPICS), scene.dice, 2)
        row = first_row(scene, number, "reply", text=text)
        row.update(parent_id=other, parent_audience="public")
        yield Work([row], who.tag, edge="loop")


_Maker = Callable[[Work, Scene], None]
_KIND_MAKERS: dict[str, _Maker] = {
    "reshare": _carrying, "quote": _carrying, "private_message": _private, "friends_only": _private,
    "group_activity": _grouped, "page_activity": _grouped, "channel_activity": _grouped, "event": _grouped,
    "review": _rated, "rating": _rated, "ai_chat": _ai, "story": _story,
    "bio": _bio, "profile_name": _bio, "username": _bio,
    "reply": _answering, "comment": _answering, "reaction": _answering, "ai_feedback": _answering,
}  # fmt: skip
_EDGE_MAKERS: dict[str, _Maker] = {
    "deleted": _deleted, "now_narrow": _narrowed, "now_public": _widened, "edited": _edited,
    "created_unknown": _changed(created_at=None), "author_unknown": _changed(account_id=None),
    "special": _changed(special_category=True), "not_special": _changed(special_category=False),
    "signal_no": _changed(signal="n", signal_origin="content-usage"),
    "signal_yes": _changed(signal="y", signal_origin="content-usage"),
    "audience_unknown": _changed(audience="unknown"), "exact_copy": _copied, "near_copy": _copied,
    "retweet_copy": _copied, "orphan": _orphan, "co_author": _co_author, "lost_original": _lost,
    "mention": _named, "full_name": _named, "planted": _planted, "held_photo": _held_photo,
}  # fmt: skip
