"""The person's page: what stands between them and training, and what of theirs was used where.

1. who  2. standing, judged now on a post made today  3. items: decided by the current corpus, used in any that is here
(TRA-01; GDPR art. 15). Notices, certificates and the document to take away are in mine_papers.py, the buttons in
mine_acts.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from demur.clock import parse
from demur.corpus import read_manifest
from demur.errors import RefusedError
from demur.flows.media import media_builds
from demur.flows.mine_index import EXCERPT, items_of
from demur.flows.parts import Parts, current, kept_policy
from demur.flows.pending import whole_corpora
from demur.flows.readable import readable
from demur.flows.service import Service
from demur.lineage import SealedFile
from demur.people import Kept
from demur.policy import DEFAULT_POLICY, read, rulebook
from demur.policy.judge import Judge, Judgement
from demur.store import read_json
from demur.terms.content import Audience, ItemState, Kind
from demur.terms.policy import Hold, Policy
from demur.terms.reasons import Reason, reasons_of
from demur.terms.tables import ITEMS

PAGE_ITEMS = 25
_WAITS = frozenset({Reason.NOTICE_PERIOD, Reason.NOT_YET_EFFECTIVE})


# Who ---------------------------------------------------------------------------------------------------------------


def person_named(parts: Parts, name: str) -> str:
    """Return the person of a person id or an account id; the name itself when nobody has it (yet).

    Handles and addresses do not count: members can choose those, and would be somebody else.

    Raises:
        RefusedError: a person is called so, and an account of somebody else.
    """
    owner = parts.registry.owner_of(name)
    if owner is None or owner == name:
        return name
    if any(row["person_id"] == name for row in parts.registry.about(name)["accounts"]):
        raise RefusedError(
            "expected a name of one person, found a person and an account of somebody else that are both called so; "
            "give people and accounts ids that differ, or correct account_prefix in site.toml"
        )
    return owner


def people_of(parts: Parts, person: str) -> list[str]:
    """Return a person's id and all linked ones."""
    return parts.registry.same_as(person)


# Standing ----------------------------------------------------------------------------------------------------------


class State(StrEnum):
    """What stands between a person and training."""

    OBJECTED = "objected"
    PARTLY = "partly"
    """Objected to some kinds or services only."""
    WAITS = "waits"
    """Told; may be used from a date on."""
    USABLE = "usable"
    NEVER = "never"
    """A rule keeps everything out, now and by itself."""
    UNREADABLE = "unreadable"
    """Has not objected; what else stands cannot be read now."""
    UNKNOWN = "unknown"
    """Nobody of that name is known."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One person's, now."""

    state: State
    since: datetime | None
    """Of the objection, or the first instant of use."""
    reason: str | None
    """Code of the first reason, for a public post that is made today."""
    objections: tuple[Kept, ...]
    accounts: tuple[str, ...]
    language: str | None
    has_address: bool
    compromised: bool
    """Somebody else holds an account now: what lets more in is void (OBJ-08)."""


class _Today:
    """Rows about one person as the registry has them now, and one public post that they make today."""

    def __init__(self, found: dict[str, list[dict[str, Any]]], account: dict[str, Any], at: datetime) -> None:
        self._found = found
        self._item = dict.fromkeys(ITEMS.names) | {
            "item_id": "today", "account_id": account["account_id"], "service": account["service"],
            "kind": Kind.POST.value, "state": ItemState.LIVE.value, "audience": Audience.PUBLIC.value,
            "created_at": at, "version_at": at,
        }  # fmt: skip

    def item(self, item_id: str) -> dict[str, Any] | None:
        return self._item if item_id == "today" else None

    def epochs(self, account_id: str) -> Iterable[dict[str, Any]]:
        return [row for row in self._found["accounts"] if row["account_id"] == account_id]

    def standing(self, person_id: str) -> dict[str, Any] | None:
        return next((row for row in self._found["standing"] if row["person_id"] == person_id), None)

    def residence(self, person_id: str) -> Iterable[dict[str, Any]]:
        return [row for row in self._found["residence"] if row["person_id"] == person_id]

    def suppressed(self, item_id: str) -> bool:
        del item_id
        return False


def policy_in_force(parts: Parts) -> Policy:
    """Return the policy of the current corpus, or the shipped one."""
    corpus = current(parts.workspace).corpus
    folder = parts.workspace.corpora / str(corpus)
    if corpus is None or not (folder / "manifest.json").exists():
        return read(DEFAULT_POLICY)
    return kept_policy(parts.workspace, read_manifest(folder).inputs["policy"])[1]


def standing_of(service: Service, person: str) -> Standing:
    """Return what stands between a person and training, now."""
    at, parts = service.clock(), service.parts
    objections = tuple(parts.registry.objections_of(person))
    reach = parts.registry.reach([person])[person]
    judged = readable(lambda: _judged(parts, person, at))
    reasons = [reasons_of(one.mask) for one in judged or ()]
    bound = min(reasons, key=lambda some: (bool(some), set(some) - _WAITS != set(), len(some)), default=())
    state, since = _state(objections, judged, bound, at)
    return Standing(
        state=state,
        since=since,
        reason=bound[0].value if bound else None,
        objections=objections,
        accounts=reach.accounts,
        language=reach.language,
        has_address=reach.contact is not None,
        compromised=_compromised(parts, person, at),
    )


def _judged(parts: Parts, person: str, at: datetime) -> list[Judgement]:
    """Return the decision about a post made today, for each account."""
    policy = policy_in_force(parts)
    book = rulebook(policy, as_of=at, holds=_holds(parts, at))
    judged = []
    for one in people_of(parts, person):
        found = parts.registry.standing(
            one, as_of=at, known_at=at, grace_months=policy.grace_months, purpose=policy.purpose
        )
        if found is None:
            continue
        own = [row for row in found["accounts"] if row["person_id"] == one and row["owned_until"] is None]
        judged += [Judge(_Today(found, account, at), book).judge("today") for account in own]
    return judged


def _holds(parts: Parts, at: datetime) -> tuple[Hold, ...]:
    return tuple(
        Hold(
            one.hold_id, one.countries, one.services, frozenset(Kind(kind) for kind in one.kinds), one.created_from,
            one.created_until, one.purpose, one.campaign_id, one.authority, one.instrument,
        )
        for one in parts.registry.holds() if one.takes_out and one.in_force(at)
    )  # fmt: skip


def _state(
    objections: Sequence[Kept], judged: Sequence[Judgement] | None, bound: Sequence[Reason], at: datetime
) -> tuple[State, datetime | None]:
    whole = [one.said_at for one in objections if one.kinds is None and one.services is None]
    if whole:
        return State.OBJECTED, min(whole)
    if objections:
        return State.PARTLY, min(one.said_at for one in objections)
    if not judged:
        return State.UNREADABLE if judged is None else State.UNKNOWN, None
    if not bound:
        return State.USABLE, None
    if set(bound) <= _WAITS:
        facts = [view.facts for one in judged for view in one.authors]
        dates = [when for fact in facts for when in (fact.notice_over_at, fact.effective_at) if when and when > at]
        return State.WAITS, max(dates, default=None)
    return State.NEVER, None


def _compromised(parts: Parts, person: str, at: datetime) -> bool:
    for one in people_of(parts, person):
        for row in (parts.registry.standing(one, as_of=at, known_at=at) or {}).get("accounts", ()):
            begin, end = row["compromised_from"], row["compromised_until"]
            if begin is not None and begin <= at and (end is None or at < end):
                return True
    return False


# Items -------------------------------------------------------------------------------------------------------------


class Verdict(StrEnum):
    """What became of an item."""

    USED = "used"
    ALLOWED = "allowed"
    """It may be used, but became no record."""
    WITHHELD = "withheld"
    NEW = "new"
    """Came after the current corpus: nobody has looked at it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One item of a person."""

    item_id: str
    service: str
    kind: str
    created_at: datetime | None
    excerpt: str | None
    """``None``: deleted, or without words."""
    cut: bool
    verdict: Verdict
    code: str | None
    """Of the first reason, or of why it became no record."""
    reasons: tuple[str, ...]
    corpora: tuple[str, ...]
    models: tuple[str, ...]
    media: tuple[str, ...]
    """Media builds that hold its picture, film or voice."""


@dataclass(frozen=True, slots=True)
class Build:
    """A corpus, a model or a media build that holds something of the person."""

    name: str
    since: datetime
    """The instant that the corpus was built for."""
    records: int
    status: str
    """``in_use`` or ``kept``."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """All items of a person and where they are."""

    lines: tuple[Line, ...]
    """Newest first."""
    counts: dict[Verdict, int]
    corpora: tuple[Build, ...]
    models: tuple[Build, ...]
    media: tuple[Build, ...]
    elsewhere: int
    """Records made from other people's items that carry something of the person (copies, mentions, screenshots)."""
    decided: datetime | None
    """Until when the current corpus knew."""

    def page(self, number: int, verdict: Verdict | None = None) -> tuple[list[Line], int]:
        """Return the lines of a page (from 1) and how many pages there are."""
        some = [one for one in self.lines if verdict is None or one.verdict is verdict]
        pages = max(1, -(-len(some) // PAGE_ITEMS))
        begin = (min(max(number, 1), pages) - 1) * PAGE_ITEMS
        return some[begin : begin + PAGE_ITEMS], pages


def inventory_of(service: Service, person: str) -> Inventory:
    """Return which of a person's items were used, may be used, or are withheld and why."""
    at, parts = service.clock(), service.parts
    people = people_of(parts, person)
    held = [_holding(parts, folder, people) for folder in whole_corpora(parts)]
    models = {one.corpus: _models(parts, one) for one in held}
    media = [_pictures(parts, one, people) for one in held]
    showing = sum(_showing(parts, one, people) for one in held)
    shown = [one for some in media for one in some]
    lines = [_line(row, held, models, shown) for row in _owned(parts, people, at)]
    lines.sort(key=lambda one: (one.created_at is None, -(one.created_at or at).timestamp(), one.item_id))
    mine = {one.item_id for one in lines}
    here = current(parts.workspace)
    known = next((one.known_at for one in held if one.corpus == here.corpus), None)
    return Inventory(
        lines=tuple(lines),
        counts={one: sum(line.verdict is one for line in lines) for one in Verdict},
        corpora=tuple(
            Build(one.corpus, one.as_of, len(one.records), "in_use" if one.corpus == here.corpus else "kept")
            for one in held if one.records
        ),
        models=tuple(build for one in held for build, _ in models[one.corpus]),
        media=tuple(build for build, _ in shown),
        elsewhere=len({record for one in held for record in one.records if not one.records[record] & mine}) + showing,
        decided=known,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Holding:
    """What one corpus holds of some people."""

    corpus: str
    as_of: datetime
    known_at: datetime
    records: dict[str, set[str]]
    """Record → items behind it that are the people's, or carry something of theirs."""
    places: dict[str, set[tuple[str, int, int]]]
    """Item → slices."""


def _holding(parts: Parts, folder: Path, people: Sequence[str]) -> _Holding:
    inputs = read_manifest(folder).inputs
    found = _Holding(folder.name, parse(inputs["as_of"]), parse(inputs["narrowed_at"]), {}, {})
    sealed = SealedFile(folder / "sealed" / "lineage.sealed", "lineage", secret=parts.keys.secret("lineage"))
    for person in people:
        for table in sealed.bucket(person):
            for row in table.filter(pc.equal(table["person_id"], person)).to_pylist():
                found.records.setdefault(row["record_id"], set()).add(row["item_id"])
                place = (row["region"], row["shard"], row["slice"])
                found.places.setdefault(row["item_id"], set()).add(place)
    return found


def _models(parts: Parts, held: _Holding) -> list[tuple[Build, set[str]]]:
    """Return the models that learned from what a corpus holds of the people, with the items that they saw."""
    found = []
    for path in sorted(parts.workspace.models.glob("*/manifest.json")):
        told = read_json(path)
        if told["corpus_id"] != held.corpus or told["status"] == "destroyed":
            continue
        seen = {(one["region"], one["shard"]): one["slice"] for one in told["heads"]}
        items = {
            item for item, places in held.places.items()
            if any(part <= seen.get((region, shard), -1) for region, shard, part in places)
        }  # fmt: skip
        records = sum(1 for behind in held.records.values() if behind & items)
        if items:
            served = told["model_id"] == current(parts.workspace).model
            status = "in_use" if served else "kept"
            found.append((Build(told["model_id"], held.as_of, records, status), items))
    return found


def _pictures(parts: Parts, held: _Holding, people: Sequence[str]) -> list[tuple[Build, set[str]]]:
    """Return the media builds of a corpus that hold records of the people, with the items behind them."""
    found = []
    for folder in media_builds(parts.workspace, corpus=held.corpus):
        sealed = SealedFile(folder / "sealed" / "media.sealed", "media", secret=parts.keys.secret("lineage"))
        rows = [row for person in people for table in sealed.bucket(person)
                for row in table.filter(pc.equal(table["person_id"], person)).to_pylist()]  # fmt: skip
        items = {row["item_id"] for row in rows if row["record_id"] is not None}
        if items:
            status = "in_use" if held.corpus == current(parts.workspace).corpus else "kept"
            found.append((Build(folder.name, held.as_of, len(items), status), items))
    return found


def _showing(parts: Parts, held: _Holding, people: Sequence[str]) -> int:
    """Count the records of other people's pictures and voices that a post of the people stands in."""
    found = set()
    for path in sorted(parts.workspace.media_builds.glob(f"{held.corpus}/[!.]*/sealed/shown.sealed")):
        sealed = SealedFile(path, "shown", secret=parts.keys.secret("lineage"))
        for person in people:
            for table in sealed.bucket(person):
                found.update(table.filter(pc.equal(table["person_id"], person))["record_id"].to_pylist())
    return len(found)


Spans = dict[str, list[tuple[datetime | None, datetime | None]]]
"""Account → from when until when it is some people's; ``None`` = ever, still."""


def spans_of(parts: Parts, people: Sequence[str], at: datetime) -> Spans:
    """Return which accounts are some people's, and when (PPL-06)."""
    spans: Spans = {}
    for person in people:
        found = parts.registry.standing(person, as_of=at, known_at=at) or {"accounts": []}
        for row in found["accounts"]:
            if row["person_id"] == person:
                spans.setdefault(row["account_id"], []).append((row["owned_from"], row["owned_until"]))
    return spans


def _owned(parts: Parts, people: Sequence[str], at: datetime) -> list[dict[str, Any]]:
    """Return the items that were made while the account was the person's.

    Of one without a date, in an account that was somebody else's too, nobody knows whose words they are.
    """
    spans = spans_of(parts, people, at)
    rows = [row for row in items_of(parts, sorted(spans), at=at) if within(row["created_at"], spans[row["account_id"]])]
    return [
        {**row, "excerpt": row["excerpt"] if row["created_at"] or (None, None) in spans[row["account_id"]] else None}
        for row in rows
    ]


def within(instant: datetime | None, spans: Iterable[tuple[datetime | None, datetime | None]]) -> bool:
    """Say whether something was made while an account was somebody's; without an instant it may have been."""
    return any(_within(instant, *span) for span in spans)


def _within(instant: datetime | None, begin: datetime | None, end: datetime | None) -> bool:
    return instant is None or ((begin is None or begin <= instant) and (end is None or instant < end))


def _line(
    row: dict[str, Any],
    held: Sequence[_Holding],
    models: dict[str, list[tuple[Build, set[str]]]],
    shown: Sequence[tuple[Build, set[str]]],
) -> Line:
    item = row["item_id"]
    corpora = tuple(one.corpus for one in held if item in one.places)
    learned = tuple(build.name for one in held for build, items in models[one.corpus] if item in items)
    reasons = tuple(reason.value for reason in reasons_of(row["reason_bits"] or 0))
    media = tuple(build.name for build, items in shown if item in items)
    if corpora or media:
        verdict, code = Verdict.USED, None
    elif row["allowed"] is None:
        verdict, code = Verdict.NEW, None
    elif row["allowed"]:
        verdict, code = Verdict.ALLOWED, row["exclusion"]
    else:
        verdict, code = Verdict.WITHHELD, reasons[0]
    words: str = (row["excerpt"] or "") if row["state"] == ItemState.LIVE.value else ""
    return Line(
        item_id=item, service=row["service"], kind=row["kind"], created_at=row["created_at"],
        excerpt=words[:EXCERPT] if words else None, cut=len(words) > EXCERPT, verdict=verdict,
        code=code, reasons=reasons, corpora=corpora, models=learned, media=media,
    )  # fmt: skip
