"""Campaigns: drafted by one, approved by another, run, watched."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from starlette.responses import Response

from demur.access import Action
from demur.clock import parse
from demur.errors import InputError
from demur.flows import campaign as flow
from demur.flows import figures, office
from demur.notice.counting import CampaignRow, Progress
from demur.terms.people import CampaignStatus
from demur.web.console.desk import Desk, Screen
from demur.web.console.table import Column, Table

_FREEZE_SECONDS = 3.0
"""A request does not wait longer for a large audience; the worker goes on."""
_TONES = {"running": "ok", "effective": "ok", "held": "warn", "cancelled": "bad"}
_COLUMNS = (
    Column("campaign_id", "Campaign", "link"),
    Column("status", "Status", "tag"),
    Column("countries", "Countries"),
    Column("effective_at", "Effective", "instant"),
    Column("notice_days", "Days", "number"),
    Column("audience", "People", "number"),
    Column("reached", "Reached", "number"),
    Column("made_by", "Drafted by"),
    Column("approved_by", "Approved by"),
)
_ACTS = {
    "approve": (Action.CAMPAIGNS_APPROVE, "Approve", "approved", "Its words cannot change afterwards."),
    "start": (Action.CAMPAIGNS_RUN, "Start", "started",
              "The audience is frozen into one row a person, and sending begins."),
    "pause": (Action.CAMPAIGNS_RUN, "Pause", "paused",
              "Sending stops within seconds and the clocks stand still. Links keep working; objections keep force."),
    "resume": (Action.CAMPAIGNS_RUN, "Resume", "resumed", "Sending goes on where it stopped."),
    "cancel": (Action.CAMPAIGNS_RUN, "Cancel", "cancelled",
               "This cannot be taken back. Its notices start no clock; links keep working; objections stay in force."),
}  # fmt: skip
_NEXT = {
    CampaignStatus.DRAFT: ("approve", "start", "cancel"),
    CampaignStatus.RUNNING: ("pause", "cancel"),
    CampaignStatus.HELD: ("resume", "cancel"),
    CampaignStatus.EFFECTIVE: ("pause", "cancel"),
}


def campaigns(desk: Desk) -> Response:
    """Show all campaigns."""
    rows = [_listed(desk, one) for one in office.campaigns(desk.service, desk.scope)]
    empty = "Nobody was told anything yet. A campaign begins with a draft; another person approves it."
    return desk.list_(Table("campaigns", _COLUMNS, rows, empty), "campaigns.html", title="Campaigns")


def _listed(desk: Desk, one: CampaignRow) -> dict[str, Any]:
    found = office.progress(desk.service, one.campaign_id, desk.scope)
    return {
        "campaign_id": one.campaign_id, "href": f"/console/campaigns/{one.campaign_id}", "status": one.status,
        "tone_status": _TONES.get(one.status, ""), "countries": ", ".join(one.countries) or "every country",
        "effective_at": one.effective_at, "notice_days": one.notice_days, "audience": found.audience,
        "reached": found.reached, "made_by": one.made_by, "approved_by": one.approved_by,
        "no_approved_by": "nobody yet",
    }  # fmt: skip


def one_campaign(desk: Desk) -> Response:
    """Show one campaign."""
    found = _find(desk)
    if found is None:
        return desk.missing()
    acts = [(name, _ACTS[name][1], name == "cancel") for name in _possible(desk, found)]
    faults = flow.faults_of(desk.service, found.campaign_id) if found.status == CampaignStatus.DRAFT else []
    told = desk.asked("text")
    tongue = told if told in found.languages else ("en" if "en" in found.languages else next(iter(found.languages), ""))
    text = office.text_of(desk.service, found.campaign_id, tongue)
    return desk.show(
        "campaign.html", title=f"Campaign {found.campaign_id}", one=found, tone=_TONES.get(found.status, ""), acts=acts,
        faults=[str(fault) for fault in faults], tongue=tongue, text=text, own=_is_author(desk, found),
        **_progress(desk, found),
    )  # fmt: skip


def _is_author(desk: Desk, one: CampaignRow) -> bool:
    return one.made_by == office.signature(desk.staff)


def _possible(desk: Desk, one: CampaignRow) -> list[str]:
    """Return what this person may do next."""
    found = [name for name in _NEXT.get(CampaignStatus(one.status), ()) if desk.may(_ACTS[name][0])]
    approved = one.approved_by is not None
    return [name for name in found if (name != "approve" or not approved) and (name != "start" or approved)]


def _find(desk: Desk) -> CampaignRow | None:
    wanted = desk.named("campaign")
    return next((one for one in office.campaigns(desk.service, desk.scope) if one.campaign_id == wanted), None)


def _progress(desk: Desk, one: CampaignRow) -> dict[str, Any]:
    found = office.progress(desk.service, one.campaign_id, desk.scope)
    told = found.audience - found.states.get("excluded", 0)
    steps = [
        {"name": "In the audience", "count": found.audience},
        {"name": "To be told", "count": told},
        {"name": "Reached", "count": found.reached},
        {"name": "Seen", "count": found.states.get("seen", 0)},
    ]
    return {
        "found": found, "steps": steps, "live": one.status in {"running", "effective"},
        "by_country": _share(found.countries), "by_language": _share(found.languages), "by_day": _days(found, desk),
        "states": sorted(found.states.items()), "excluded": sorted(found.excluded.items()),
    }  # fmt: skip


def _share(counts: dict[str, tuple[int, int]]) -> list[dict[str, Any]]:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1][0], pair[0]))
    return [{"name": name or "none", "people": people, "reached": reached} for name, (people, reached) in ordered]


def _days(found: Progress, desk: Desk) -> list[figures.Cell]:
    if not found.days:
        return []
    first, last = min(found.days), max(found.days)
    span = (parse(last) - parse(first)).days + 1
    until = min(parse(last), desk.at.astimezone(UTC)).date()
    days = figures.days_until(until, min(max(span, 14), 90))
    return [figures.Cell(day, found.days.get(day, 0)) for day in days]


def live(desk: Desk) -> Response:
    """Show how far a campaign has come, for a page that asks every few seconds."""
    found = _find(desk)
    if found is None:
        return desk.missing()
    return desk.show("campaign_progress.html", title="Progress", one=found, **_progress(desk, found))


def preview(desk: Desk) -> Response:
    """Show whom a campaign would reach if it started now."""
    found = _find(desk)
    if found is None:
        return desk.missing()
    counted = flow.preview(desk.service, found.campaign_id)
    shown = {
        "countries": figures.ordered(counted.countries), "languages": figures.ordered(counted.languages),
        "channels": figures.ordered(counted.channels), "excluded": figures.ordered(counted.excluded),
    }  # fmt: skip
    return desk.show("campaign_preview.html", title="Preview", one=found, counted=counted, shown=shown)


def form(desk: Desk) -> Response:
    """Show the form for a new draft."""
    return desk.show("campaign_draft.html", title="Draft a campaign", policies=office.policies())


def draft(desk: Desk) -> Response:
    """Keep a draft with the texts that demur ships."""
    try:
        effective, days = parse(desk.told("effective_at")), desk.told("notice_days")
    except ValueError as error:
        raise InputError("expected a date such as 2026-06-01 as the effective date, found another text") from error
    if days and not days.isdecimal():
        raise InputError("expected a number of days, found another text; leave it empty for what the policy asks")
    plan = flow.Plan(
        desk.told("campaign_id"), effective, policy=desk.told("policy") or "demur-strict",
        countries=tuple(_words(desk.told("countries").upper())), kinds=tuple(_words(desk.told("kinds"))),
        channels=tuple(_words(desk.told("channels"))) or ("email",), notice_days=int(days) if days else None,
    )  # fmt: skip
    if desk.told("policy") not in {"", *office.policies()}:
        raise InputError("expected one of the shipped policies, found another; other policies are for the command line")
    made = flow.draft(desk.service, plan, by=office.signature(desk.staff))
    desk.note("campaign.draft", made.campaign.campaign_id)
    return desk.back(f"/console/campaigns/{made.campaign.campaign_id}", "drafted")


def ask(desk: Desk) -> Response:
    """Ask whether it is meant."""
    found, name = _find(desk), desk.request.url.path.rpartition("/")[2]
    if found is None or name not in _possible(desk, found):
        return desk.missing()
    _, word, _, what = _ACTS[name]
    return desk.show(
        "campaign_act.html", title=f"{word} {found.campaign_id}", one=found, act=name, word=word, what=what,
        needs_reason=name in {"pause", "cancel"}, danger=name == "cancel",
    )  # fmt: skip


def act(desk: Desk) -> Response:
    """Do it."""
    found, name = _find(desk), desk.request.url.path.rpartition("/")[2]
    if found is None or name not in _possible(desk, found):
        return desk.missing()
    service, by, which = desk.service, office.signature(desk.staff), found.campaign_id
    if name == "approve":
        flow.approve(service, which, by=by)
    elif name == "start":
        flow.start(service, which, by=by, seconds=_FREEZE_SECONDS)
    elif name == "resume":
        flow.resume(service, which, by=by)
    else:
        reason = desk.told("reason")
        if not reason:
            raise InputError("expected a reason, found none; say why in a sentence")
        (flow.pause if name == "pause" else flow.cancel)(service, which, by=by, reason=reason)
    desk.note(f"campaign.{name}", which)
    return desk.back(f"/console/campaigns/{which}", _ACTS[name][2])


def _words(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").split() if word]


SCREENS = [
    Screen("/console/campaigns", Action.CAMPAIGNS_VIEW, campaigns),
    Screen("/console/campaigns/draft", Action.CAMPAIGNS_DRAFT, form),
    Screen("/console/campaigns/draft", Action.CAMPAIGNS_DRAFT, draft, "POST"),
    Screen("/console/campaigns/{campaign}", Action.CAMPAIGNS_VIEW, one_campaign),
    Screen("/console/campaigns/{campaign}/progress", Action.CAMPAIGNS_VIEW, live),
    Screen("/console/campaigns/{campaign}/preview", Action.CAMPAIGNS_DRAFT, preview),
    *(
        Screen(f"/console/campaigns/{{campaign}}/{name}", action, handle, method)
        for name, (action, *_) in _ACTS.items()
        for handle, method in ((ask, "GET"), (act, "POST"))
    ),
]
