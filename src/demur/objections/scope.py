"""The finer choices that pages offer, each with the kinds of content that it means. Nobody has to look at them."""

from __future__ import annotations

from collections.abc import Iterable

from demur.terms.content import ACTIVITY_KINDS, PROFILE_KINDS, Kind

PARTS: dict[str, frozenset[Kind]] = {
    "posts": frozenset({Kind.POST, Kind.COMMENT, Kind.REPLY, Kind.RESHARE, Kind.QUOTE, Kind.EVENT, Kind.POLL}),
    "pictures": frozenset({Kind.PHOTO, Kind.CAPTION, Kind.ALT_TEXT, Kind.STORY, Kind.HIGHLIGHT, Kind.REEL, Kind.VIDEO,
                           Kind.LIVE_REPLAY, Kind.VOICE}),
    "profile": PROFILE_KINDS,
    "reviews": frozenset({Kind.REVIEW, Kind.RATING, Kind.REACTION}),
    "activity": ACTIVITY_KINDS,
    "chats": frozenset({Kind.AI_CHAT, Kind.AI_FEEDBACK}),
}  # fmt: skip
"""Name → kinds; the phrases are ``objection.kind_<name>``."""


def kinds_of(parts: Iterable[str]) -> list[str] | None:
    """Return the kinds of some parts; nothing chosen, or something that nobody offered, means everything (OBJ-02).

    >>> kinds_of(["chats"]), kinds_of([]), kinds_of(["chats", "x"])
    (['ai_chat', 'ai_feedback'], None, None)
    """
    chosen = set(parts)
    if not chosen or not chosen <= PARTS.keys():
        return None
    return sorted({kind.value for part in chosen for kind in PARTS[part]})


def parts_of(kinds: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the parts that some kinds make up, and the kinds that are left.

    >>> parts_of(["ai_chat", "ai_feedback", "post"])
    (['chats'], ['post'])
    """
    left = set(kinds)
    whole = [name for name, members in PARTS.items() if {kind.value for kind in members} <= left]
    for name in whole:
        left -= {kind.value for kind in PARTS[name]}
    return whole, sorted(left)
