"""Which names and user names stay suppressed for good: those that led to what was confirmed, and are nobody else's.

Pure. Proposals come with the words around them; what led there is read from these. Does not make the hashes.
"""

from __future__ import annotations

from collections.abc import Sequence

from demur.requests.matcher import fold, stands_alone
from demur.requests.names import Names
from demur.requests.words import Proposal, Rule, Verdict, Wanted


def lasting_names(wanted: Wanted, proposals: Sequence[Proposal]) -> list[str]:
    """Return the folded full names that no later text may hold (TPD-03), sorted.

    A name that others have too is not among them, whatever stands beside it: found by itself, it was never certain.
    """
    names = sorted({fold(name) for name in wanted.names if len(name.split()) >= 2})
    found = [one for one in proposals if one.rule is Rule.NAME]
    shared = {name for one in found if not one.certain for name in names if stands_alone(name, one.snippet)}
    led: set[str] = set()
    for one in found:
        if one.certain and one.verdict is Verdict.CONFIRMED:
            here = [name for name in names if stands_alone(name, one.snippet)]
            led.update(name for name in here if not any(name != other and name in other for other in here))
    return sorted(name for name in led - shared if Names([]).is_rare(name))


def lasting_handles(wanted: Wanted, proposals: Sequence[Proposal]) -> list[str]:
    """Return the user names that led to confirmed items, as they were given; all of them where the words do not say.

    A part of a longer user name led nowhere. What is certain was found by one of them, whatever the words say.
    """
    led = [one for one in proposals if one.rule is Rule.HANDLE and one.verdict is Verdict.CONFIRMED]
    texts = [fold(one.snippet) for one in led]
    said = [one for one in wanted.handles if any(stands_alone(f"@{fold(one).lstrip('@')}", text) for text in texts)]
    silent = any(one.certain or not text for one, text in zip(led, texts, strict=True))
    return said or (list(wanted.handles) if silent else [])
