"""What the plan intends for every item under the policy ``demur-strict`` at ``as_of``: the ground truth.

Plain ifs on what was planned, written without the policy room, so that the two can be held against each other. Where a
plan leaves several readings, ``primary`` is ``None`` (only ``allowed`` is claimed) or ``allowed`` is ``None`` too.
Takes for granted of ``demur-strict``: opt-out everywhere, 18 years now and at creation, 45 days from delivery, only
``public`` and only ``active``, a ``n`` signal denies, a missing one does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from demur.clock import adult_at
from demur.testing.cast import CAMPAIGN, EFFECTIVE_DAYS, NOTICE_DAYS, Profile, World, profile
from demur.testing.works import Work, anchor, answer

_ORDER = (
    "private_message", "audience_unknown", "not_public", "not_addressed_to_ai", "deleted", "expired", "created_unknown",
    "not_yet_created",
    "author_unknown", "status_unknown", "account_deleted", "account_memorial", "account_dormant",
    "account_organisation", "account_bot", "account_not_active", "compromised_window", "private_account_profile",
    "age_unknown", "age_conflict", "minor", "minor_at_creation", "held", "objected", "original_unknown",
    "original_objected", "original_withheld", "not_notified", "notice_period", "not_yet_effective", "signal_no",
    "kind_excluded", "special_category",
)  # fmt: skip
_WIDE_TO_NARROW = ("public", "unlisted", "followers", "group", "direct", "unknown")
_PROFILE = frozenset({"profile_name", "username", "bio", "profile_picture", "avatar"})
_ACTIVITY = frozenset({"group_activity", "page_activity", "channel_activity"})
_STATUS_REASONS = {
    "deleted": "account_deleted", "memorial": "account_memorial", "dormant": "account_dormant",
    "organisation": "account_organisation", "bot": "account_bot", "suspended": "account_not_active",
    "deactivated": "account_not_active",
}  # fmt: skip
HELD_COUNTRY, HELD_KIND = "CH", "photo"
_PROTECTING = frozenset({"objected", "original_objected", "held", "minor", "minor_at_creation", "private_message"})


@dataclass(frozen=True, slots=True)
class Expected:
    """What the plan intends for one item."""

    allowed: bool | None
    primary: str | None
    reasons: tuple[str, ...] | None
    """All reasons in their order; ``None`` = the plan leaves some open."""


@dataclass(frozen=True, slots=True)
class _Owner:
    """The human whose rules hold for an item: the registered one, or the next owner of a transferred account."""

    born_on: date | None
    is_next: bool


def expected(world: World, who: Profile, work: Work) -> Expected:
    """Return what is intended for an item of a person."""
    found = _reasons(world, who, work)
    open_ends = _open(work)
    if "primary" in open_ends:
        allowed = False if found else None
        return Expected(allowed, None, None)
    ordered = tuple(reason for reason in _ORDER if reason in found)
    return Expected(not ordered, ordered[0] if ordered else None, None if "reasons" in open_ends else ordered)


def protected(world: World, who: Profile, work: Work) -> bool:
    """Return whether copies of an item must not be used either, because of what its author is owed (COR-05)."""
    return bool(_PROTECTING & set(_reasons(world, who, work)))


def effective_audience(world: World, who: Profile, work: Work) -> str:
    """Return the narrowest of item, container, account and the chain of parents."""
    return _WIDE_TO_NARROW[_rank(world, who, work)]


def _rank(world: World, who: Profile, work: Work) -> int:
    row = work.row
    rank = _WIDE_TO_NARROW.index(row["audience"])
    if row["container_audience"] is not None:
        rank = max(rank, _WIDE_TO_NARROW.index(row["container_audience"]))
    if _hidden(world, who, work) and row["kind"] not in _PROFILE and row["container_audience"] != "public":
        rank = max(rank, _WIDE_TO_NARROW.index("followers"))
    if work.edge == "loop":
        return _WIDE_TO_NARROW.index("unknown")
    if work.parent is not None:
        return max(rank, _chain_rank(world, *work.parent))
    if row["parent_id"] is not None:
        return max(rank, _WIDE_TO_NARROW.index(row["parent_audience"] or "unknown"))
    return rank


def _hidden(world: World, who: Profile, work: Work) -> bool:
    """Return whether one of the accounts that made it is private."""
    if work.co_author is not None and profile(world, work.co_author).private:
        return True
    return who.private and work.row["account_id"] is not None


@lru_cache(maxsize=8192)
def _chain_rank(world: World, index: int, number: int) -> int:
    work = answer(world, index) if number == 2 else anchor(world, index, number)
    ends = work.row["expires_at"]
    if work.row["state"] == "deleted" or (ends is not None and ends <= world.as_of):
        return _WIDE_TO_NARROW.index("unknown")  # under what is gone nobody knows who sees anything
    return _rank(world, profile(world, index), work)


def _reasons(world: World, who: Profile, work: Work) -> set[str]:
    found = _item_reasons(world, who, work)
    if work.row["account_id"] is None:
        return found | {"author_unknown"}
    found |= _person_reasons(world, who, work)
    if work.co_author is not None:
        found |= _person_reasons(world, profile(world, work.co_author), work)
    return found | _original_reasons(world, work)


def _item_reasons(world: World, who: Profile, work: Work) -> set[str]:
    row = work.row
    found = _reach_reasons(row, effective_audience(world, who, work))
    if row["state"] == "deleted":
        found.add("deleted")
    if row["expires_at"] is not None and row["expires_at"] <= world.as_of:
        found.add("expired")
    if row["created_at"] is None:
        found.add("created_unknown")
    elif row["created_at"] > world.as_of:
        found.add("not_yet_created")
    if row["signal"] == "n":
        found.add("signal_no")
    if row["special_category"] is True and row["account_id"] is not None:
        found.add("special_category")
    if row["kind"] in {"metadata", "private_message", "friends_only"} and row["account_id"] is not None:
        found.add("kind_excluded")
    shown = row["kind"] in _PROFILE | _ACTIVITY or row["container_audience"] == "public"
    if shown and _hidden(world, who, work):
        found.add("private_account_profile")
    return found


def _reach_reasons(row: dict[str, Any], audience: str) -> set[str]:
    found: set[str] = set()
    to_ai = row["kind"] == "ai_chat" and row["addressed_to_ai"] is True
    if row["kind"] in {"private_message", "friends_only"}:
        found.add("private_message")
    if audience == "unknown":
        found.add("audience_unknown")
    elif audience != "public" and not to_ai:
        found.add("not_public")
    if row["kind"] == "ai_chat" and not to_ai:
        found.add("not_addressed_to_ai")
    return found


def _person_reasons(world: World, who: Profile, work: Work) -> set[str]:
    created = work.row["created_at"]
    owner = _owner(who, created)
    found = _age_reasons(world, who, owner, created)
    if who.status is None:
        found.add("status_unknown")
    elif who.status in _STATUS_REASONS:
        found.add(_STATUS_REASONS[who.status])
    if who.compromised is not None and (created is None or who.compromised[0] <= created < who.compromised[1]):
        found.add("compromised_window")
    if work.row["kind"] == HELD_KIND and (HELD_COUNTRY in _countries(who) or None in _countries(who) or owner.is_next):
        found.add("held")
    if _objected(world, who, work):
        found.add("objected")
    if who.signal == "n":
        found.add("signal_no")
    return found | _notice_reasons(world, who, owner)


def _owner(who: Profile, created: datetime | None) -> _Owner:
    if who.transferred_at is not None and created is not None and created >= who.transferred_at:
        return _Owner(who.next_born_on, is_next=True)
    return _Owner(who.born_on, is_next=False)


def _age_reasons(world: World, who: Profile, owner: _Owner, created: datetime | None) -> set[str]:
    if owner.born_on is None or who.special_age == "estimated":
        return {"age_unknown"}
    found = {"age_conflict"} if who.special_age == "conflict" else set()
    adult = adult_at(owner.born_on, 18)
    if world.as_of < adult:
        found.add("minor")
    if created is not None and created < adult:
        found.add("minor_at_creation")
    return found


def _countries(who: Profile) -> set[str | None]:
    return {who.country} | {home.country for home in who.homes}


def _objected(world: World, who: Profile, work: Work) -> bool:
    in_force = False
    for act, at, kinds, services in sorted(who.objections, key=lambda each: each[1]):
        if at > world.as_of:
            continue
        if act == "withdraw":
            in_force = in_force and _void(who, at)
        elif kinds is not None:
            in_force = in_force or work.row["kind"] in kinds
        elif services is not None:
            in_force = in_force or work.row["service"] in services
        else:
            in_force = True
    return in_force


def _void(who: Profile, withdrawn_at: datetime) -> bool:
    return who.compromised is not None and who.compromised[0] <= withdrawn_at < who.compromised[1]


def _notice_reasons(world: World, who: Profile, owner: _Owner) -> set[str]:
    since = [home.valid_from for home in who.homes if home.valid_from not in {None, who.joined_at}]
    since += [at for act, at, _, _ in who.objections if act == "withdraw" and at <= world.as_of and not _void(who, at)]
    if owner.born_on is not None and who.special_age != "estimated":
        since.append(adult_at(owner.born_on, 18))  # whoever comes of age is told again
    counting = [
        at
        for campaign, state, at in who.delivered
        if campaign == CAMPAIGN and state in {"delivered", "seen"} and at <= world.as_of
    ]
    counting = [at for at in counting if all(begin is None or at > begin for begin in since)]
    if not counting or owner.is_next:
        return {"not_notified"}
    told = min(counting).replace(hour=0, minute=0, second=0, microsecond=0)
    over = told + timedelta(days=NOTICE_DAYS + 1, hours=12)  # the last day is over where it ends last
    clock = max(over, world.days(EFFECTIVE_DAYS))
    return {"notice_period"} if world.as_of < clock else set()


def _original_reasons(world: World, work: Work) -> set[str]:
    if work.original is None:
        return {"original_unknown"} if work.row["original_id"] is not None else set()
    index, number = work.original
    theirs = _reasons(world, profile(world, index), anchor(world, index, number))
    if "objected" in theirs:
        return {"original_objected"}
    return {"original_withheld"} if theirs else set()


def _open(work: Work) -> set[str]:
    """Return what the plan leaves open for an item: ``primary``, ``reasons`` or nothing."""
    row = work.row
    if row["created_at"] is None:
        return {"reasons"}
    return set()
