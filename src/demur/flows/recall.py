"""Writes to who got an export that may not be used any longer: asked to destroy it, and reminded (GDPR art. 17(2), 19).

One call, may be killed anywhere: a letter has a key, and an event is a file that is written once.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from demur.errors import BrokenError
from demur.flows import exports
from demur.flows.exports import ExportState, Given
from demur.flows.pace import Pace
from demur.flows.service import Service
from demur.notice import letters

REMIND = timedelta(days=14)
MOST_LETTERS = 3
"""To one recipient about one export; then somebody here has to ask."""
LOOK = Pace(10.0)
"""How often it looks while there is nothing to do."""


def step(service: Service) -> int:
    """See which exports are over, and write to who got them; return how much was done, 0 = idle."""
    root = service.parts.workspace.root
    if not LOOK.due(root):
        return 0
    done = look(service)
    if not done:
        LOOK.rest(root)
    return done


def look(service: Service) -> int:
    """Do what ``step`` does, now.

    Raises:
        BrokenError: some exports cannot be read; the others are looked at.
    """
    found, space = exports.exports(service.parts.workspace), service.parts.workspace
    ended = [one for one in found.given if one.state is ExportState.DESTROYED]
    done = letters.drop(service.notice, [one.letter(number + 1) for one in ended for number in range(MOST_LETTERS)])
    for number in (one.number for one in found.given if one.state is not ExportState.DESTROYED):
        with exports.alone(space, number) as one:
            done += _looked_at(service, one, service.clock())
    if found.unreadable:
        named = ", ".join(found.unreadable[:5])
        raise BrokenError(f"expected whole folders of exports, found damaged ones: {named}; restore them from a backup")
    return done


def _looked_at(service: Service, one: Given, at: datetime) -> int:
    now = exports.over(service.parts, one, at)
    noted = now.over_at != one.over_at
    if not _is_due(now, at):
        return int(noted)
    _write(service, now, at)
    exports.written(service.parts, now, at)
    return 1


def _is_due(one: Given, at: datetime) -> bool:
    if one.state is not ExportState.OVER or one.recipient is None or not one.recipient.address:
        return False
    return len(one.written_at) < MOST_LETTERS and (not one.written_at or at >= one.written_at[-1] + REMIND)


def _write(service: Service, one: Given, at: datetime) -> None:
    assert one.recipient is not None
    letters.queue(
        service.notice,
        kind=letters.LetterKind.EXPORT_OVER,
        key=one.letter(len(one.written_at) + 1),
        person_id=None,
        language=one.recipient.language,
        address=one.recipient.address,
        facts={
            "reference": one.reference,
            "given_at": one.at,
            "digest": one.digest,
            "export_url": exports.page_link(one, service.site, service.links),
        },
        at=at,
    )
