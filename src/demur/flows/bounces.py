"""What comes back: reports from the bounce mailbox or the relay's endpoint change deliveries and letters."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

from demur.flows.service import Service
from demur.notice import letters
from demur.notice.addresses import NOTICE
from demur.notice.bounces import Became, Report, read_report
from demur.notice.deliveries import Deliveries
from demur.notice.stopped import address_of, stop_address
from demur.terms.notice import Outcome, Result

FILES = 200
"""Reports a step."""
_LOG = logging.getLogger(__name__)


def receive(service: Service, raw: bytes) -> Became:
    """Take one report, as it came in.

    A hard bounce takes the delivery to the next channel, or ends it: that person was not told. A complaint does the
    same and stops unasked mail to the address, but it is no objection (ADR 8). Whatever carries no return path of
    ours changes nothing.
    """
    report = read_report(raw, service.parts.keys)
    if report.became in {Became.BOUNCED, Became.COMPLAINED}:
        _note(service, report, service.clock())
    _LOG.info("report became=%s what=%s number=%d", report.became, report.what or "-", report.number)
    return report.became


def step(service: Service) -> int:
    """Take reports from the bounce mailbox (Maildir, or plain ``.eml`` files); return how many, 0 = idle.

    What was understood is removed, for it holds addresses and the delivery ledger knows the rest; what was not is
    left in ``cur`` for a person to look at. Killed in between, a report is taken twice, and changes nothing then.
    """
    home = mailbox(service)
    waiting = sorted([*home.glob("new/*"), *home.glob("*.eml")])[:FILES]
    for path in waiting:
        if receive(service, path.read_bytes()) in {Became.UNREAD, Became.FORGED}:
            (home / "cur").mkdir(exist_ok=True)
            path.replace(home / "cur" / f"{path.name}:2,F")
        else:
            path.unlink()
    return len(waiting)


def mailbox(service: Service) -> Path:
    """Return the folder that the relay puts bounces into (docs/mail.md)."""
    return service.parts.workspace.root / "bounces"


def _note(service: Service, report: Report, at: datetime) -> None:
    book, keys = service.notice, service.parts.keys
    complained = report.became is Became.COMPLAINED
    address = address_of(book, report.what, report.number) if complained else None
    if report.what == NOTICE:
        result = Result(report.number, report.attempt, Outcome.BOUNCED, report.code)
        Deliveries(book, keys.secret("backoff")).bounced_later([result], at)
    elif not complained:
        letters.bounced(book, [report.number])
    if address:
        stop_address(book, keys, address, report.became.value, at)
