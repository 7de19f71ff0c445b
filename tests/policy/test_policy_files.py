"""Policy files: presets say what the record says, faults come all at once with lines, floors stay."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.errors import ConfigError
from demur.policy import check, diff, parse_policy, preset_names, read, resolve, show
from demur.policy.countries import members
from demur.policy.reading import (
    ADMISSIBLE_AUDIENCES,
    ADMISSIBLE_KINDS,
    ADMISSIBLE_STATUSES,
    PLACE_KEYS,
    POLICY_KEYS,
    TERM_KEYS,
    canonical,
    in_full,
    parse_full,
)
from demur.store import digest_bytes
from demur.terms.content import Kind
from demur.terms.policy import Regime, SignalUnknown, ThirdPartyScope
from demur.terms.reasons import BIT, Exclusion, Reason

DOCS = Path(__file__).parents[2] / "docs"


def at(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


@pytest.mark.parametrize(
    ("preset", "country", "when", "regime", "days", "effective"),
    [
        ("meta-eu-2024", "DE", at(2024, 6, 1), Regime.OPT_OUT, 35, at(2024, 6, 26)),
        ("meta-eu-2024", "NO", at(2024, 6, 14), Regime.HELD, 35, at(2024, 6, 26)),
        ("meta-eu-2024", "CH", at(2024, 6, 21), Regime.HELD, 35, at(2024, 6, 26)),
        ("meta-eu-2025", "IE", at(2025, 5, 27), Regime.OPT_OUT, 43, at(2025, 5, 27)),
        ("meta-uk-2024", "GB", at(2024, 7, 1), Regime.HELD, 45, None),
        ("meta-uk-2024", "GB", at(2024, 10, 1), Regime.OPT_OUT, 30, None),
        ("meta-br-2024", "BR", at(2024, 7, 2), Regime.HELD, 45, None),
        ("meta-br-2024", "BR", at(2024, 9, 3), Regime.OPT_OUT, 30, at(2024, 10, 3)),
        ("noyb-opt-in", "FR", at(2025, 1, 1), Regime.OPT_IN, 0, None),
        ("demur-strict", "US", at(2025, 1, 1), Regime.OPT_OUT, 45, at(2018, 5, 25)),
    ],
)
def test_presets_say_what_the_record_says(preset, country, when, regime, days, effective) -> None:
    found = resolve(read(preset), frozenset({country}), when)
    assert found.covered
    assert (found.terms.regime, found.terms.notice_days, found.terms.effective_at) == (regime, days, effective)
    assert found.terms.min_age_years == 18
    assert found.sources


def test_a_country_of_no_jurisdiction_is_not_covered() -> None:
    assert not resolve(read("meta-eu-2025"), frozenset({"US"}), at(2025, 6, 1)).covered
    assert not resolve(read("meta-eu-2025"), None, at(2020, 1, 1)).covered


def test_country_sets() -> None:
    assert (len(members("EU27")), len(members("EEA30"))) == (27, 30)
    assert members("EEA30") - members("EU27") == {"IS", "LI", "NO"}
    assert members("NOYB_2024") <= members("EEA30")


BAD = """name = "x"
foo = 1
audiences = ["public", "followers"]
statuses = ["memorial"]

[[jurisdiction]]
name = "a"
countries = ["DE", "XX"]
regime = "optout"
min_age_years = 16
kinds = ["private_message", "post", "smell"]

[[jurisdiction]]
name = "b"
countries = ["EU27"]
regime = "held"
valid_from = 2025-01-01
valid_until = 2024-01-01
"""


def test_all_faults_come_at_once_each_with_its_line() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_policy(BAD)
    faults = "\n".join(caught.value.faults)
    for line, word in [(2, "foo"), (3, "followers"), (4, "memorial"), (8, "XX"), (9, "optout"), (10, "16"),
                       (11, "private_message"), (11, "smell"), (15, "DE"), (18, "end after"), (1, "purpose")]:  # fmt: skip  # noqa: E501
        assert any(fault.startswith(f"line {line}:") and word in fault for fault in caught.value.faults), (line, faults)


@pytest.mark.parametrize("text", ["", 'name = "x"\npurpose = "p"', "name = ", 'name = "x"\njurisdiction = 3'])
def test_an_empty_or_broken_policy_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_policy(text)


def test_overlap_in_time_is_a_fault_and_succession_is_none() -> None:
    first = (
        'name="x"\npurpose="p"\n[[jurisdiction]]\nname="a"\ncountries=["DE"]\nregime="held"\nvalid_until=2025-01-01\n'
    )
    second = '[[jurisdiction]]\nname="b"\ncountries=["DE"]\nregime="opt_out"\nvalid_from='
    assert len(parse_policy(first + second + "2025-01-01\n").jurisdictions) == 2
    with pytest.raises(ConfigError):
        parse_policy(first + second + "2024-12-31\n")


def test_every_preset_reads_and_differs_from_itself_in_nothing() -> None:
    for name in preset_names():
        policy = read(name)
        assert check(name) == ()
        assert diff(policy, policy) == ()
        assert show(policy)["digest"] == policy.digest
        assert all(not each.terms.kinds & {Kind.PRIVATE_MESSAGE, Kind.FRIENDS_ONLY} for each in policy.jurisdictions)
    assert diff(read("demur-strict"), read("noyb-opt-in"))


def test_a_policy_extends_a_preset() -> None:
    text = 'extends = "demur-strict"\nname = "mine"\n[defaults]\nnotice_days = 60\n'
    mine = parse_policy(text)
    assert {change.place for change in diff(read("demur-strict"), mine)} >= {"name"}
    assert mine.jurisdictions[0].terms.regime is Regime.OPT_OUT


def test_the_digest_does_not_depend_on_order() -> None:
    text = 'name="x"\npurpose="p"\n[[jurisdiction]]\nname="a"\ncountries=[{}]\nregime="held"\n'
    assert parse_policy(text.format('"DE","FR"')).digest == parse_policy(text.format('"FR","DE"')).digest


def test_unreadable_policies(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    assert check(tmp_path / "binary.toml")


# In full -------------------------------------------------------------------------------------------------------------

EXAMPLES = 1000 if os.environ.get("DEMUR_NIGHTLY") else 60
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
NAMES = WORDS.filter(str.strip)
INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def some(names: Any) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(sorted(str(name) for name in names)), min_size=1, unique=True)


TERMS = st.fixed_dictionaries(
    {},
    optional={
        "min_age_years": st.integers(18, 30),
        "age_at_creation_years": st.integers(18, 30),
        "notice_days": st.integers(0, 99),
        "effective_at": INSTANTS,
        "kinds": some(ADMISSIBLE_KINDS),
        "without_kinds": some(ADMISSIBLE_KINDS),
        "services": st.lists(NAMES, max_size=3),
        "content_not_before": INSTANTS,
        "min_public_days": st.integers(0, 99),
        "signal_unknown": st.sampled_from([str(one) for one in SignalUnknown]),
        "special_category": st.sampled_from(["exclude", "allow"]),
    },
)
KEYS = st.fixed_dictionaries(
    {"name": NAMES, "purpose": NAMES},
    optional={
        "extends": st.sampled_from(preset_names()),
        "version": st.integers(1, 99),
        "legal_basis": WORDS,
        "description": WORDS,
        "third_party_scope": st.sampled_from([str(one) for one in ThirdPartyScope]),
        "erase_on_objection": st.booleans(),
        "profile_fields_of_private_accounts": st.booleans(),
        "audiences": some(ADMISSIBLE_AUDIENCES),
        "statuses": some(ADMISSIBLE_STATUSES),
        "grace_months": st.integers(0, 99),
        "copy_min_words": st.integers(1, 99),
    },
)
REGIMES = st.sampled_from([str(one) for one in Regime])
PLACES = st.sampled_from([["EU27"], ["FR", "DE"], ["BR", "CH"], ["*"]])


def toml(value: Any) -> str:
    """Write a value in TOML: what JSON writes but for instants."""
    return value.isoformat() if isinstance(value, datetime) else orjson.dumps(value).decode()


def lines(keys: dict[str, Any]) -> str:
    return "".join(f"{key} = {toml(value)}\n" for key, value in keys.items())


@st.composite
def policies(draw: st.DrawFn) -> str:
    """Draw the text of a policy: one place, or one that ends as the next begins, on a preset or on nothing."""
    text, place, until = lines(draw(KEYS)), draw(PLACES), draw(INSTANTS)
    text += "[defaults]\n" + lines(draw(TERMS))
    for name, dates in (("a", {"valid_until": until}), ("b", {"valid_from": until + timedelta(days=1)})):
        text += "[[jurisdiction]]\n" + lines({"name": name, "countries": place, "regime": draw(REGIMES)} | dates)
        text += lines(draw(TERMS))
    return text


@settings(max_examples=EXAMPLES, deadline=None)
@given(text=policies())
def test_a_policy_in_full_is_the_policy_and_its_hash_is_its_digest(tmp_path_factory: Any, text: str) -> None:
    path = tmp_path_factory.mktemp("policy") / "ours.toml"
    path.write_text(text, encoding="utf-8")
    if check(path):  # the preset names one of the countries too
        return
    policy, full = read(path), in_full(path)
    assert digest_bytes(full.encode()) == policy.digest
    assert canonical(parse_full(full)) == canonical(policy)
    assert parse_full(full).digest == policy.digest
    assert diff(parse_full(full), policy) == ()
    (path.with_suffix(".json")).write_text(full, encoding="utf-8")
    assert read(path.with_suffix(".json")) == parse_full(full)
    assert in_full(path.with_suffix(".json")) == full


def _first(plain: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = plain["jurisdictions"][0]
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: _first(plain)["terms"].update(min_age_years=16),
        lambda plain: _first(plain)["terms"].update(kinds=["post", "private_message"]),
        lambda plain: plain.update(audiences=["public", "followers"]),
        lambda plain: plain.update(statuses=["memorial"]),
        lambda plain: plain.update(jurisdictions=[]),
        lambda plain: plain.update(something_newer=1),
        lambda plain: _first(plain)["terms"].update(something_newer=1),
        lambda plain: _first(plain).pop("terms"),
        lambda plain: plain.pop("jurisdictions"),
    ],
)
def test_floors_hold_in_full_too_and_nothing_unknown_is_passed_over(change: Callable[[Any], object]) -> None:
    plain = orjson.loads(in_full("demur-strict"))
    parse_full(orjson.dumps(plain).decode())
    change(plain)
    with pytest.raises(ConfigError):
        parse_full(orjson.dumps(plain).decode())


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"jurisdictions": 3}', '{"jurisdictions": [3]}'])
def test_what_is_no_policy_in_full_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_full(text)


@pytest.mark.parametrize("key", sorted({*POLICY_KEYS, *TERM_KEYS, *PLACE_KEYS}))
def test_every_key_is_documented(key: str) -> None:
    assert f"`{key}`" in (DOCS / "policy.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_documented(name: str) -> None:
    assert f"`{name}`" in (DOCS / "policy.md").read_text(encoding="utf-8")


def test_every_reason_is_documented_with_its_bit() -> None:
    text = (DOCS / "reasons.md").read_text(encoding="utf-8")
    for position, reason in enumerate(BIT):
        assert f"| {position} | `{reason.value}` |" in text
    for exclusion in Exclusion:
        assert f"| `{exclusion.value}` |" in text
    assert len(Reason) == len(BIT)
