"""A person's standing from everything that is recorded about them: the rules, pure. No I/O, no clock, no chance.

The one idea: *evidence that lets more in counts only when demur knew it at ``base``; evidence that takes away counts
when demur knew it at ``known_at``.* So raising ``known_at`` never lets more in, whatever arrives and in which order.
An event is *late* when ``recorded_at > base``. Each rule below says what it does with late events.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from demur.people.dossier import CampaignView, Dossier, Episode, Row, View, Window, one_by
from demur.people.epochs import account_rows, compromise_windows, profile_facts
from demur.people.events import OPEN_DOORS
from demur.people.instants import ALWAYS, FOREVER
from demur.people.renotice import told_again_from
from demur.people.schema import unlisted
from demur.terms.people import DELIVERED_STATES, Act, AgeSource, Delivery

_DELIVERED = frozenset(state.value for state in DELIVERED_STATES)
_BOUNCED = Delivery.BOUNCED.value
_ESTIMATED = AgeSource.ESTIMATED.value
_OBJECT = Act.OBJECT.value


class Rows(NamedTuple):
    """What one person adds to the exported files; tuples in the order of the schemas in terms/tables.py."""

    standing: Row
    accounts: list[Row]
    residence: list[Row]
    notices: list[Row]
    objections: list[Row]


def standing_of(dossier: Dossier, view: View) -> Rows:
    """Return a person's rows: 1. age 2. residence 3. notices 4. objections 5. consents 6. accounts.

    Args:
        dossier: all events of the person with ``recorded_at <= view.known_at``.
        view: from where to look.
    """
    person = dossier.person_id
    windows = [window for holding in dossier.holdings for window in compromise_windows(holding.compromises, view)]
    born_on, age_conflict = _age(dossier.ages, view)
    known, late = _episodes(dossier.residences, view)
    notice = _notices(dossier.notices, view)
    objection = _objections(dossier, windows, view)
    signal, language, last_active_at = profile_facts(dossier.holdings, view)
    row = (
        person,
        born_on,
        age_conflict,
        _countries(known, late, view.grace_from, view.as_of),
        _countries_at(known, late, notice.seen_at),
        told_again_from(
            view.renotices, [one[0] for one in (*known, *late)], notice.campaigns, _arrived_at(known, late, view.as_of)
        ),
        objection.objected,
        objection.kinds,
        objection.services,
        objection.withdrawn_at,
        _purposes(dossier.consents, windows, view),
        notice.first,
        notice.last,
        notice.effective_at,
        notice.campaigns,
        notice.kind_clocks,
        signal,
        language,
        last_active_at,
    )
    return Rows(
        standing=row,
        accounts=[line for holding in dossier.holdings if holding.own for line in account_rows(person, holding, view)],
        residence=_residence_rows(person, known, late),
        notices=[(person, *line) for line in notice.rows],
        objections=[(line[0], person, *line[1:]) for line in objection.rows],
    )


# 1. Age (PPL-02) ---------------------------------------------------------------------------------------------------


def _age(ages: Iterable[Row], view: View) -> tuple[int | None, bool]:
    """The youngest reading of verified and declared evidence; late evidence can only make younger."""
    base: int | None = None
    late: int | None = None
    adult = minor = False
    for born_on, source, recorded_at in ages:
        is_minor = born_on > view.adult_cutoff
        minor = minor or is_minor
        if source == _ESTIMATED:
            continue  # an estimate can only cast doubt
        adult = adult or not is_minor
        if recorded_at <= view.base:
            base = born_on if base is None else max(base, born_on)
        else:
            late = born_on if late is None else max(late, born_on)
    if base is not None and late is not None:
        base = max(base, late)
    return base, adult and minor


# 2. Residence (PPL-04, §4) -----------------------------------------------------------------------------------------


def _episodes(residences: Sequence[Row], view: View) -> tuple[list[Episode], list[Episode]]:
    """Episodes known at base, and late ones. Late ones are added to the others, they never shorten or replace.

    An account that names a place of no known country says only that the country it named before is over.
    """
    named: dict[str, int] = {}
    for country, valid_from, _, stream, _ in residences:
        if stream is not None and country:
            start = ALWAYS if valid_from is None else valid_from
            named[stream] = min(start, named.get(stream, start))
    declared: dict[tuple[str, int], tuple[int, int]] = {}
    observed: dict[str, list[Row]] = {}
    late: list[Episode] = []
    for row in residences:
        country, valid_from, valid_until, stream, recorded_at = row
        start = ALWAYS if valid_from is None else valid_from
        end = FOREVER if valid_until is None else valid_until
        if stream is not None and not country and start < named.get(stream, FOREVER):
            continue
        if recorded_at > view.base:
            late.append((country, start, end))
        elif stream is not None:
            observed.setdefault(stream, []).append((country, start))
        else:  # the same episode told again: the newest word on its end holds, the longer one in doubt
            key = (country or "", start)
            declared[key] = max(declared.get(key, (ALWAYS, ALWAYS)), (recorded_at, end))
    known: list[Episode] = [(country or None, start, end) for (country, start), (_, end) in declared.items()]
    for rows in observed.values():
        known.extend(_observed(rows))
    return _sorted(known), _sorted(late)


def _sorted(episodes: list[Episode]) -> list[Episode]:
    return episodes if len(episodes) < 2 else sorted(set(episodes), key=_order)


def _observed(rows: list[Row]) -> Iterable[Episode]:
    """An observation lasts until the next later one of its stream; two of one instant are a conflict: both count."""
    if len(rows) == 1:
        return [(*rows[0], FOREVER)]
    starts = sorted({start for _, start in rows})
    until = dict(zip(starts, [*starts[1:], FOREVER], strict=True))
    return ((country, start, until[start]) for country, start in rows)


def _order(episode: Episode) -> tuple[int, int, str]:
    country, start, end = episode
    return start, end, country or ""


def _countries(known: list[Episode], late: list[Episode], since: int, until: int) -> list[str]:
    """Countries of episodes that touch ``(since, until]``; empty = unknown, and unknown dominates."""
    if len(known) == 1 and not late:  # most people
        country, start, end = known[0]
        return [country] if country is not None and start <= until and end > since else []
    base = {country for country, start, end in known if start <= until and end > since}
    if not base or None in base:
        return []
    added = {country for country, start, end in late if start <= until and end > since}
    if None in added:
        return []
    return sorted(country for country in base | added if country is not None)


def _countries_at(known: list[Episode], late: list[Episode], instants: Iterable[int]) -> list[str]:
    """Countries at some instants together; unknown at one of them = unknown."""
    found: set[str] = set()
    for at in instants:
        there = _countries(known, late, at, at)
        if not there:
            return []
        found.update(there)
    return sorted(found)


def _arrived_at(known: list[Episode], late: list[Episode], as_of: int) -> int | None:
    """Begin of the latest episode by ``as_of`` in a country not lived in before; the first country is no arrival."""
    if len(known) < 2 and not late:
        return None
    seen: set[str] = set()
    arrived: int | None = None
    first_start = ALWAYS
    for country, start, _ in known:  # in order of begin
        if country is None or start > as_of or country in seen:
            continue
        if seen and start > first_start:
            arrived = start
        if not seen:
            first_start = start
        seen.add(country)
    moves = [start for country, start, _ in late if country not in seen and ALWAYS < start <= as_of]
    return max([*moves, *([] if arrived is None else [arrived])], default=None)


def _residence_rows(person: str, known: list[Episode], late: list[Episode]) -> list[Row]:
    """Episodes as exported. Where a late one speaks of a time that was unknown at base, that stays unknown."""
    episodes = known
    if late:
        gaps: list[Episode] = [(None, *gap) for _, start, end in late for gap in _gaps(start, end, known)]
        episodes = _sorted([*known, *late, *gaps])
    return [
        (person, country, None if start == ALWAYS else start, None if end == FOREVER else end)
        for country, start, end in episodes
    ]


def _gaps(start: int, end: int, known: list[Episode]) -> Iterable[Window]:
    for _, begin, finish in known:  # in order of begin
        if begin >= end:
            break
        if begin > start:
            yield start, begin
        start = max(start, finish)
    if start < end:
        yield start, end


# 3. Notices (NOT-02, NOT-03, NOT-09) -------------------------------------------------------------------------------


_KIND_CLOCK = ("kind", "first_delivered_at", "last_delivered_at", "effective_at")


class _Notice(NamedTuple):
    first: int | None = None
    last: int | None = None
    effective_at: int | None = None
    campaigns: Sequence[str] = ()
    kind_clocks: Sequence[Mapping[str, object]] = ()
    """Clocks of kinds that notices of their own announced (NOT-07)."""
    seen_at: tuple[int, ...] = ()
    """The last delivery, and those after it that only something late took away: residence at each of them counts."""
    rows: Sequence[Row] = ()


def _notices(notices: Sequence[Row], view: View) -> _Notice:
    """Deliveries known at base in campaigns that start clocks; a bounce takes away, also a late one.

    The policy starts the clock at the first delivery, or at the last one if the first came too early to count (a move,
    a birthday, a withdrawal). What is learnt late may take such an instant away, but no other delivery steps into its
    place: that could only start the clock earlier than it was known to start.
    """
    if not notices:
        return _Notice()
    deliveries: list[Row] = []
    bounced_base: dict[tuple[str, str], int] = {}
    bounced: dict[tuple[str, str], int] = {}
    rows: list[Row] = []
    for row in notices:
        campaign, channel, state, valid_at, recorded_at = row
        if state == _BOUNCED:
            _latest(bounced, (campaign, channel), valid_at)
            if recorded_at <= view.base:
                _latest(bounced_base, (campaign, channel), valid_at)
        elif recorded_at > view.base:
            continue
        elif state in _DELIVERED and valid_at <= view.as_of:
            deliveries.append(row)
        rows.append(row)
    campaigns = view.campaigns
    before = [
        row for row in deliveries
        if _starts(view, row[0], "base") and row[3] > bounced_base.get((row[0], row[1]), ALWAYS)
    ]  # fmt: skip
    now = [row for row in before if _starts(view, row[0], "now") and row[3] > bounced.get((row[0], row[1]), ALWAYS)]
    first, last, effective_at = _clock(before, now, campaigns, None)
    named = sorted({kind for row in before for kind in campaigns[row[0]].kinds_at_base or ()})
    return _Notice(
        first=first,
        last=last,
        effective_at=effective_at,
        kind_clocks=[
            dict(zip(_KIND_CLOCK, (kind, *_clock(before, now, campaigns, kind)), strict=True)) for kind in named
        ],
        campaigns=sorted({row[0] for row in before}),  # what a hold on a campaign covers never shrinks
        seen_at=tuple(sorted({row[3] for row in before if last is None or row[3] >= last})),
        rows=rows if len(rows) == 1 else sorted(set(rows)),
    )


def _clock(
    before: Sequence[Row], now: Sequence[Row], campaigns: Mapping[str, CampaignView], kind: str | None
) -> tuple[int | None, int | None, int | None]:
    """Return first and last delivery and the date of the notices for one kind, or of those for every kind (NOT-07).

    A kind that a notice of its own announced has its own clock from then on: a later notice restarts it for that kind
    alone. What only a notice for some kinds told is no notice for the others.
    """

    def tells(kinds: frozenset[str] | None) -> bool:
        return kinds is None if kind is None else kinds is not None and kind in kinds

    told = [row for row in before if tells(campaigns[row[0]].kinds_at_base)]
    left = [row for row in now if row in told and tells(campaigns[row[0]].kinds)]
    dates = [campaigns[row[0]].effective_at for row in told]
    return (*_ends(told, left), max((at for at in dates if at is not None), default=None))


def _ends(before: Sequence[Row], now: Sequence[Row]) -> tuple[int | None, int | None]:
    """First and last delivery as known at base, if they still stand; one that stands alone is both."""
    if not now:
        return None, None
    first, last = min(row[3] for row in before), max(row[3] for row in before)
    left = [at for at in (first, last) if any(row[3] == at for row in now)]
    return min(left, default=None), max(left, default=None)


def _latest(found: dict[tuple[str, str], int], key: tuple[str, str], at: int) -> None:
    found[key] = max(found.get(key, ALWAYS), at)


def _starts(view: View, campaign_id: str, when: str) -> bool:
    """An unknown campaign starts no clock, nor does one for another purpose (JUR-09)."""
    campaign = view.campaigns.get(campaign_id)
    if campaign is None or view.purpose not in {None, campaign.purpose}:
        return False
    return campaign.counts_at_base if when == "base" else campaign.counts


# 4. Objections (OBJ-02, OBJ-05, OBJ-07, OBJ-08) --------------------------------------------------------------------


class _Objection(NamedTuple):
    objected: bool = False
    kinds: list[str] | None = None
    services: list[str] | None = None
    withdrawn_at: int | None = None
    rows: Sequence[Row] = ()


def _objections(dossier: Dossier, windows: list[Window], view: View) -> _Objection:
    """An objection counts whenever it was said; a withdrawal only by ``as_of``, known at base, outside a compromise.

    What is left of the objections after the withdrawals adds up.
    """
    if not dossier.objections:
        return _Objection()
    acts = [
        row for row in dossier.objections
        if row[2] == _OBJECT
        or (row[6] <= view.as_of and row[7] <= view.base and not any(a <= row[6] < b for a, b in windows))
    ]  # fmt: skip
    acts.sort(key=lambda row: (row[6], row[7], row[2] == _OBJECT, row[1], row[0]))
    standing: list[Row] = []
    withdrawn_at: int | None = None
    for row in acts:
        if row[2] == _OBJECT:
            standing.append(row)
            continue
        mine = one_by(dossier.near, row[0], row[7])
        left = [made for made in standing if not takes_back(row, made, mine)]
        if len(left) < len(standing):
            withdrawn_at = row[6]
        standing = left
    rows = [(*row[1:3], unlisted(row[3]), unlisted(row[4]), *row[5:]) for row in acts]
    return _Objection(
        objected=bool(standing),
        kinds=_union(row[3] for row in standing),
        services=_union(row[4] for row in standing),
        withdrawn_at=withdrawn_at,
        rows=rows,
    )


def takes_back(withdrawal: Row, made: Row, mine: Collection[str]) -> bool:
    """Tell whether a withdrawal takes back an objection before it: its scope covers it, and its door was as good.

    Whoever has a forwarded mail can take back what came by such a mail, and never what the person said themselves.

    Args:
        withdrawal: as in ``Dossier.objections``.
        made: an objection, likewise.
        mine: ids that were known to be the same human being when the withdrawal was recorded. A link that is told
            later, perhaps by mistake, takes nobody's no away.
    """
    door = withdrawal[5] not in OPEN_DOORS or made[5] in OPEN_DOORS
    return door and made[0] in mine and covers(withdrawal[3], made[3]) and covers(withdrawal[4], made[4])


def covers(wide: str | None, narrow: str | None) -> bool:
    """Tell whether one scope holds all of another; ``None`` = everything."""
    return wide is None or (narrow is not None and set(unlisted(narrow) or ()) <= set(unlisted(wide) or ()))


def _union(scopes: Iterable[str | None]) -> list[str] | None:
    """``None`` = everything wins; also when there is no scope at all."""
    found: set[str] = set()
    for scope in scopes:
        values = unlisted(scope)
        if values is None:
            return None
        found.update(values)
    return sorted(found) or None


# 5. Consents -------------------------------------------------------------------------------------------------------


def _purposes(consents: Sequence[Row], windows: list[Window], view: View) -> list[str]:
    """Purposes whose last word by ``as_of`` is a consent; a late revocation removes, a late consent is none."""
    if not consents:
        return []
    last: dict[str, tuple[int, int, bool]] = {}
    revoked: set[str] = set()
    for purpose, act, valid_at, recorded_at in consents:
        counts = valid_at <= view.as_of and recorded_at <= view.base
        if act == Act.REVOKE:
            if counts:
                last[purpose] = max(last.get(purpose, (ALWAYS, ALWAYS, False)), (valid_at, recorded_at, True))
            else:
                revoked.add(purpose)
        elif counts and not any(a <= valid_at < b for a, b in windows):
            last[purpose] = max(last.get(purpose, (ALWAYS, ALWAYS, False)), (valid_at, recorded_at, False))
    return sorted(purpose for purpose, (_, _, is_revoked) in last.items() if not is_revoked and purpose not in revoked)
