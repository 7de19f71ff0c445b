"""Who gets a row in a campaign: everybody at its start, and whoever comes late, by a timer (NOT-01, PPL-03).

Late are people who come of age, register, move in, get an address or an account again; each has an own row and so an
own clock. Doing it twice is doing it once; killed anywhere, it goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from demur.flows.parts import kept_policy
from demur.flows.service import Service
from demur.notice import campaigns
from demur.notice.audience import Row, Rules, any_stopped, rows_of, write_rows
from demur.notice.campaigns import Course
from demur.notice.stopped import stopped
from demur.notice.texts import kept_texts
from demur.people.instants import adult_cutoff
from demur.policy import resolve
from demur.terms.notice import Campaign
from demur.terms.people import Candidate

EVERY = timedelta(minutes=10)
"""How often latecomers are looked for: one pass over the registry's newest events."""
OVERLAP = timedelta(days=1)
"""How far each look goes back behind the last one: an import takes a while, and says when it began."""
STEP_SECONDS = 4.0


def rules_of(service: Service, campaign: Campaign, as_of: datetime) -> Rules:
    """Return what decides about telling in a campaign, under the policy that it was drafted with."""
    _, policy = kept_policy(service.parts.workspace, campaign.policy_digest)

    def cutoff(countries: tuple[str, ...]) -> int:
        terms = resolve(policy, frozenset(countries), as_of).terms
        return adult_cutoff(as_of, terms.min_age_years)

    texts = kept_texts(service.notice, campaign.campaign_id)
    return Rules(campaign, texts, cutoff, policy.statuses, service.site.languages)


def judged(service: Service, rules: Rules, people: Iterable[Candidate]) -> list[Row]:
    """Return the rows of candidates; an address whose owner called our mail spam counts as one that bounced."""
    some = list(people)
    complained: set[str] = set()
    if any_stopped(service.notice):
        complained = stopped(service.notice, service.parts.keys, [one.contact for one in some if one.contact])
    if complained:
        some = [one._replace(bounced=True) if one.contact in complained else one for one in some]
    return [row for row in map(rules.row, some) if row is not None]


# At the start -----------------------------------------------------------------------------------------------------


def freeze(service: Service, campaign_id: str, *, go_on: Callable[[], bool] = lambda: True) -> int:
    """Write one row for everybody of the audience as of the campaign's start; return how many people were looked at.

    Args:
        service: the parts.
        campaign_id: a campaign that was started.
        go_on: asked after every batch; ``False`` leaves the rest for another call.
    """
    course = campaigns.course_of(service.notice, campaign_id)
    if course.frozen_at is not None or course.freeze_as_of is None:
        return 0
    rules = rules_of(service, course.campaign, course.freeze_as_of)
    service.parts.registry.look(course.freeze_as_of)  # an import that is under way records the rest as of later
    looked_at = 0
    audience = service.parts.registry.audience(as_of=course.freeze_as_of, after=course.freeze_cursor)
    for people, cursor in audience:
        rows = judged(service, rules, people)
        write_rows(service.notice, campaign_id, rows, at=service.clock(), cursor=cursor)
        looked_at += len(people)
        service.parts.progress("freeze", looked_at, None)
        if not go_on():
            return looked_at
    campaigns.mark(service.notice, campaign_id, frozen_at=service.clock())
    return looked_at


# Late -------------------------------------------------------------------------------------------------------------


def enrol(service: Service, course: Course) -> int:
    """Judge again everybody about whom something was learned since the last look; return how many rows are new."""
    assert course.enrolled_until is not None, "a campaign that was started"
    at, campaign = service.clock(), course.campaign
    _, policy = kept_policy(service.parts.workspace, campaign.policy_digest)
    years = {each.terms.min_age_years for each in policy.jurisdictions} | {18}
    registry = service.parts.registry
    since = course.enrolled_until - OVERLAP
    if course.freeze_as_of is not None:  # what was known then was looked at then
        since = max(since, course.freeze_as_of)
    changed = registry.changed_between(since, at, adult_years=years)
    done = 0
    if changed:
        groups = registry.linked_groups(at)
        rules = rules_of(service, campaign, at)
        for people in registry.candidates(changed, as_of=at):
            known = _known(service, campaign.campaign_id, people, groups)
            rows = judged(service, rules, known)
            done += write_rows(service.notice, campaign.campaign_id, rows, at=at, again=True)
    campaigns.mark(service.notice, campaign.campaign_id, enrolled_until=at)
    return done


def _known(
    service: Service, campaign_id: str, people: list[Candidate], groups: dict[str, list[str]]
) -> list[Candidate]:
    """Name each human being as the campaign already knows them: an id linked later gets no second notice."""
    linked = {one.person_id: groups[one.person_id] for one in people if one.person_id in groups}
    if not linked:
        return people
    there = rows_of(service.notice, campaign_id, {member for group in linked.values() for member in group})
    named = {person: next((member for member in group if member in there), person) for person, group in linked.items()}
    return [one._replace(person_id=named.get(one.person_id, one.person_id)) for one in people]


def step(service: Service) -> int:
    """Go on with freezes that were cut off, and look for latecomers when it is time; return how many rows came."""
    end = time.monotonic() + STEP_SECONDS
    return campaigns.each(service.notice, lambda course: _go_on(service, course, end))


def _go_on(service: Service, course: Course, end: float) -> int:
    if course.campaign.status not in campaigns.SENDING:
        return 0
    if course.frozen_at is None:
        return freeze(service, course.campaign.campaign_id, go_on=lambda: time.monotonic() < end)
    if course.enrolled_until is None or service.clock() - course.enrolled_until >= EVERY:
        return enrol(service, course if course.enrolled_until else replace(course, enrolled_until=course.frozen_at))
    return 0
