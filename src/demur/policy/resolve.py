"""From countries and an instant to the terms that count: the most protective of all that may claim a person.

Pure. The caller memoises (there are a few hundred distinct sets of countries among millions of people).
This module does *not* find out where anybody lives.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from demur.policy.facts import clock_needed, latest
from demur.terms.content import Kind
from demur.terms.policy import PROTECTION, Jurisdiction, Policy, Regime, SignalUnknown, Terms

ELSEWHERE = "*"
"""Every country that no other jurisdiction names."""

KNOWN: frozenset[str] = frozenset(
    (  # noqa: SIM905  (a list of 249 quoted codes would be unreadable)
        "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT "
        "BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH "
        "ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT "
        "HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS "
        "LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI "
        "NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG "
        "SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG "
        "UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW "
    ).split()
)
"""All ISO 3166-1 alpha-2 codes; a residence with any other code is unknown."""

FLOOR_TERMS = Terms(
    regime=Regime.NO_CHOICE,
    min_age_years=18,
    age_at_creation_years=18,
    notice_days=0,
    effective_at=None,
    kinds=frozenset(Kind),
    services=None,
    content_not_before=None,
    min_public_days=0,
    signal_unknown=SignalUnknown.IGNORE,
    special_category_allowed=True,
)
"""Terms of a country that no jurisdiction claims: it is withheld as ``no_jurisdiction``, and for no other reason."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What counts for one set of countries at one instant."""

    terms: Terms
    covered: bool
    """Every country falls under a jurisdiction."""
    jurisdictions: tuple[str, ...]
    """Names of the jurisdictions whose terms were combined."""
    sources: tuple[str, ...]
    """Their sources."""


def resolve(policy: Policy, countries: frozenset[str] | None, as_of: datetime) -> Resolution:
    """Return the most protective terms over all jurisdictions that claim one of the countries.

    Args:
        policy: a checked policy.
        countries: ISO 3166-1 alpha-2 codes; ``None`` or empty = unknown residence, which gets the most protective of
            all jurisdictions in force (PPL-04, §4 "residence unknown").
        as_of: instant at which jurisdictions must be in force.
    """
    live = [each for each in policy.jurisdictions if in_force(each, as_of)]
    if not countries:
        return _combined(live, covered=bool(live))
    claims = {country: _claiming(live, country) for country in sorted(countries)}
    found = {each.name: each for each in claims.values() if each is not None}
    return _combined([found[name] for name in sorted(found)], covered=all(claims.values()))


def in_force(jurisdiction: Jurisdiction, as_of: datetime) -> bool:
    """Return whether a jurisdiction's dates include an instant (end exclusive)."""
    begun = jurisdiction.valid_from is None or jurisdiction.valid_from <= as_of
    return begun and (jurisdiction.valid_until is None or as_of < jurisdiction.valid_until)


def _claiming(live: list[Jurisdiction], country: str) -> Jurisdiction | None:
    named = next((each for each in live if country in each.countries), None)
    return named or next((each for each in live if ELSEWHERE in each.countries), None)


def _combined(found: list[Jurisdiction], *, covered: bool) -> Resolution:
    terms = most_protective(each.terms for each in found) if found else FLOOR_TERMS
    return Resolution(
        terms=terms,
        covered=covered,
        jurisdictions=tuple(sorted(each.name for each in found)),
        sources=tuple(sorted({each.source for each in found if each.source})),
    )


def most_protective(several: Iterable[Terms]) -> Terms:
    """Combine terms field by field; in every field the most protective value wins (§4 "most protective wins").

    Raises:
        ValueError: there are none to combine.
    """
    every = list(several)
    dates = [terms.effective_at for terms in every]
    services = [terms.services for terms in every if terms.services is not None]
    return Terms(
        regime=max((terms.regime for terms in every), key=PROTECTION.__getitem__),
        min_age_years=max(terms.min_age_years for terms in every),
        age_at_creation_years=max(terms.age_at_creation_years for terms in every),
        notice_days=max(terms.notice_days for terms in every),
        effective_at=_last_date(every, dates),
        kinds=frozenset.intersection(*(terms.kinds for terms in every)),
        services=frozenset.intersection(*services) if services else None,
        content_not_before=latest(*(terms.content_not_before for terms in every)),
        min_public_days=max(terms.min_public_days for terms in every),
        signal_unknown=_deny_wins(every),
        special_category_allowed=all(terms.special_category_allowed for terms in every),
    )


def _last_date(every: list[Terms], dates: list[datetime | None]) -> datetime | None:
    """A missing date means never where a clock is needed, so it beats every date; elsewhere it means any time."""
    if any(terms.effective_at is None and clock_needed(terms) for terms in every):
        return None
    return latest(*dates)


def _deny_wins(every: list[Terms]) -> SignalUnknown:
    denied = any(terms.signal_unknown is SignalUnknown.DENY for terms in every)
    return SignalUnknown.DENY if denied else SignalUnknown.IGNORE
