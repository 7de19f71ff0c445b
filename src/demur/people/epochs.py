"""Accounts: who owned one when, in which status, and what it says. Pure, like standing.py, whose idea it follows.

Late evidence takes away only: a late change of hands makes an epoch that is ``transferred``, a late status can only
be more severe, a late private flag only private, a late signal only ``n``. What a source says without a time may be
newer than all that has one: it too takes away whatever else is known, and lets in only where nothing else is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from demur.people.dossier import Holding, Row, View, Window
from demur.people.instants import ALWAYS, FOREVER
from demur.terms.content import Signal
from demur.terms.people import Status

SEVERITY: dict[str, int] = {
    status.value: rank
    for rank, status in enumerate(
        (
            Status.ACTIVE,
            Status.DORMANT,
            Status.BOT,
            Status.ORGANISATION,
            Status.DEACTIVATED,
            Status.SUSPENDED,
            Status.TRANSFERRED,
            Status.MEMORIAL,
            Status.COMPROMISED,
            Status.DELETED,
        )
    )
}
"""Status → rank. Of what is learnt late the most severe holds, so that learning more never lets more in."""

_NO = Signal.NO.value
_Epoch = tuple[str, int, int, bool]
"""Owner, begin, end, learnt late."""


def account_rows(person: str, holding: Holding, view: View) -> list[Row]:
    """Return the rows of ACCOUNTS for the epochs in which the person owned the account."""
    service = min(claim[1] for claim in holding.claims)
    is_known = any(claim[3] <= view.base for claim in holding.claims)
    private = _private(holding.profiles, view)
    begin, end = _hull(compromise_windows(holding.compromises, view))
    handles, names = _ever(holding.profiles, 0), _ever(holding.profiles, 1)
    rows: list[Row] = []
    for owner, start, until, is_late in _epochs(holding.claims, view):
        if owner != person:
            continue
        status = _status(holding.profiles, until, view) if is_known else None
        rows.append(
            (
                holding.account_id,
                service,
                person,
                None if start == ALWAYS else start,
                None if until == FOREVER else until,
                _severer(status, Status.TRANSFERRED.value) if is_late and is_known else status,
                private,
                begin,
                end,
                handles,
                names,
            )
        )
    return rows


def _epochs(claims: Sequence[Row], view: View) -> list[_Epoch]:
    """Begin by begin: the owner told last at base holds; a late begin is a late epoch, a late owner changes nothing."""
    if len(claims) == 1:
        person, _, valid_at, recorded_at = claims[0]
        return [(person, ALWAYS if valid_at is None else valid_at, FOREVER, recorded_at > view.base)]
    owners: dict[int, tuple[bool, int, str]] = {}
    for person, _, valid_at, recorded_at in claims:
        start = ALWAYS if valid_at is None else valid_at
        is_base = recorded_at <= view.base
        # Among late claims of one begin the first told holds: a later one changes nothing.
        claim = (is_base, recorded_at if is_base else -recorded_at, person)
        owners[start] = max(owners.get(start, claim), claim)
    starts = sorted(owners)
    epochs: list[_Epoch] = []
    for start, until in zip(starts, [*starts[1:], FOREVER], strict=True):
        is_base, _, person = owners[start]
        if epochs and epochs[-1][0] == person and (not epochs[-1][3] or not is_base):
            epochs[-1] = (person, epochs[-1][1], until, epochs[-1][3])
        else:
            epochs.append((person, start, until, not is_base))
    return epochs


def _status(profiles: Sequence[Row], until: int, view: View) -> str | None:
    """Status at ``as_of`` or the epoch's end, whichever is first, unless something more severe is learnt late.

    Nothing known at base stays unknown, whatever comes late.
    """
    at = min(view.as_of, until - 1)
    base: tuple[int, int, int, str] | None = None
    severest: str | None = None
    for profile in profiles:
        status, valid_at, recorded_at = profile[3], profile[7], profile[8]
        if status is None:
            continue
        valid = ALWAYS if valid_at is None else valid_at
        if valid <= at and recorded_at <= view.base:
            found = (valid, recorded_at, SEVERITY[status], status)
            base = found if base is None else max(base, found)
            if valid_at is not None:
                continue
        if valid < until:
            severest = status if severest is None else _severer(severest, status)
    if base is None:
        return None
    return base[3] if severest is None else _severer(base[3], severest)


def _severer(one: str | None, other: str) -> str | None:
    return None if one is None else max(one, other, key=SEVERITY.__getitem__)


def _private(profiles: Sequence[Row], view: View) -> bool | None:
    last: tuple[int, int, bool] | None = None
    narrowed = False
    for profile in profiles:
        private, valid_at, recorded_at = profile[4], profile[7], profile[8]
        if private is None:
            continue
        valid = ALWAYS if valid_at is None else valid_at
        if valid <= view.as_of and recorded_at <= view.base:
            found = (valid, recorded_at, bool(private))
            last = found if last is None else max(last, found)
            if valid_at is not None:
                continue
        narrowed = narrowed or bool(private)
    return None if last is None else last[2] or narrowed


def _ever(profiles: Sequence[Row], column: int) -> list[str]:
    """Values ever, newest first; all that is known, late or not: redaction needs every name."""
    if len(profiles) == 1:
        return [] if profiles[0][column] is None else [profiles[0][column]]
    told = sorted(
        ((ALWAYS if row[7] is None else row[7], row[8], row[column]) for row in profiles if row[column] is not None),
        reverse=True,
    )
    return list(dict.fromkeys(value for _, _, value in told))


def compromise_windows(compromises: Sequence[Row], view: View) -> list[Window]:
    """Return compromise windows; the newest word at base on a window's end holds, late ones are added."""
    if not compromises:
        return []
    base: dict[int, tuple[int, int]] = {}
    late: set[Window] = set()
    for valid_at, valid_until, recorded_at in compromises:
        end = FOREVER if valid_until is None else valid_until
        if recorded_at > view.base:
            late.add((valid_at, end))
        else:
            base[valid_at] = max(base.get(valid_at, (ALWAYS, ALWAYS)), (recorded_at, end))
    return sorted(late | {(start, end) for start, (_, end) in base.items()})


def _hull(windows: Sequence[Window]) -> tuple[int | None, int | None]:
    """ACCOUNTS has room for one window: the one that covers all."""
    if not windows:
        return None, None
    end = max(window[1] for window in windows)
    return min(window[0] for window in windows), None if end == FOREVER else end


def profile_facts(holdings: Iterable[Holding], view: View) -> tuple[str | None, str | None, int | None]:
    """Return signal (any n, else any y), language told last, last sign of life, over all accounts.

    Of an account whose owner was told late, or changed late, only a no counts: it may join a person's others too late.
    """
    signals: set[str] = set()
    language: tuple[int, int, str] | None = None
    active: int | None = None
    for holding in holdings:
        signal: tuple[int, int, bool, str] | None = None
        late = any(claim[3] > view.base for claim in holding.claims)
        for row in holding.profiles:
            valid = ALWAYS if row[7] is None else row[7]
            counts = not late and valid <= view.as_of and row[8] <= view.base
            if row[5] == _NO and (row[7] is None or not counts):
                signals.add(_NO)
            if not counts:
                continue
            signal = _newer(signal, row[5], (valid, row[8], row[5] == _NO))
            language = _newer(language, row[2], (valid, row[8]))
            if row[6] is not None:
                active = row[6] if active is None else max(active, row[6])
        if signal is not None:
            signals.add(signal[-1])
    combined = next((value.value for value in (Signal.NO, Signal.YES) if value in signals), None)
    return combined, None if language is None else language[-1], active


def _newer(known: Any, value: Any, worth: tuple[Any, ...]) -> Any:
    if value is None:
        return known
    found = (*worth, value)
    return found if known is None else max(known, found)
