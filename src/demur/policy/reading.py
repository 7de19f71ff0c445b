"""Read a policy file: TOML in, a checked ``Policy`` out, every fault found at once with its line.

The format is documented in docs/policy.md; ``POLICY_KEYS`` and ``TERM_KEYS`` are its keys. What no policy can lift
(private messages, minors, audiences beyond the public) is a fault here already (INT-05).

A policy has a full form too, in which presets and sets of countries are written out: what a workspace keeps, so that a
release that changes a preset changes no policy that was used. Its SHA-256 is the policy's digest.

This module does *not* decide, and does *not* know where policies in force are kept.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import orjson

from demur.clock import iso, parse
from demur.errors import ConfigError
from demur.policy.countries import members, set_names
from demur.policy.resolve import ELSEWHERE, KNOWN
from demur.store import digest_bytes, digest_json, files
from demur.terms.content import PRIVATE_KINDS, Audience, Kind
from demur.terms.people import Status
from demur.terms.policy import Jurisdiction, Policy, Regime, SignalUnknown, Terms, ThirdPartyScope

DEFAULT_POLICY = "demur-strict"
ADULT = 18
ADMISSIBLE_KINDS = frozenset(Kind) - PRIVATE_KINDS
ADMISSIBLE_AUDIENCES = frozenset({Audience.PUBLIC.value, Audience.UNLISTED.value})
ADMISSIBLE_STATUSES = frozenset(
    {Status.ACTIVE.value, Status.DORMANT.value, Status.ORGANISATION.value, Status.BOT.value}
)
"""Nobody can read a notice on the other accounts, or they are not public, or not the owner's."""

POLICY_KEYS: dict[str, Any] = {
    "name": None,
    "version": 1,
    "extends": None,
    "purpose": None,
    "legal_basis": "",
    "description": "",
    "third_party_scope": ThirdPartyScope.COPIES_AND_MENTIONS.value,
    "erase_on_objection": True,
    "profile_fields_of_private_accounts": False,
    "audiences": [Audience.PUBLIC.value],
    "statuses": [Status.ACTIVE.value],
    "grace_months": 12,
    "copy_min_words": 8,
    "defaults": {},
    "jurisdiction": [],
}
"""Keys of the file and what they are when they are missing; ``None`` = must be there, or has no value."""

TERM_KEYS: dict[str, Any] = {
    "regime": None,
    "min_age_years": ADULT,
    "age_at_creation_years": ADULT,
    "notice_days": 45,
    "effective_at": None,
    "kinds": ["*"],
    "without_kinds": [],
    "services": None,
    "content_not_before": None,
    "min_public_days": 0,
    "signal_unknown": SignalUnknown.IGNORE.value,
    "special_category": "exclude",
}
"""Keys of ``[defaults]`` and of every ``[[jurisdiction]]``."""

PLACE_KEYS: dict[str, Any] = {"name": None, "countries": None, "valid_from": None, "valid_until": None, "source": ""}
"""Further keys of every ``[[jurisdiction]]``."""


def preset_names() -> tuple[str, ...]:
    """Return the names of the policies that come with demur."""
    folder = resources.files("demur.policy").joinpath("presets")
    return tuple(sorted(file.name[:-5] for file in folder.iterdir() if _is_preset(file.name)))


def _is_preset(name: str) -> bool:
    return name.endswith(".toml") and name != "countries.toml"


def read(path_or_preset: str | Path) -> Policy:
    """Read a policy by path, or one that comes with demur by name; a ``.json`` file holds one in full.

    Raises:
        ConfigError: no such policy, or the file has faults: all of them, each with its line.
    """
    text = _text(path_or_preset)
    return parse_full(text) if _is_full(path_or_preset) else parse_policy(text)


def in_full(path_or_preset: str | Path) -> str:
    """Return a policy's full form; one that is in full already stays as it is, byte for byte.

    Raises:
        ConfigError: as for ``read``.
    """
    text = _text(path_or_preset)
    return text if _is_full(path_or_preset) else files.canonical(canonical(parse_policy(text))).decode()


def _is_full(path_or_preset: str | Path) -> bool:
    return str(path_or_preset).endswith(".json")


def _text(path_or_preset: str | Path) -> str:
    if str(path_or_preset) in preset_names():
        file = resources.files("demur.policy").joinpath(f"presets/{path_or_preset}.toml")
        return file.read_text(encoding="utf-8")
    try:
        return Path(path_or_preset).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        known = ", ".join(preset_names())
        raise ConfigError(f"expected a policy file or one of {known}; found no {path_or_preset}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"expected a readable UTF-8 policy file at {path_or_preset}; check the file") from error


def parse_policy(text: str) -> Policy:
    """Read a policy from the text of a file.

    Raises:
        ConfigError: the text has faults: all of them, each with its line.
    """
    raw, faults = _load(text)
    lines = _Lines(text)
    reader = _Reader(lines)
    merged = _inherit(raw, reader)
    policy = reader.policy(merged)
    faults += reader.faults
    if faults:
        raise ConfigError(
            f"expected a policy as in docs/policy.md, found {len(faults)} fault(s); correct these lines", faults
        )
    return policy


def parse_full(text: str) -> Policy:
    """Read a policy from its full form; its digest is that of the text.

    What another release left out gets the default of docs/policy.md, and the digest stays; floors hold here too.

    Raises:
        ConfigError: the text is no full form, or says what this release does not know.
    """
    reader = _Reader(_Lines(text))
    try:
        policy = reader.policy(_as_file(orjson.loads(text)))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError("expected a policy in full, as demur keeps it; restore the file") from error
    if reader.faults:
        raise ConfigError("expected a policy in full that this release of demur can read, found faults", reader.faults)
    return replace(policy, digest=digest_bytes(text.encode()))


def _as_file(full: Mapping[str, Any]) -> dict[str, Any]:
    """Return the full form as the keys of a file."""
    places = []
    for place in full["jurisdictions"]:
        terms = {"special_category": "allow" if place["terms"]["special_category_allowed"] else "exclude"}
        terms |= {key: value for key, value in place["terms"].items() if key != "special_category_allowed"}
        places.append({key: value for key, value in place.items() if key != "terms"} | terms)
    return {key: value for key, value in full.items() if key != "jurisdictions"} | {"jurisdiction": places}


def _load(text: str) -> tuple[dict[str, Any], list[str]]:
    try:
        return tomllib.loads(text), []
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("expected a policy in TOML; correct this line", [str(error)]) from error


def _inherit(raw: dict[str, Any], reader: _Reader) -> dict[str, Any]:
    """Return a policy's raw keys over those of the one that it extends; jurisdictions are replaced by name."""
    base_name = raw.get("extends")
    if base_name is None:
        return raw
    if base_name not in preset_names():
        reader.fault(("extends",), f"expected one of {', '.join(preset_names())} to extend, found {base_name!r}")
        return raw
    base = _inherit(tomllib.loads(_text(base_name)), reader)
    own = _tables(raw.get("jurisdiction"))
    names = {each.get("name") for each in own}
    kept = [
        {**base.get("defaults", {}), **each}
        for each in _tables(base.get("jurisdiction"))
        if each.get("name") not in names
    ]
    return {
        **base,
        **raw,
        "defaults": {**base.get("defaults", {}), **_mapping(raw.get("defaults"))},
        "jurisdiction": [*own, *kept],
    }


def _tables(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


class _Lines:
    """Where each key of a TOML text stands: ``("jurisdiction", 0, "regime")`` → line number."""

    _HEAD = re.compile(r"^\s*\[(\[?)\s*([^\[\]]+?)\s*\]?\]\s*(?:#.*)?$")
    _KEY = re.compile(r"^\s*[\"']?([A-Za-z0-9_-]+)[\"']?\s*=")

    def __init__(self, text: str) -> None:
        self._at: dict[tuple[str | int, ...], int] = {}
        place: tuple[str | int, ...] = ()
        counts: dict[str, int] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if head := self._HEAD.match(line):
                place = self._enter(head, counts)
                self._at.setdefault(place, number)
            elif key := self._KEY.match(line):
                self._at.setdefault((*place, key[1]), number)

    @staticmethod
    def _enter(head: re.Match[str], counts: dict[str, int]) -> tuple[str | int, ...]:
        if not head[1]:
            return (head[2],)
        counts[head[2]] = counts.get(head[2], -1) + 1
        return (head[2], counts[head[2]])

    def of(self, place: tuple[str | int, ...]) -> int:
        """Return the line of a key, or of the nearest thing around it; 1 for the file as a whole."""
        while place and place not in self._at:
            place = place[:-1]
        return self._at.get(place, 1)


Place = tuple[str | int, ...]


class _Reader:
    """Turns raw TOML values into types, and collects what is wrong on the way."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self.faults: list[str] = []

    def fault(self, place: Place, sentence: str) -> None:
        """Note a fault with its line."""
        self.faults.append(f"line {self._lines.of(place)}: {sentence}")

    def policy(self, raw: Mapping[str, Any]) -> Policy:
        self._strange(raw, POLICY_KEYS, ())
        read = {**POLICY_KEYS, **raw}
        jurisdictions = self._jurisdictions(read)
        policy = Policy(
            name=self._word(read["name"], ("name",)),
            version=self._number(read["version"], ("version",), least=1),
            purpose=self._word(read["purpose"], ("purpose",)),
            legal_basis=self._text_of(read["legal_basis"], ("legal_basis",)),
            description=self._text_of(read["description"], ("description",)),
            jurisdictions=jurisdictions,
            third_party_scope=self._member(read["third_party_scope"], ThirdPartyScope, ("third_party_scope",)),
            erase_on_objection=self._flag(read["erase_on_objection"], ("erase_on_objection",)),
            profile_fields_of_private_accounts=self._flag(
                read["profile_fields_of_private_accounts"], ("profile_fields_of_private_accounts",)
            ),
            audiences=self._subset(read["audiences"], ADMISSIBLE_AUDIENCES, ("audiences",)),
            statuses=self._subset(read["statuses"], ADMISSIBLE_STATUSES, ("statuses",)),
            grace_months=self._number(read["grace_months"], ("grace_months",), least=0),
            copy_min_words=self._number(read["copy_min_words"], ("copy_min_words",), least=1),
            digest="",
        )
        return with_digest(policy)

    # -- jurisdictions -----------------------------------------------------------------------------------------------

    def _jurisdictions(self, read: Mapping[str, Any]) -> tuple[Jurisdiction, ...]:
        defaults = read["defaults"]
        if not isinstance(defaults, dict):
            self.fault(("defaults",), "expected a table [defaults], found something else")
            defaults = {}
        self._strange(defaults, TERM_KEYS, ("defaults",))
        tables = read["jurisdiction"]
        if not isinstance(tables, list) or not tables:
            self.fault(
                ("jurisdiction",), "expected at least one [[jurisdiction]], found none: nothing would be decided"
            )
            return ()
        found = [self._jurisdiction(each, defaults, ("jurisdiction", index)) for index, each in enumerate(tables)]
        self._overlaps(found)
        return tuple(found)

    def _jurisdiction(self, raw: Any, defaults: Mapping[str, Any], place: Place) -> Jurisdiction:
        if not isinstance(raw, dict):
            self.fault(place, "expected a table [[jurisdiction]], found something else")
            raw = {}
        self._strange(raw, {**PLACE_KEYS, **TERM_KEYS}, place)
        read = {**PLACE_KEYS, **TERM_KEYS, **defaults, **raw}
        valid_from = self._instant(read["valid_from"], (*place, "valid_from"))
        valid_until = self._instant(read["valid_until"], (*place, "valid_until"))
        if valid_from and valid_until and valid_until <= valid_from:
            self.fault((*place, "valid_until"), f"expected an end after {iso(valid_from)}, found {iso(valid_until)}")
        return Jurisdiction(
            name=self._word(read["name"], (*place, "name")),
            countries=self._countries(read["countries"], (*place, "countries")),
            valid_from=valid_from,
            valid_until=valid_until,
            terms=self._terms(read, place),
            source=self._text_of(read["source"], (*place, "source")),
        )

    def _terms(self, read: Mapping[str, Any], place: Place) -> Terms:
        kinds = self._kinds(read["kinds"], (*place, "kinds"))
        without = (
            self._kinds(read["without_kinds"], (*place, "without_kinds")) if read["without_kinds"] else frozenset()
        )
        services = read["services"]
        special = self._choice(read["special_category"], ("exclude", "allow"), (*place, "special_category"))
        return Terms(
            regime=self._member(read["regime"], Regime, (*place, "regime")),
            min_age_years=self._number(read["min_age_years"], (*place, "min_age_years"), least=ADULT),
            age_at_creation_years=self._number(
                read["age_at_creation_years"], (*place, "age_at_creation_years"), least=ADULT
            ),
            notice_days=self._number(read["notice_days"], (*place, "notice_days"), least=0),
            effective_at=self._instant(read["effective_at"], (*place, "effective_at")),
            kinds=kinds - without,
            services=None if services is None else frozenset(self._words(services, (*place, "services"))),
            content_not_before=self._instant(read["content_not_before"], (*place, "content_not_before")),
            min_public_days=self._number(read["min_public_days"], (*place, "min_public_days"), least=0),
            signal_unknown=self._member(read["signal_unknown"], SignalUnknown, (*place, "signal_unknown")),
            special_category_allowed=special == "allow",
        )

    def _overlaps(self, found: list[Jurisdiction]) -> None:
        names: dict[str, int] = {}
        for index, one in enumerate(found):
            if one.name in names:
                self.fault(("jurisdiction", index, "name"), f"expected a name of its own, found {one.name!r} twice")
            names.setdefault(one.name, index)
            for other in found[:index]:
                shared = sorted(one.countries & other.countries)
                if shared and _meet(one, other):
                    where = ", ".join(shared[:5]) + (" …" if len(shared) > 5 else "")
                    self.fault(
                        ("jurisdiction", index, "countries"),
                        f"expected one jurisdiction a country at any time, found {where} in {other.name!r} too; "
                        "end one before the other begins",
                    )

    def _countries(self, value: Any, place: Place) -> frozenset[str]:
        found: set[str] = set()
        for word in self._words(value, place):
            if word in set_names():
                found |= members(word)
            elif word in KNOWN or word == ELSEWHERE:
                found.add(word)
            else:
                self.fault(place, f"expected an ISO 3166-1 code, a set ({', '.join(set_names())}) or *, found {word!r}")
        if not found:
            self.fault(place, "expected at least one country, found none")
        return frozenset(found)

    def _kinds(self, value: Any, place: Place) -> frozenset[Kind]:
        found: set[Kind] = set()
        for word in self._words(value, place):
            if word == ELSEWHERE:
                found |= ADMISSIBLE_KINDS
            elif word in PRIVATE_KINDS:
                self.fault(place, f"no policy can admit {word!r}: private content is a floor (INT-05); leave it out")
            elif word in ADMISSIBLE_KINDS:
                found.add(Kind(word))
            else:
                self.fault(place, f"expected kinds of content, found {word!r}; see docs/policy.md for the list")
        return frozenset(found)

    # -- single values -----------------------------------------------------------------------------------------------

    def _strange(self, raw: Mapping[str, Any], keys: Mapping[str, Any], place: Place) -> None:
        for key in raw:
            if key not in keys:
                self.fault((*place, key), f"expected one of {', '.join(sorted(keys))}; found the unknown key {key!r}")

    def _word(self, value: Any, place: Place) -> str:
        if isinstance(value, str) and value.strip():
            return value
        self.fault(place, f"expected a text for {place[-1]}, found {_shown(value)}")
        return ""

    def _text_of(self, value: Any, place: Place) -> str:
        if isinstance(value, str):
            return value
        self.fault(place, f"expected a text for {place[-1]}, found {_shown(value)}")
        return ""

    def _words(self, value: Any, place: Place) -> list[str]:
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return value
        self.fault(place, f"expected a list of texts for {place[-1]}, found {_shown(value)}")
        return []

    def _flag(self, value: Any, place: Place) -> bool:
        if isinstance(value, bool):
            return value
        self.fault(place, f"expected true or false for {place[-1]}, found {_shown(value)}")
        return False

    def _number(self, value: Any, place: Place, *, least: int) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= 10_000:
            return value
        self.fault(place, f"expected a whole number from {least} for {place[-1]}, found {_shown(value)}")
        return least

    def _instant(self, value: Any, place: Place) -> datetime | None:
        if value is None:
            return None
        try:
            return _as_instant(value)
        except (ValueError, TypeError):
            self.fault(place, f"expected a date or an instant for {place[-1]}, found {_shown(value)}")
            return None

    def _choice(self, value: Any, choices: tuple[str, ...], place: Place) -> str:
        if value in choices:
            return str(value)
        self.fault(place, f"expected one of {', '.join(choices)} for {place[-1]}, found {_shown(value)}")
        return choices[0]

    def _member(self, value: Any, kind: Callable[[str], Any], place: Place) -> Any:
        choices = tuple(each.value for each in kind)  # type: ignore[attr-defined]  # an enum class
        return kind(self._choice(value, choices, place))

    def _subset(self, value: Any, allowed: frozenset[str], place: Place) -> frozenset[str]:
        words = self._words(value, place)
        for word in words:
            if word not in allowed:
                self.fault(
                    place,
                    f"no policy can admit {word!r} in {place[-1]}: only {', '.join(sorted(allowed))} (floors, INT-05)",
                )
        if not words:
            self.fault(place, f"expected at least one of {', '.join(sorted(allowed))} for {place[-1]}, found none")
        return frozenset(words)


def _as_instant(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return parse(value)


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)[:60]


def _meet(one: Jurisdiction, other: Jurisdiction) -> bool:
    return not (_ends(one.valid_until, other.valid_from) or _ends(other.valid_until, one.valid_from))


def _ends(until: datetime | None, begin: datetime | None) -> bool:
    return until is not None and begin is not None and until <= begin


def canonical(policy: Policy) -> dict[str, Any]:
    """Return the plain form of a policy: sorted lists, ISO instants; equal policies give equal forms."""
    plain: dict[str, Any] = _plain({key: value for key, value in asdict(policy).items() if key != "digest"})
    plain["jurisdictions"] = sorted(plain["jurisdictions"], key=lambda each: str(each["name"]))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, frozenset):
        return sorted(str(each) for each in value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return iso(value) if isinstance(value, datetime) else value


def with_digest(policy: Policy) -> Policy:
    """Return the policy with the digest of its canonical form: the version that every decision names."""
    values = {name: getattr(policy, name) for name in Policy.__dataclass_fields__}
    return Policy(**{**values, "digest": digest_json(canonical(policy))})
