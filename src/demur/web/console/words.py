"""The console's own words: what was done, roles, and how strange signs in people's texts are shown."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Any

from demur.access import Role
from demur.errors import DemurError

ROLES: dict[Role, str] = {
    Role.OPERATOR: "operator",
    Role.POLICY_AUTHOR: "policy author",
    Role.APPROVER: "approver",
    Role.DPO: "privacy office",
    Role.TRAINER: "trainer",
    Role.AUDITOR: "auditor",
    Role.REGULATOR: "regulator",
}

DONE: dict[str, str] = {
    "drafted": "The campaign is drafted. Somebody else must approve it.",
    "approved": "The campaign is approved and can be started.",
    "started": "The campaign is running.",
    "paused": "The campaign is paused: nothing more is sent. Links keep working.",
    "resumed": "The campaign is running again.",
    "cancelled": "The campaign is cancelled. Links keep working and objections keep force.",
    "matched": "The objection counts for that person from when it was said.",
    "entered": "The objection is recorded. It counts already, and a confirmation goes to the address on file.",
    "queued": "The objection is recorded. Nobody could be matched yet, so it waits in the queue.",
    "taken_back": "The objection is recorded, but it is not in force: the person has taken everything back since.",
    "placed": "The hold is in force.",
    "proposed": "The lift is proposed. Somebody else must confirm it in their own session.",
    "lifted": "The hold is lifted.",
    "refused": "The proposal is closed; the hold stays.",
    "decided": "The decision is recorded. What was confirmed is out from now on.",
    "extended": "The deadline is extended and the person is told why.",
    "answered": "The answer is on its way.",
    "rerun": "The model was asked again; what it said is kept as evidence.",
    "destroyed": "It is noted as destroyed; nothing more is written to who got it.",
    "added": "The account is made.",
    "changed": "The role is changed and the account's sessions are ended.",
    "disabled": "The account is closed and its sessions are ended.",
}
"""``?done=`` → sentence; nothing that comes from outside is shown."""


def sentence(error: DemurError) -> str:
    """Return an error's first line as a sentence."""
    text = str(error).split("\n", maxsplit=1)[0]
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def utc(at: Any) -> str:
    """Return an instant to the minute.

    >>> utc(datetime(2026, 11, 22, 5, 7, tzinfo=UTC))
    '2026-11-22 05:07'
    """
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if isinstance(at, datetime) else str(at)


def visible(text: Any) -> str:
    r"""Return a text in which signs that nobody sees, or that turn the line round, stand as their code points.

    >>> visible("ann\u202egnp.exe")
    'ann⟨U+202E⟩gnp.exe'
    """
    return "".join(
        f"⟨U+{ord(sign):04X}⟩" if unicodedata.category(sign) in {"Cf", "Cc", "Co", "Cn", "Cs", "Zl", "Zp"}
        and sign not in "\n\t" else sign
        for sign in str(text)
    )  # fmt: skip


def ago(at: datetime, now: datetime) -> str:
    """Return how long an instant is away, in words.

    >>> ago(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, 1, tzinfo=UTC))
    '2 days ago'
    """
    seconds = (now - at).total_seconds()
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if abs(seconds) >= size:
            count = int(abs(seconds) // size)
            span = f"{count} {name}{'' if count == 1 else 's'}"
            return f"{span} ago" if seconds > 0 else f"in {span}"
    return "now"
