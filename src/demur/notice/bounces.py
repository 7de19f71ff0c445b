"""Reports about mails that went out: non-delivery (RFC 3464), complaints (RFC 5965). Reads; changes nothing.

Whatever comes in is hostile until its return path proves otherwise: no bytes make this module raise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from enum import StrEnum

from demur.notice.addresses import read_return_path
from demur.store.keys import KeyRing

MAX_BYTES = 128 * 1024
"""A report is a few kilobytes; what is cut off is the mail that came back."""
_MOST_PARTS = 100
"""A report has three parts; a mail that nests thousands is made to keep the parser busy."""
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}", re.ASCII)
_ADDRESS = re.compile(r"[A-Za-z0-9-]{1,64}@", re.ASCII)
_COMPLAINTS = frozenset({"abuse", "fraud", "virus", "other"})
"""Feedback types that mean "stop" (RFC 5965 §7.3); ``not-spam`` and reports about signatures do not."""
_TO = ("delivered-to", "x-original-to", "to", "original-mail-from", "return-path", "x-failed-recipients")


class Became(StrEnum):
    """What a report was taken for."""

    BOUNCED = "bounced"
    COMPLAINED = "complained"
    DELAYED = "delayed"
    """The relay still tries: changes nothing."""
    FORGED = "forged"
    """Names no return path that we made: ignored, counted."""
    UNREAD = "unread"
    """No report in a form that we know: ignored, counted; a person should look."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report, as far as it concerns us."""

    became: Became
    what: str = ""
    """``b`` a delivery, ``l`` a letter."""
    number: int = 0
    attempt: int = 0
    code: str = ""
    """Enhanced status code (RFC 3463), or ``complaint``."""


def read_report(raw: bytes, keys: KeyRing) -> Report:
    """Return what a mail to a bounce address or a feedback loop says."""
    raw = raw[:MAX_BYTES]
    if raw.count(b"\n--") > _MOST_PARTS:
        return Report(Became.UNREAD)
    try:
        mail = BytesParser(policy=compat32).parsebytes(raw)
        parts = list(_parts(mail, 0))
        became, code = _verdict(parts)
        if became is Became.UNREAD:
            return Report(Became.UNREAD)
        path = next((path for text in _paths(parts) if (path := read_return_path(keys, text)) is not None), None)
    except Exception:
        return Report(Became.UNREAD)
    return Report(Became.FORGED) if path is None else Report(became, *path, code)


def _parts(mail: Message, depth: int) -> Iterator[Message]:
    yield mail
    inner = mail.get_payload()
    if depth < 5 and isinstance(inner, list):
        for part in inner[:50]:
            if isinstance(part, Message):
                yield from _parts(part, depth + 1)


def _verdict(parts: list[Message]) -> tuple[Became, str]:
    if any(_field(part, "feedback-type") in _COMPLAINTS for part in parts if _is_feedback(part)):
        return Became.COMPLAINED, "complaint"
    actions = [(_field(part, "action"), _field(part, "status")) for part in parts if part.get("Action") is not None]
    failed = [status for action, status in actions if action == "failed"]
    if failed:
        found = next((match[0] for status in failed if (match := _STATUS.match(status))), "5.0.0")
        return Became.BOUNCED, found
    return (Became.DELAYED, "") if actions else (Became.UNREAD, "")


def _is_feedback(part: Message) -> bool:
    return part.get("Feedback-Type") is not None


def _paths(parts: list[Message]) -> Iterator[str]:
    for part in parts:
        for name in _TO:
            for value in part.get_all(name, [])[:20]:
                for match in list(_ADDRESS.finditer(str(value)[:2000]))[:20]:
                    yield match[0]


def _field(part: Message, name: str) -> str:
    return str(part.get(name) or "").partition(";")[0].strip().lower()
