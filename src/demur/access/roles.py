"""Who may do what: roles × actions, least privilege (SEC-01). Pure; the pages and the tests read the same matrix."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What somebody works here as. A person whose data it is has a session of their own kind and none of these."""

    OPERATOR = "operator"
    """Keeps the installation running: staff accounts, sending; sees nobody's data."""
    POLICY_AUTHOR = "policy_author"
    """Drafts policies and campaigns."""
    APPROVER = "approver"
    """Approves what others drafted, confirms what others proposed."""
    DPO = "dpo"
    """The privacy office: people, objections, requests, holds."""
    TRAINER = "trainer"
    """Builds corpora and models."""
    AUDITOR = "auditor"
    """Checks figures and evidence; sees no person."""
    REGULATOR = "regulator"
    """An authority: reads what concerns its country, verifies, downloads."""


class Action(StrEnum):
    """What can be done in the console."""

    OVERVIEW = "overview"
    CAMPAIGNS_VIEW = "campaigns.view"
    CAMPAIGNS_DRAFT = "campaigns.draft"
    CAMPAIGNS_APPROVE = "campaigns.approve"
    CAMPAIGNS_RUN = "campaigns.run"
    """Start, pause, resume, cancel."""
    OBJECTIONS_VIEW = "objections.view"
    """Figures with small cells suppressed."""
    OBJECTIONS_QUEUE = "objections.queue"
    """Single objections that nobody matched, and matching them."""
    OBJECTIONS_ENTER = "objections.enter"
    REQUESTS_VIEW = "requests.view"
    REQUESTS_DECIDE = "requests.decide"
    HOLDS_VIEW = "holds.view"
    HOLDS_PLACE = "holds.place"
    """Also proposing to lift one."""
    HOLDS_CONFIRM = "holds.confirm"
    """Confirming or refusing a lift that somebody else proposed."""
    WHATIF = "whatif"
    MODELS_VIEW = "models.view"
    EXPORTS_VIEW = "exports.view"
    """What left the house, and who got it."""
    EXPORTS_NOTE = "exports.note"
    """That somebody destroyed what they got."""
    PEOPLE_SEARCH = "people.search"
    """And everything about one person; every look is in the audit trail."""
    LEDGER_VIEW = "ledger.view"
    """Checkpoint and evidence, to verify and download."""
    STAFF_VIEW = "staff.view"
    STAFF_MANAGE = "staff.manage"
    AUDIT_VIEW = "audit.view"


_EVERYBODY = {Action.OVERVIEW, Action.CAMPAIGNS_VIEW, Action.OBJECTIONS_VIEW, Action.HOLDS_VIEW, Action.LEDGER_VIEW}

MATRIX: dict[Role, frozenset[Action]] = {
    Role.OPERATOR: frozenset({
        *_EVERYBODY, Action.CAMPAIGNS_RUN, Action.MODELS_VIEW, Action.EXPORTS_VIEW, Action.STAFF_VIEW,
        Action.STAFF_MANAGE, Action.HOLDS_PLACE, Action.HOLDS_CONFIRM,
    }),
    Role.POLICY_AUTHOR: frozenset({*_EVERYBODY, Action.CAMPAIGNS_DRAFT, Action.WHATIF, Action.MODELS_VIEW}),
    Role.APPROVER: frozenset({
        *_EVERYBODY, Action.CAMPAIGNS_APPROVE, Action.WHATIF, Action.MODELS_VIEW, Action.HOLDS_CONFIRM,
    }),
    Role.DPO: frozenset(Action) - {Action.STAFF_MANAGE},
    Role.TRAINER: frozenset({*_EVERYBODY, Action.WHATIF, Action.MODELS_VIEW, Action.EXPORTS_VIEW}),
    Role.AUDITOR: frozenset({
        *_EVERYBODY, Action.MODELS_VIEW, Action.EXPORTS_VIEW, Action.STAFF_VIEW, Action.AUDIT_VIEW,
    }),
    Role.REGULATOR: frozenset({
        Action.OVERVIEW, Action.CAMPAIGNS_VIEW, Action.OBJECTIONS_VIEW, Action.HOLDS_VIEW, Action.MODELS_VIEW,
        Action.EXPORTS_VIEW, Action.PEOPLE_SEARCH, Action.LEDGER_VIEW,
    }),
}  # fmt: skip
"""What is not here is refused."""

SCOPED = frozenset({Role.REGULATOR})
"""Roles that see their countries only, and must have some."""


def allows(role: Role, action: Action) -> bool:
    """Say whether a role may do something."""
    return action in MATRIX.get(role, frozenset())
