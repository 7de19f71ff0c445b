"""A campaign from draft to proof: drafted by one, approved by another, started, paused, ended, and accounted for.

Every change of status goes to the notice book (sending stops or goes on), then to the registry (clocks) and the ledger;
what a kill left untold is told by the next step. Words cannot change after approval.
"""

from __future__ import annotations

import re
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from demur.clock import iso
from demur.errors import InputError, RefusedError
from demur.flows import enrol, settle
from demur.flows.parts import keep_policy, kept_policy
from demur.flows.send import send
from demur.flows.service import Service
from demur.ledger import Entry, EntryKind
from demur.notice import campaigns, counting, texts
from demur.notice.audience import Preview
from demur.notice.campaigns import Course
from demur.notice.channels import channels as installed_channels
from demur.notice.deliveries import OPEN, Deliveries
from demur.notice.lint import Fault, lint
from demur.notice.sender import Sent
from demur.policy import resolve
from demur.policy.resolve import KNOWN
from demur.terms.content import PRIVATE_KINDS, Kind
from demur.terms.notice import Campaign
from demur.terms.people import CampaignStatus
from demur.terms.policy import Policy

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RATE = timedelta(minutes=10)
"""Time over which the present rate is measured."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What somebody wants to announce."""

    campaign_id: str
    effective_at: datetime
    policy: str = "demur-strict"
    countries: tuple[str, ...] = ()
    """Empty = every country."""
    kinds: tuple[str, ...] = ()
    """Empty = every kind; a material change names only what is new (NOT-07)."""
    channels: tuple[str, ...] = ("email",)
    notice_days: int | None = None
    """``None`` = what the policy asks for in these countries."""
    texts: Path | None = None
    """Folder of texts; ``None`` = those that demur ships."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """A draft, and what stands in the way of its approval."""

    campaign: Campaign
    languages: tuple[str, ...]
    faults: tuple[Fault, ...]


# Before the start -------------------------------------------------------------------------------------------------


def draft(service: Service, plan: Plan, *, by: str) -> Drafted:
    """Keep a draft with its texts; one of that name that nobody approved yet is replaced.

    Raises:
        InputError: the plan cannot work; all faults are listed.
        RefusedError: a campaign of that name is approved or has begun.
    """
    policy = keep_policy(service.parts.workspace, plan.policy)
    at = service.clock()
    days = _days(plan, policy, at)
    faults = _faults(plan, policy, days, at)
    if not by.strip():
        faults.append("by: expected the name of who drafts it")
    if faults:
        raise InputError("this campaign cannot be drafted", faults)
    campaign = Campaign(
        campaign_id=plan.campaign_id,
        purpose=policy.purpose,
        countries=frozenset(plan.countries),
        kinds=frozenset(Kind(kind) for kind in plan.kinds) or None,
        channels=tuple(dict.fromkeys(plan.channels)),
        effective_at=plan.effective_at,
        notice_days=days,
        status=CampaignStatus.DRAFT,
        policy=plan.policy,
        policy_digest=policy.digest,
        made_by=by.strip(),
        made_at=at,
    )
    words = texts.read_texts(plan.texts or texts.default_texts())
    campaigns.keep_draft(service.notice, campaign)
    texts.keep_texts(service.notice, campaign.campaign_id, words)
    return Drafted(campaign, tuple(sorted(words)), tuple(lint(words, campaign, service.site, policy)))


def _days(plan: Plan, policy: Policy, at: datetime) -> int:
    return plan.notice_days if plan.notice_days is not None else _least_days(plan, policy, at)


def _least_days(plan: Plan, policy: Policy, at: datetime) -> int:
    """Return the fewest days that the policy waits in a country of the campaign or an unknown one; 0 = nowhere any."""
    places = [frozenset({country}) for country in plan.countries] or [each.countries for each in policy.jurisdictions]
    every = [resolve(policy, place, at).terms.notice_days for place in [*places, frozenset[str]()]]
    return min((days for days in every if days > 0), default=0)


def _faults(plan: Plan, policy: Policy, days: int, at: datetime) -> list[str]:
    faults = []
    if not _NAME.fullmatch(plan.campaign_id):
        faults.append("name: expected letters, digits, dots and dashes, at most 64")
    if unknown := sorted(set(plan.countries) - KNOWN):
        faults.append(f"countries: expected ISO 3166-1 codes, found {', '.join(unknown)}")
    kinds = {kind.value for kind in Kind} - {kind.value for kind in PRIVATE_KINDS}
    if wrong := sorted(set(plan.kinds) - kinds):
        faults.append(f"kinds: expected kinds that may be used, found {', '.join(wrong)}")
    known = installed_channels()
    if other := [channel for channel in plan.channels if channel not in known]:
        faults.append(f"channels: expected {', '.join(known)}, found {', '.join(other)}")
    if not plan.channels:
        faults.append("channels: expected at least one")
    if plan.effective_at <= at:
        faults.append(f"effective: expected a date after now ({iso(at)}); nobody is told afterwards (JUR-08)")
    least = _least_days(plan, policy, at)
    if days > least:
        faults.append(
            f"days: the policy {policy.name} waits {least} days for some of these people, so a notice must not "
            f"promise {days}; promise {least} or fewer, or split the campaign by country"
        )
    return faults


def preview(service: Service, campaign_id: str) -> Preview:
    """Count what a campaign would come to if it started now; nothing is written."""
    campaign = campaigns.campaign_of(service.notice, campaign_id)
    at = service.clock()
    rules, counted, seen = enrol.rules_of(service, campaign, at), Preview(), 0
    for people, _ in service.parts.registry.audience(as_of=at):
        counted.add(enrol.judged(service, rules, people))
        seen += len(people)
        service.parts.progress("preview", seen, None)
    return counted


def faults_of(service: Service, campaign_id: str) -> list[Fault]:
    """Return what the linter finds in a campaign's texts; empty = may be approved."""
    campaign = campaigns.campaign_of(service.notice, campaign_id)
    _, policy = kept_policy(service.parts.workspace, campaign.policy_digest)
    return lint(texts.kept_texts(service.notice, campaign_id), campaign, service.site, policy)


def approve(service: Service, campaign_id: str, *, by: str) -> Campaign:
    """Approve a draft: by another person than its author, and only when the linter finds nothing (NOT-04).

    Raises:
        RefusedError: the author approves, a text is at fault (all faults are listed), or it is no draft.
    """
    faults = faults_of(service, campaign_id)
    if faults:
        raise RefusedError(
            "the texts must say what the law asks for before anybody approves them; correct the folder, draft again",
            [str(fault) for fault in faults],
        )
    campaign = campaigns.note_approval(service.notice, campaign_id, by=by, at=service.clock())
    _tell_approval(service, campaign)
    return campaign


def _tell_approval(service: Service, campaign: Campaign) -> None:
    assert campaign.approved_at is not None, "approved before"
    words = texts.kept_texts(service.notice, campaign.campaign_id)
    facts = {
        "campaign": campaign.campaign_id,
        "purpose": campaign.purpose,
        "countries": sorted(campaign.countries),
        "kinds": None if campaign.kinds is None else sorted(campaign.kinds),
        "channels": list(campaign.channels),
        "effective_at": iso(campaign.effective_at),
        "notice_days": campaign.notice_days,
        "policy": campaign.policy_digest,
        "texts": {language: text.digest for language, text in sorted(words.items())},
        "made_by": campaign.made_by,
        "approved_by": campaign.approved_by,
    }
    key = f"campaign-approved:{campaign.campaign_id}"
    service.parts.log(Entry(EntryKind.NOTICE_BATCH, campaign.approved_at, key, facts))


def check_texts(service: Service, folder: Path, policy: str) -> tuple[list[str], list[Fault]]:
    """Copy the shipped texts into a folder, languages that are there stay, and lint them all for some campaign."""
    found, at = keep_policy(service.parts.workspace, policy), service.clock()
    some = Campaign(
        campaign_id="some",
        purpose=found.purpose,
        countries=frozenset(),
        kinds=None,
        channels=("email",),
        effective_at=at + timedelta(days=60),
        notice_days=_least_days(Plan("some", at), found, at),
        status=CampaignStatus.DRAFT,
        policy=policy,
        policy_digest=found.digest,
        made_by="",
        made_at=at,
    )
    words = texts.read_texts(texts.copy_default_texts(folder))
    return sorted(words), lint(words, some, service.site, found)


# Life -------------------------------------------------------------------------------------------------------------


def start(service: Service, campaign_id: str, *, by: str, seconds: float | None = None) -> Course:
    """Start an approved campaign: clocks may run, the audience is frozen into one row a person, sending may begin.

    Killed while it freezes, the same command or ``step`` goes on where it stopped.

    Args:
        service: the parts.
        campaign_id: the campaign.
        by: who starts it.
        seconds: leave the rest of the freezing to ``step`` after so long; ``None`` = freeze everybody now.
    """
    course = _change(service, campaign_id, CampaignStatus.RUNNING, by=by, reason=None)
    if course.campaign.approved_at is not None:
        _tell_approval(service, course.campaign)
    end = None if seconds is None else time.monotonic() + seconds
    enrol.freeze(service, campaign_id, go_on=lambda: end is None or time.monotonic() < end)
    return campaigns.course_of(service.notice, campaign_id)


def pause(service: Service, campaign_id: str, *, by: str, reason: str) -> Course:
    """Hold a campaign: sending stops, its clocks stand still, links keep working, objections keep force (NOT-09)."""
    return _change(service, campaign_id, CampaignStatus.HELD, by=by, reason=reason)


def resume(service: Service, campaign_id: str, *, by: str) -> Course:
    """Let a held campaign go on where it stopped."""
    if campaigns.campaign_of(service.notice, campaign_id).status is CampaignStatus.DRAFT:
        raise RefusedError("expected a campaign that is held, found a draft; `demur campaign start` begins it")
    return _change(service, campaign_id, CampaignStatus.RUNNING, by=by, reason=None)


def cancel(service: Service, campaign_id: str, *, by: str, reason: str) -> Course:
    """End a campaign for good: its notices start no clock; links keep working, objections stay in force (NOT-09)."""
    return _end(service, campaign_id, CampaignStatus.CANCELLED, by=by, reason=reason)


def supersede(service: Service, campaign_id: str, *, by: str, reason: str) -> Course:
    """End a campaign because another one takes its place; the notices that went out keep their clocks."""
    return _end(service, campaign_id, CampaignStatus.SUPERSEDED, by=by, reason=reason)


def _end(service: Service, campaign_id: str, to: CampaignStatus, *, by: str, reason: str) -> Course:
    course = _change(service, campaign_id, to, by=by, reason=reason)
    _deliveries(service).stop(campaign_id, service.clock())
    return course


def _deliveries(service: Service) -> Deliveries:
    return Deliveries(service.notice, service.parts.keys.secret("backoff"))


def _change(service: Service, campaign_id: str, to: CampaignStatus, *, by: str, reason: str | None) -> Course:
    if not by.strip():
        raise InputError("expected the name of who does it; say --by")
    before = campaigns.course_of(service.notice, campaign_id)
    _tell(service, before)
    changed = campaigns.change_status(service.notice, campaign_id, to, by=by.strip(), at=service.clock(), reason=reason)
    _tell(service, changed)
    return changed


def _tell(service: Service, course: Course) -> bool:
    """Tell registry and ledger where a campaign stands, unless they know; the same words every time."""
    campaign = course.campaign
    if campaign.status is CampaignStatus.DRAFT or course.told_at == course.status_at:
        return False
    at = service.clock()
    words: dict[str, Any] = {
        "type": "campaign",
        "campaign_id": campaign.campaign_id,
        "purpose": campaign.purpose,
        "effective_at": iso(campaign.effective_at),
        "notice_days": campaign.notice_days,
        "countries": sorted(campaign.countries),
        "kinds": None if campaign.kinds is None else sorted(campaign.kinds),
    }
    status = {
        "type": "campaign_status",
        "campaign_id": campaign.campaign_id,
        "status": campaign.status.value,
        "valid_at": iso(course.status_at),
    }
    if campaign.approved_at is not None:
        service.parts.registry.record(words, recorded_at=at)
    service.parts.registry.record(status, recorded_at=at)
    facts = {
        "campaign": campaign.campaign_id,
        "status": campaign.status.value,
        "at": iso(course.status_at),
        "by": course.status_by,
        "reason": course.status_reason,
    }
    key = f"campaign:{campaign.campaign_id}:{campaign.status}:{iso(course.status_at)}"
    service.parts.log(Entry(EntryKind.NOTICE_BATCH, course.status_at, key, facts))
    campaigns.mark(service.notice, campaign.campaign_id, told_at=course.status_at)
    return True


def step(service: Service) -> int:
    """Finish what was begun: untold changes, the effective date, stops and addresses of what has ended."""
    return campaigns.each(service.notice, lambda course: _finish(service, course))


def _finish(service: Service, course: Course) -> int:
    done = int(_tell(service, course))
    name, status = course.campaign.campaign_id, course.campaign.status
    if status in campaigns.ENDED and course.emptied_at is None:
        done += _deliveries(service).stop(name, service.clock())
        emptied = campaigns.empty_addresses(service.notice, name)
        done += emptied
        if not emptied:
            campaigns.mark(service.notice, name, emptied_at=service.clock())
    elif _is_effective(service, course):
        _change(service, name, CampaignStatus.EFFECTIVE, by="demur", reason="the date has come")
        done += 1
    return done


def _is_effective(service: Service, course: Course) -> bool:
    """The date has come, everybody was looked at, and nothing waits to go out any more."""
    campaign = course.campaign
    if campaign.status is not CampaignStatus.RUNNING or service.clock() < campaign.effective_at:
        return False
    return course.frozen_at is not None and not _deliveries(service).is_open(campaign.campaign_id)


def send_now(service: Service, campaign_id: str) -> tuple[Sent, int]:
    """Send what is due of one campaign, and settle it; return what was sent and how many things were settled."""
    campaigns.campaign_of(service.notice, campaign_id)
    sent = send(service, campaign_id)
    settled = 0
    while told := settle.step(service):
        settled += told
        service.parts.progress("settle", settled, None)
    return sent, settled


# Looking ----------------------------------------------------------------------------------------------------------


def status(service: Service, campaign_id: str) -> dict[str, Any]:
    """Return where a campaign stands: people by state, country, language and day, rate, expected end, duplicates."""
    course = campaigns.course_of(service.notice, campaign_id)
    found = counting.progress_of(service.notice, campaign_id)
    waiting = sum(found.states.get(state.value, 0) for state in OPEN)
    at = service.clock()
    rate = campaigns.accepted_since(service.notice, campaign_id, at - _RATE) / _RATE.total_seconds()
    sending = course.campaign.status in campaigns.SENDING
    end = at + timedelta(seconds=waiting / rate) if sending and waiting and rate else None
    return {
        **_words(course),
        "audience": found.audience,
        "reached": found.reached,
        "waiting": waiting,
        "states": found.states,
        "excluded": found.excluded,
        "countries": {name: {"people": all_, "reached": reached} for name, (all_, reached) in found.countries.items()},
        "languages": {name or "none": {"people": all_, "reached": reached}
                      for name, (all_, reached) in found.languages.items()},
        "days": found.days,
        "rate_a_second": round(rate, 1),
        "expected_end": None if end is None else iso(end.replace(microsecond=0)),
        "possible_duplicates": [one.number for one in _deliveries(service).possible_duplicates(campaign_id)],
    }  # fmt: skip


def listed(service: Service) -> list[dict[str, Any]]:
    """Return all campaigns, oldest first."""
    return [_words(course) for course in campaigns.all_campaigns(service.notice)]


def _words(course: Course) -> dict[str, Any]:
    campaign = course.campaign
    return {
        "campaign": campaign.campaign_id,
        "status": campaign.status.value,
        "since": iso(course.status_at),
        "by": course.status_by,
        "reason": course.status_reason,
        "purpose": campaign.purpose,
        "countries": sorted(campaign.countries) or None,
        "kinds": None if campaign.kinds is None else sorted(campaign.kinds),
        "channels": list(campaign.channels),
        "effective_at": iso(campaign.effective_at),
        "notice_days": campaign.notice_days,
        "policy": campaign.policy,
        "made_by": campaign.made_by,
        "approved_by": campaign.approved_by,
        "frozen_at": None if course.frozen_at is None else iso(course.frozen_at),
        "enrolled_until": None if course.enrolled_until is None else iso(course.enrolled_until),
    }


def drafted_facts(found: Drafted) -> dict[str, Any]:
    """Return a draft as plain facts."""
    return {
        "campaign": found.campaign.campaign_id,
        "purpose": found.campaign.purpose,
        "effective_at": iso(found.campaign.effective_at),
        "notice_days": found.campaign.notice_days,
        "languages": list(found.languages),
        "faults": [asdict(fault) for fault in found.faults],
    }
