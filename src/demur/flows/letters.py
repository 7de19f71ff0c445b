"""Sends the letters that are due, and empties old ones: one call, some seconds, may be killed anywhere."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime

from demur.errors import OutsideError
from demur.flows.pace import Pace
from demur.flows.service import Service
from demur.notice import channels, letters
from demur.notice.stationery import write
from demur.notice.stopped import stopped as stopped_addresses
from demur.terms.notice import Outcome, Outgoing, Result

_LOG = logging.getLogger(__name__)
ROWS = 50
"""Letters a step; a relay takes them in well under a second."""
SECONDS = 20.0
"""Longest wait for the relay; what has no result by then is tried again, with the same Message-ID."""
FORGET = Pace(3_600.0)
"""How often old letters are looked for once there are none."""


def step(service: Service) -> int:
    """Send what is due; return how many letters were looked at, 0 = idle."""
    at = service.clock()
    due = letters.take(service.notice, at, rows=ROWS)
    if not due:
        return _forget_sometimes(service)
    results: list[Result] = []
    mails: list[Outgoing] = []
    unasked = [one.address for one in due if one.kind in letters.UNASKED]
    stopped = stopped_addresses(service.notice, service.parts.keys, unasked) if unasked else set()
    for one in due:
        if one.kind in letters.UNASKED and one.address in stopped:
            results.append(Result(one.number, one.attempt, Outcome.BOUNCED, "complaint"))
            continue
        made = _written(service, one, at)
        if isinstance(made, Result):
            results.append(made)
        else:
            mails.append(made)
    results += asyncio.run(_sent(service, mails)) if mails else []
    digests = {mail.number: hashlib.sha256(mail.message).digest() for mail in mails}
    letters.settle(service.notice, results, digests, at)
    return len(due)


def _written(service: Service, one: letters.Due, at: datetime) -> Outgoing | Result:
    """Write a letter; one that cannot be written must not keep the others of its batch from going out."""
    try:
        return write(one, at, service.site, service.links, service.parts.keys)
    except Exception as error:
        _LOG.error("letter %d cannot be written (%s); it is tried again", one.number, type(error).__name__)
        return Result(one.number, one.attempt, Outcome.DEFERRED, "unwritten")


def forget(service: Service) -> int:
    """Empty address and words of letters that nobody asks about any more; return how many."""
    return letters.forget(service.notice, service.clock())


def _forget_sometimes(service: Service) -> int:
    root = service.parts.workspace.root
    if not FORGET.due(root):
        return 0
    done = forget(service)
    if not done:
        FORGET.rest(root)
    return done


def surroundings(service: Service) -> channels.Surroundings:
    """Return what channels are made with."""
    root = service.parts.workspace.root
    return channels.Surroundings(service.site, service.notice, service.parts.keys, root / "outbox")


async def _sent(service: Service, mails: Sequence[Outgoing]) -> list[Result]:
    channel = channels.channel_named(channels.EMAIL, surroundings(service))
    results: list[Result] = []
    try:
        async with asyncio.timeout(SECONDS):
            await channel.open()
            async for result in channel.send(mails):
                results.append(result)  # noqa: PERF401  (a time-out must keep what came)
    except (TimeoutError, OSError, OutsideError):
        known = {result.number for result in results}
        results += [
            Result(mail.number, mail.attempt, Outcome.DEFERRED, "4.4.1") for mail in mails if mail.number not in known
        ]
    finally:
        await channel.close()
    return results
