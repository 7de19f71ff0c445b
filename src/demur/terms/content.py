"""What people make: kinds of content, who could see it, and where an item stands."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """Kind of an item (REQUIREMENTS §5.4). Anything else is quarantined (INT-02)."""

    POST = "post"
    COMMENT = "comment"
    REPLY = "reply"
    RESHARE = "reshare"
    QUOTE = "quote"
    PHOTO = "photo"
    CAPTION = "caption"
    ALT_TEXT = "alt_text"
    STORY = "story"
    HIGHLIGHT = "highlight"
    REEL = "reel"
    VIDEO = "video"
    LIVE_REPLAY = "live_replay"
    VOICE = "voice"
    PROFILE_NAME = "profile_name"
    USERNAME = "username"
    BIO = "bio"
    PROFILE_PICTURE = "profile_picture"
    AVATAR = "avatar"
    GROUP_ACTIVITY = "group_activity"
    PAGE_ACTIVITY = "page_activity"
    CHANNEL_ACTIVITY = "channel_activity"
    EVENT = "event"
    REVIEW = "review"
    RATING = "rating"
    POLL = "poll"
    REACTION = "reaction"
    AI_CHAT = "ai_chat"
    AI_FEEDBACK = "ai_feedback"
    PRIVATE_MESSAGE = "private_message"
    FRIENDS_ONLY = "friends_only"
    METADATA = "metadata"


PRIVATE_KINDS = frozenset({Kind.PRIVATE_MESSAGE, Kind.FRIENDS_ONLY})
"""No policy can admit these (INT-05)."""

PROFILE_KINDS = frozenset({Kind.PROFILE_NAME, Kind.USERNAME, Kind.BIO, Kind.PROFILE_PICTURE, Kind.AVATAR})
"""Fields of a profile: out for private accounts by default (X6)."""

ACTIVITY_KINDS = frozenset({Kind.GROUP_ACTIVITY, Kind.PAGE_ACTIVITY, Kind.CHANNEL_ACTIVITY})
"""What people do in groups, pages and channels: out for private accounts by default, like whatever else they make in a
public one (X6)."""

COPY_KINDS = frozenset({Kind.RESHARE, Kind.QUOTE})
"""Kinds that carry somebody else's content; ``original_id`` names it (TPD-02)."""


class Audience(StrEnum):
    """Who could see an item, from widest to narrowest; ``unknown`` counts as narrowest."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    FOLLOWERS = "followers"
    GROUP = "group"
    DIRECT = "direct"
    UNKNOWN = "unknown"


NARROWNESS: dict[str, int] = {audience.value: rank for rank, audience in enumerate(Audience)}
"""Audience → rank; the effective audience is the one of the highest rank (INT-04)."""


class ItemState(StrEnum):
    """Whether the item still stands at its source."""

    LIVE = "live"
    DELETED = "deleted"


class Signal(StrEnum):
    """A machine-readable preference about AI training that came with the item (REQUIREMENTS §5.8)."""

    YES = "y"
    NO = "n"
