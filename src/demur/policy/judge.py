"""One item, judged in plain Python: gather its facts from the rows about it, then ask the rules.

Pure: rows come from whoever implements ``Rows`` (a dictionary in tests, Parquet files in ``explain.py``). The table
reading in ``columns.py`` must give the same for every item; a property test holds them equal.

This module does *not* know files, the engine, or what an item says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

from demur.clock import adult_at
from demur.policy.decide import Allowed, Decision, Withheld, decide
from demur.policy.facts import (
    AuthorFacts,
    Facts,
    ItemFacts,
    clock_needed,
    clock_of,
    delivered_to,
    effective_at,
    latest,
    notified_at,
    over_at,
    plus_days,
)
from demur.policy.resolve import KNOWN, Resolution, resolve
from demur.policy.rules import Rulebook
from demur.terms.content import COPY_KINDS, NARROWNESS, PROFILE_KINDS, Audience, ItemState, Kind
from demur.terms.reasons import Reason, bits, reasons_of

Row = Mapping[str, Any]

UNKNOWN_RANK = NARROWNESS[Audience.UNKNOWN.value]
FOLLOWERS_RANK = NARROWNESS[Audience.FOLLOWERS.value]
AUDIENCES = tuple(audience.value for audience in Audience)
OBJECTION_BITS = bits({Reason.OBJECTED, Reason.SUPPRESSED})
COPY_BITS = bits({Reason.ORIGINAL_UNKNOWN, Reason.ORIGINAL_OBJECTED, Reason.ORIGINAL_WITHHELD})


class Rows(Protocol):
    """Where the facts about an item come from; ``None`` or nothing = not known."""

    def item(self, item_id: str) -> Row | None:
        """Return the row of ITEMS."""
        ...

    def epochs(self, account_id: str) -> Iterable[Row]:
        """Return the rows of ACCOUNTS, one an ownership epoch."""
        ...

    def standing(self, person_id: str) -> Row | None:
        """Return the row of STANDING."""
        ...

    def residence(self, person_id: str) -> Iterable[Row]:
        """Return the rows of RESIDENCE."""
        ...

    def suppressed(self, item_id: str) -> bool:
        """Return whether the item stands in SUPPRESSED."""
        ...


@dataclass(frozen=True, slots=True)
class AuthorView:
    """One possible author of an item, as the rules saw them."""

    account_id: str | None
    facts: Facts
    resolution: Resolution | None
    """The terms that counted; ``None`` = the author is unknown."""
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The decision about one item, with what led to it."""

    item_id: str
    decision: Decision
    person_id: str | None
    countries: frozenset[str] | None
    kind: str
    audience: str
    authors: tuple[AuthorView, ...]

    @property
    def mask(self) -> int:
        """All reasons as a mask."""
        return bits(set(self.decision.reasons)) if isinstance(self.decision, Withheld) else 0


class Judge:
    """Decides single items of one snapshot and standing under one rulebook.

    Args:
        rows: the tables.
        book: the rules.
    """

    def __init__(self, rows: Rows, book: Rulebook) -> None:
        self._rows = rows
        self._book = book
        self._resolve: Callable[[frozenset[str] | None], Resolution] = lru_cache(maxsize=None)(
            lambda countries: resolve(book.policy, countries, book.as_of)
        )

    def judge(self, item_id: str) -> Judgement:
        """Return the decision about an item of the snapshot, and all that led to it."""
        item = self._item(item_id)
        copy = self._copy_facts(item)
        authors = [self._author_view(item, account, epoch, copy) for account, epoch in self._authors(item)]
        mask = _or(bits(set(view.reasons)) for view in authors)
        main = authors[0]
        return Judgement(
            item_id=item_id,
            decision=Withheld(reasons_of(mask)) if mask else Allowed(),
            person_id=main.facts.person_id,
            countries=main.facts.countries,
            kind=item["kind"],
            audience=AUDIENCES[self._circle(item)],
            authors=tuple(authors),
        )

    def _item(self, item_id: str) -> Row:
        found = self._rows.item(item_id)
        if found is None:
            raise KeyError(item_id)
        return found

    # -- authors -----------------------------------------------------------------------------------------------------

    def _authors(self, item: Row) -> list[tuple[str | None, Row | None]]:
        """Return every account and ownership epoch that may have made the item; the main one first (PPL-06, PPL-08).

        When several epochs of the author's account are possible, the author is unknown *and* every one of them counts.
        """
        main = item["account_id"]
        own = self._epochs(main, item["created_at"])
        head: list[tuple[str | None, Row | None]] = [(main, own[0] if len(own) == 1 else None)]
        if len(own) > 1:
            head += [(main, epoch) for epoch in own]
        for account in item["co_account_ids"] or ():
            found = self._epochs(account, item["created_at"])
            head += [(account, epoch) for epoch in found] or [(account, None)]
        return head

    def _epochs(self, account_id: str | None, created_at: datetime | None) -> list[Row]:
        if account_id is None:
            return []
        return [
            epoch
            for epoch in self._rows.epochs(account_id)
            if created_at is None or _within(created_at, epoch["owned_from"], epoch["owned_until"])
        ]

    def _author_view(self, item: Row, account: str | None, epoch: Row | None, copy: Mapping[str, Any]) -> AuthorView:
        author, resolution = self._author_facts(epoch, item["created_at"], item["kind"])
        facts = Facts(
            **_plain(self._item_facts(item)),
            **_plain(author),
            **copy,
            public_enough_at=plus_days(item["public_since"] or item["created_at"], author.min_public_days),
        )
        decision = decide(facts, self._book)
        return AuthorView(account, facts, resolution, decision.reasons if isinstance(decision, Withheld) else ())

    def _author_facts(
        self, epoch: Row | None, created_at: datetime | None, kind: str
    ) -> tuple[AuthorFacts, Resolution | None]:
        if epoch is None:
            return AuthorFacts(), None
        person = self._rows.standing(epoch["person_id"])
        if person is None:
            return AuthorFacts(private=epoch["private"]), None
        countries = self._countries(person, created_at)
        resolution = self._resolve(countries)
        return _known_author(epoch, person, countries, resolution, self._book.policy.purpose, kind), resolution

    def _countries(self, person: Row, created_at: datetime | None) -> frozenset[str] | None:
        """Return the countries that count: now, at the notice, at creation (PPL-04); one unknown makes all unknown."""
        spans = self._rows.residence(person["person_id"])
        then = [
            row["country"]
            for row in spans
            if created_at is None or _within(created_at, row["valid_from"], row["valid_until"])
        ]
        at_notice = person["countries_at_notice"] or ([None] if delivered_to(person) else [])
        every = [*(then or [None]), *(person["countries_now"] or [None]), *at_notice]
        return frozenset(every) if KNOWN.issuperset(every) else None

    # -- the item and what hangs on it -------------------------------------------------------------------------------

    def _item_facts(self, item: Row) -> ItemFacts:
        return ItemFacts(
            kind=item["kind"],
            service=item["service"],
            state=item["state"],
            audience=AUDIENCES[self._circle(item)],
            in_public_group=_in_public_group(item),
            addressed_to_ai=item["addressed_to_ai"],
            created_at=item["created_at"],
            expires_at=item["expires_at"],
            item_signal=item["signal"],
            special_category=item["special_category"],
            suppressed=self._rows.suppressed(item["item_id"]),
        )

    def _circle(self, item: Row) -> int:
        """Return the rank of the effective audience: the narrowest up the whole chain of parents (INT-04).

        Under what is deleted, or over, nobody knows who can still see anything.
        """
        rank, seen = self._own_circle(item), {item["item_id"]}
        while item["parent_id"] is not None:
            if item["parent_id"] in seen:
                return UNKNOWN_RANK
            parent = self._rows.item(item["parent_id"])
            if parent is None:
                return max(rank, rank_of(item["parent_audience"]))
            item = parent
            seen.add(item["item_id"])
            rank = max(rank, self._own_circle(item) if stands(item, self._book.as_of) else UNKNOWN_RANK)
        return rank

    def _own_circle(self, item: Row) -> int:
        rank = rank_of(item["audience"])
        if item["container_audience"] is not None:
            rank = max(rank, rank_of(item["container_audience"]))
        if _in_public_group(item) or item["kind"] in PROFILE_KINDS:
            return rank
        hidden = any(self._may_be_private(item, account, epoch) for account, epoch in self._authors(item))
        return max(rank, FOLLOWERS_RANK) if hidden else rank

    def _may_be_private(self, item: Row, account: str | None, epoch: Row | None) -> bool:
        """Whether the account narrows the item. Nobody's does not; one that is named and that nobody knows does."""
        if epoch is None:
            return account is not None and not self._epochs(account, item["created_at"])
        return epoch["private"] is not False

    def _copy_facts(self, item: Row) -> dict[str, Any]:
        """Return what a copy inherits from everything that it carries, up to the root (TPD-02)."""
        unknown, mask, seen = False, 0, {item["item_id"]}
        while True:
            if item["original_id"] is None:
                unknown |= item["kind"] in COPY_KINDS
                break
            original = self._rows.item(item["original_id"])
            if original is None:
                unknown = True
                break
            item = original
            mask |= self._own_mask(item)
            if item["item_id"] in seen:  # a circle: nobody knows whose content it is
                unknown = True
                break
            seen.add(item["item_id"])
        objected = bool(mask & OBJECTION_BITS)
        return {
            "original_unknown": unknown,
            "original_objected": objected,
            "original_withheld": bool(mask) and not objected,
        }

    def _own_mask(self, item: Row) -> int:
        views = [self._author_view(item, account, epoch, {}) for account, epoch in self._authors(item)]
        return _or(bits(set(view.reasons)) for view in views)


def stands(item: Row, as_of: datetime) -> bool:
    """Return whether an item is there, neither deleted nor over."""
    return item["state"] == ItemState.LIVE and (item["expires_at"] is None or as_of < item["expires_at"])


def _in_public_group(item: Row) -> bool:
    return item["container_id"] is not None and item["container_audience"] == Audience.PUBLIC


def rank_of(audience: str | None) -> int:
    """Return the narrowness of an audience; what is missing or no audience counts as unknown.

    >>> rank_of("public"), rank_of(None), rank_of("everyone")
    (0, 5, 5)
    """
    return UNKNOWN_RANK if audience is None else NARROWNESS.get(audience, UNKNOWN_RANK)


def _known_author(
    epoch: Row, person: Row, countries: frozenset[str] | None, resolution: Resolution, purpose: str, kind: str
) -> AuthorFacts:
    terms = resolution.terms
    born = person["born_on"]
    adult = adult_at(born, terms.min_age_years) if born else None
    cut = latest(adult, person["withdrawn_at"], person["arrived_at"])
    clock = clock_of(person, kind)
    delivered = notified_at(clock["first_delivered_at"], clock["last_delivered_at"], cut)
    return AuthorFacts(
        person_id=person["person_id"],
        status=epoch["status"],
        private=epoch["private"],
        compromised_from=epoch["compromised_from"],
        compromised_until=epoch["compromised_until"],
        age_conflict=person["age_conflict"],
        adult_at=adult,
        maker_adult_at=adult_at(born, terms.age_at_creation_years) if born else None,
        objected=person["objected"],
        objected_kinds=scope(person["objected_kinds"]),
        objected_services=scope(person["objected_services"]),
        consented=purpose in (person["consent_purposes"] or ()),
        account_signal=person["signal"],
        campaigns=reached(person["campaigns"]),
        clock_needed=clock_needed(terms),
        notified_at=delivered,
        notice_over_at=over_at(delivered, terms.notice_days),
        effective_at=effective_at(terms, clock["effective_at"]),
        countries=countries,
        covered=resolution.covered,
        regime=terms.regime.value,
        kinds=frozenset(Kind(kind).value for kind in terms.kinds),
        services=terms.services,
        content_not_before=terms.content_not_before,
        min_public_days=terms.min_public_days,
        signal_unknown=terms.signal_unknown.value,
        special_category_allowed=terms.special_category_allowed,
    )


def scope(members: Iterable[str | None] | None) -> frozenset[str] | None:
    """Return the members of a scope; missing, empty, or with a missing member = everything (OBJ-07)."""
    found = list(members or ())
    return None if not found or None in found else frozenset(member for member in found if member is not None)


def _within(instant: datetime, begin: datetime | None, end: datetime | None) -> bool:
    return (begin is None or begin <= instant) and (end is None or instant < end)


def _or(masks: Iterable[int]) -> int:
    total = 0
    for mask in masks:
        total |= mask
    return total


def _plain(facts: ItemFacts | AuthorFacts) -> dict[str, Any]:
    return {each.name: getattr(facts, each.name) for each in fields(facts)}


def reached(campaigns: Iterable[str | None] | None) -> frozenset[str] | None:
    """Return the campaigns that reached a person; one of unknown name makes all unknown."""
    found = list(campaigns or ())
    return None if campaigns is None or None in found else frozenset(name for name in found if name is not None)
