"""The decision table of REQUIREMENTS §4 and the rows that it rests on, one case a line; both readings must say so."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from policy_worlds import AS_OF, World, account, hold, home, item, person, simple
from test_two_readings import compare

from demur.policy import parse_policy, read, rulebook
from demur.policy.holds import in_force
from demur.policy.judge import Judge
from demur.terms.policy import Policy
from demur.terms.reasons import reasons_of

HEAD = 'name = "t"\npurpose = "train-generative-ai"\n[defaults]\neffective_at = 2025-01-01\nnotice_days = 30\n'


def place(name: str, countries: str, regime: str, **keys: Any) -> str:
    rest = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return f'[[jurisdiction]]\nname = "{name}"\ncountries = [{countries}]\nregime = "{regime}"\n{rest}'


EU = place("EU", '"EU27"', "opt_out")
US = place("US", '"US"', "no_choice", notice_days=0)
WORLD = parse_policy(HEAD + EU + US + place("rest", '"*"', "opt_in", notice_days=60))
TWO = parse_policy(
    HEAD
    + place("DE", '"DE"', "opt_out", notice_days=45, effective_at="2025-02-01")
    + place("FR", '"FR"', "opt_out", notice_days=90, effective_at="2025-01-01")
)
STRICT = read("demur-strict")


def at(year: int, month: int = 1, day: int = 1) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


US_PERSON = {"countries_now": ["US"], "countries_at_notice": [], "first_delivered_at": None, "last_delivered_at": None}
LATE = {"first_delivered_at": at(2025, 5, 20), "last_delivered_at": at(2025, 5, 20)}
NEVER_TOLD = {"first_delivered_at": None, "last_delivered_at": None, "countries_at_notice": []}

VOICE = {"kind": "voice", **LATE, "effective_at": None}


def case(*items: Any, policy: Policy = STRICT, **given: Any) -> tuple[World, Policy]:
    return simple(*items, **given), policy


SECOND = timedelta(seconds=1)

CASES: list[tuple[str, tuple[World, Policy], set[str]]] = [
    ("nothing speaks against it", case(), set()),
    # §4 residence
    (
        "§4 moves EU → US: old content keeps the EU regime",
        case(
            item("i", created_at=at(2023)),
            policy=WORLD,
            people=[person(**US_PERSON)],
            homes=[home(country="DE", end=at(2024)), home(country="US", begin=at(2024))],
        ),
        {"not_notified"},
    ),
    (
        "§4 moves EU → US: new content after the grace period is under the new rules",
        case(
            item("i", created_at=at(2025)),
            policy=WORLD,
            people=[person(**US_PERSON)],
            homes=[home(country="DE", end=at(2024)), home(country="US", begin=at(2024))],
        ),
        set(),
    ),
    (
        "§4 moves EU → US: within the grace period both count",
        case(
            policy=WORLD, people=[person(**(US_PERSON | {"countries_now": ["US", "DE"]}))], homes=[home(country="US")]
        ),
        {"not_notified"},
    ),
    (
        "§4 moves US → EU: a notice from before the arrival does not count",
        case(policy=WORLD, people=[person(arrived_at=at(2025, 3))], homes=[home(country="US")]),
        {"not_notified"},
    ),
    (
        "§4 moves US → EU: the later notice starts the clock",
        case(
            policy=WORLD,
            people=[person(arrived_at=at(2025, 3), last_delivered_at=at(2025, 5, 20))],
            homes=[home(country="US")],
        ),
        {"notice_period"},
    ),
    (
        "§4 two opt-out countries: the longer period",
        case(
            policy=TWO,
            people=[
                person(
                    countries_now=["DE", "FR"], first_delivered_at=at(2025, 3, 15), last_delivered_at=at(2025, 3, 15)
                )
            ],
        ),
        {"notice_period"},
    ),
    (
        "§4 two opt-out countries: the later date",
        case(
            policy=parse_policy(
                HEAD + place("DE", '"DE"', "opt_out") + place("FR", '"FR"', "opt_out", effective_at="2026-01-01")
            ),
            people=[person(countries_now=["DE"], countries_at_notice=["FR"])],
        ),
        {"not_yet_effective"},
    ),
    (
        "§4 residence unknown: the most protective regime, here consent",
        case(policy=WORLD, people=[person(countries_now=[])]),
        {"no_consent"},
    ),
    ("§4 residence unknown at creation", case(policy=WORLD, homes=[]), {"no_consent"}),
    (
        "PPL-04 residence unknown since the first evidence is later than the item",
        case(policy=WORLD, homes=[home(begin=at(2025, 2))]),
        {"no_consent"},
    ),
    ("§4 two residences: all count", case(policy=WORLD, people=[person(countries_now=["DE", "JP"])]), {"no_consent"}),
    (
        "§4 territories: Réunion falls under the EU rows",
        case(
            policy=read("meta-eu-2025"),
            people=[
                person(countries_now=["RE"], first_delivered_at=at(2025, 4, 14), last_delivered_at=at(2025, 4, 14))
            ],
        ),
        set(),
    ),
    (
        "STYLE 3.3 a country under no jurisdiction",
        case(policy=parse_policy(HEAD + EU), people=[person(countries_now=["JP"])]),
        {"no_jurisdiction"},
    ),
    # §4 holds
    ("§4 country under hold, now", case(holds=[hold(countries=["DE"])]), {"held"}),
    ("§4 country under hold, at creation", case(homes=[home(country="FR")], holds=[hold(countries=["FR"])]), {"held"}),
    (
        "§4 country under hold, at the notice",
        case(people=[person(countries_at_notice=["FR"])], holds=[hold(countries=["FR"])]),
        {"held"},
    ),
    (
        "HLD-01 unknown residence is held too",
        case(people=[person(countries_now=[])], holds=[hold(countries=["FR"])]),
        {"held"},
    ),
    ("HLD-01 another country is undisturbed", case(holds=[hold(countries=["CH"], kinds=["photo"])]), set()),
    ("HLD-01 by kind", case(item("i", kind="photo"), holds=[hold(kinds=["photo"])]), {"held"}),
    ("HLD-01 by service", case(holds=[hold(services=["s"])]), {"held"}),
    ("HLD-01 by period", case(holds=[hold(created_from=at(2024), created_until=at(2025, 1, 2))]), {"held"}),
    ("HLD-01 by another period", case(holds=[hold(created_until=at(2025))]), set()),
    ("HLD-01 for another purpose", case(holds=[hold(purpose="search")]), set()),
    ("HLD-01 by campaign", case(holds=[hold(campaign_id="c")]), {"held"}),
    ("HLD-01 over everything", case(holds=[hold()]), {"held"}),
    ("HLD-04 lifted", case(holds=[hold(), hold(act="lift", valid_at=at(2025, 2))]), set()),
    (
        "HLD-01 placed again after lifting",
        case(holds=[hold(), hold(act="lift", valid_at=at(2025, 2)), hold(valid_at=at(2025, 3))]),
        {"held"},
    ),
    # §4 age
    (
        "§4 turns 18: content from before stays out",
        case(item("i", created_at=at(2024, 6)), people=[person(born_on=date(2006, 12, 31))]),
        {"minor_at_creation"},
    ),
    (
        "§4 turns 18: content after needs a notice of its own",
        case(item("i", created_at=at(2025, 4)), people=[person(born_on=date(2007, 2, 1))]),
        {"not_notified"},
    ),
    (
        "§4 turns 18: eligible after own notice and N days",
        case(
            item("i", created_at=at(2025, 4)),
            people=[person(born_on=date(2007, 2, 1), last_delivered_at=at(2025, 2, 3))],
        ),
        set(),
    ),
    ("PPL-03 a minor", case(people=[person(born_on=date(2007, 6, 1))]), {"minor", "minor_at_creation", "not_notified"}),
    (
        "SEC-09 the birthday must be over",
        case(people=[person(born_on=date(2007, 5, 31))]),
        {"minor_at_creation", "not_notified"},
    ),
    (
        "§4 age of majority above 18",
        case(
            policy=parse_policy(HEAD + place("DE", '"DE"', "opt_out", min_age_years=21)),
            people=[person(born_on=date(2005, 1, 1))],
        ),
        {"minor", "not_notified"},
    ),
    ("§4 age unknown", case(people=[person(born_on=None)]), {"age_unknown"}),
    ("PPL-02 evidence disagrees", case(people=[person(age_conflict=True)]), {"age_conflict"}),
    (
        "§4 adult account found to be a minor's: the whole epoch is out",
        case(item("i", created_at=at(2020)), people=[person(born_on=date(2010, 1, 1))]),
        {"minor", "minor_at_creation", "not_notified"},
    ),
    (
        "§4 taken over by a minor: later items out",
        case(
            accounts=[account(owned_until=at(2024)), account(person_id="q", owned_from=at(2024))],
            people=[person(), person("q", born_on=date(2010, 1, 1))],
            homes=[home(), home("q")],
        ),
        {"minor", "minor_at_creation", "not_notified"},
    ),
    (
        "§4 taken over by a minor: earlier items unchanged",
        case(
            item("i", created_at=at(2023)),
            accounts=[account(owned_until=at(2024)), account(person_id="q", owned_from=at(2024))],
            people=[person(), person("q", born_on=date(2010, 1, 1))],
            homes=[home(), home("q")],
        ),
        set(),
    ),
    # §4 accounts
    *(
        (f"§4, PPL-05 status {status}", case(accounts=[account(status=status)]), {reason})
        for status, reason in {
            "memorial": "account_memorial",
            "deleted": "account_deleted",
            "deactivated": "account_not_active",
            "dormant": "account_dormant",
            "suspended": "account_not_active",
            "compromised": "account_not_active",
            "transferred": "account_not_active",
            "organisation": "account_organisation",
            "bot": "account_bot",
            "something new": "status_unknown",
            None: "status_unknown",
        }.items()
    ),
    ("§4 compromised: made in the window", case(accounts=[account(compromised_from=at(2024))]), {"compromised_window"}),
    (
        "§4 compromised: made after it",
        case(accounts=[account(compromised_from=at(2024), compromised_until=at(2025))]),
        set(),
    ),
    ("§4 public → private before the build", case(item("i", audience="followers")), {"not_public"}),
    (
        "§4 private → public later: the item's own clock",
        case(
            item("i", public_since=at(2025, 5, 20)),
            policy=parse_policy(HEAD + place("DE", '"DE"', "opt_out", min_public_days=30)),
        ),
        {"not_public_long_enough"},
    ),
    (
        "§4, X6 fields of a private account",
        case(item("i", kind="username"), accounts=[account(private=True)]),
        {"private_account_profile"},
    ),
    (
        "X6 admitted by the switch",
        case(
            item("i", kind="username"),
            accounts=[account(private=True)],
            policy=parse_policy("profile_fields_of_private_accounts = true\n" + HEAD + EU),
        ),
        set(),
    ),
    ("PPL-08 a Page is an organisation", case(accounts=[account(status="organisation")]), {"account_organisation"}),
    (
        "PPL-08 a co-author objects",
        case(
            item("i", co_account_ids=["b"]),
            accounts=[account(), account("b", "q")],
            people=[person(), person("q", objected=True)],
            homes=[home(), home("q")],
        ),
        {"objected"},
    ),
    ("PPL-08 a co-author is unknown", case(item("i", co_account_ids=["b"])), {"author_unknown", "not_public"}),
    (
        "§4 remote author of unknown residence",
        case(policy=WORLD, people=[person(countries_now=[])], homes=[]),
        {"no_consent"},
    ),
    # floors
    ("INT-02 unknown kind", case(item("i", kind="hologram")), {"unknown_kind", "kind_excluded"}),
    ("INT-02 unknown audience", case(item("i", audience="unknown")), {"audience_unknown"}),
    ("INT-02 odd audience", case(item("i", audience="friends of friends")), {"audience_unknown"}),
    ("INT-03 expired story", case(item("i", kind="story", expires_at=AS_OF)), {"expired"}),
    ("INT-05 private message", case(item("i", kind="private_message")), {"private_message", "kind_excluded"}),
    (
        "INT-05 friends only",
        case(item("i", kind="friends_only", audience="followers")),
        {"private_message", "not_public", "kind_excluded"},
    ),
    ("INT-06 AI chat of the person", case(item("i", kind="ai_chat", audience="direct", addressed_to_ai=True)), set()),
    (
        "INT-06 other turns of a group chat",
        case(item("i", kind="ai_chat", audience="direct")),
        {"not_public", "not_addressed_to_ai"},
    ),
    ("deleted", case(item("i", state="deleted")), {"deleted"}),
    ("made on the very instant", case(item("i", created_at=AS_OF)), set()),
    ("INT-02 made after the instant of decision", case(item("i", created_at=AS_OF + SECOND)), {"not_yet_created"}),
    (
        "INT-02 scheduled, with a public date before",
        case(item("i", created_at=at(2031), public_since=at(2025))),
        {"not_yet_created"},
    ),
    (
        "TPD-02 a copy of what is not made yet",
        case(item("i", kind="reshare", original_id="j"), item("j", created_at=AS_OF + SECOND)),
        {"original_withheld"},
    ),
    ("unknown creation time", case(item("i", created_at=None)), {"created_unknown"}),
    ("author unknown", case(item("i", account_id=None)), {"author_unknown"}),
    (
        "author unknown, account named: it may be private",
        case(item("i", account_id="z")),
        {"author_unknown", "not_public"},
    ),
    # INT-04
    ("INT-04 unlisted is not public", case(item("i", audience="unlisted")), {"not_public"}),
    ("INT-04 container", case(item("i", container_id="g", container_audience="group")), {"not_public"}),
    ("INT-04 private account", case(accounts=[account(private=True)]), {"not_public"}),
    ("INT-04 private account, unknown", case(accounts=[account(private=None)]), {"not_public"}),
    (
        "INT-04 private account in a public group",
        case(item("i", container_id="g", container_audience="public"), accounts=[account(private=True)]),
        {"private_account_profile"},
    ),
    (
        "INT-04 parent turned friends-only",
        case(item("i", parent_id="j"), item("j", parent_id="k"), item("k", audience="followers")),
        {"not_public"},
    ),
    ("INT-04 parent of nobody", case(item("i", parent_id="j"), item("j", account_id=None)), set()),
    ("INT-04 parent of a stranger", case(item("i", parent_id="j"), item("j", account_id="z")), {"not_public"}),
    ("INT-04 parent not imported, known public", case(item("i", parent_id="z", parent_audience="public")), set()),
    ("INT-04 parent not imported, unknown", case(item("i", parent_id="z")), {"audience_unknown"}),
    (
        "INT-04 what hangs on a deleted post",
        case(item("i", kind="photo", parent_id="j"), item("j", state="deleted")),
        {"audience_unknown"},
    ),
    (
        "INT-04 two levels below a deleted post",
        case(item("i", parent_id="j"), item("j", parent_id="k"), item("k", state="deleted")),
        {"audience_unknown"},
    ),
    (
        "INT-03 what hangs on a story that is over",
        case(item("i", kind="alt_text", parent_id="j"), item("j", kind="story", expires_at=AS_OF)),
        {"audience_unknown"},
    ),
    (
        "INT-03 what hangs on a story that is not over",
        case(item("i", kind="alt_text", parent_id="j"), item("j", kind="story", expires_at=AS_OF + SECOND)),
        set(),
    ),
    ("INT-04 circle of replies", case(item("i", parent_id="j"), item("j", parent_id="i")), {"audience_unknown"}),
    # clock, objection, consent
    ("NOT-02 the personal deadline", case(people=[person(**LATE)]), {"notice_period"}),
    ("NOT-02 the campaign's date", case(people=[person(campaign_effective_at=at(2026))]), {"not_yet_effective"}),
    ("NOT-03 not delivered", case(people=[person(**NEVER_TOLD)]), {"not_notified"}),
    ("OBJ-05 objection", case(people=[person(objected=True)]), {"objected"}),
    ("OBJ-07 of one kind, this one", case(people=[person(objected=True, objected_kinds=["post"])]), {"objected"}),
    ("OBJ-07 of one kind, another", case(people=[person(objected=True, objected_kinds=["photo"])]), set()),
    ("OBJ-07 on one service, another", case(people=[person(objected=True, objected_services=["t"])]), set()),
    (
        "OBJ-07 AI chats included",
        case(item("i", kind="ai_chat", audience="direct", addressed_to_ai=True), people=[person(objected=True)]),
        {"objected"},
    ),
    (
        "OBJ-08 after a withdrawal a new notice is needed",
        case(people=[person(withdrawn_at=at(2025, 2))]),
        {"not_notified"},
    ),
    ("JUR-05 no consent", case(policy=read("noyb-opt-in")), {"no_consent"}),
    (
        "JUR-05 consent to this purpose",
        case(policy=read("noyb-opt-in"), people=[person(consent_purposes=["train-generative-ai"], **NEVER_TOLD)]),
        set(),
    ),
    (
        "JUR-09 consent to another purpose",
        case(policy=read("noyb-opt-in"), people=[person(consent_purposes=["search"])]),
        {"no_consent"},
    ),
    (
        "JUR-07 no choice, but objected",
        case(policy=WORLD, people=[person(**(US_PERSON | {"objected": True}))], homes=[home(country="US")]),
        {"objected"},
    ),
    # third parties
    (
        "JUR-07, TPD-02 a copy of an objector's item",
        case(
            item("i", kind="quote", original_id="j", account_id="u"),
            item("j"),
            policy=WORLD,
            accounts=[account(), account("u", "q")],
            people=[person(objected=True), person("q", **US_PERSON)],
            homes=[home(), home("q", "US")],
        ),
        {"original_objected"},
    ),
    (
        "TPD-02 a copy of a private item",
        case(item("i", kind="reshare", original_id="j"), item("j", audience="group")),
        {"original_withheld"},
    ),
    ("TPD-02 a copy of something unknown", case(item("i", kind="reshare", original_id="z")), {"original_unknown"}),
    ("TPD-02 a reshare that names no original", case(item("i", kind="reshare")), {"original_unknown"}),
    (
        "TPD-02 a copy through another copy, whose author objects",
        case(
            item("i", kind="quote", original_id="j"),
            item("j", kind="quote", original_id="k", account_id="b"),
            item("k"),
            accounts=[account(), account("b", "q")],
            people=[person(), person("q", objected=True)],
            homes=[home(), home("q")],
        ),
        {"original_objected"},
    ),
    # signals and switches
    ("JUR-04 any no wins", case(item("i", signal="n"), people=[person(signal="y")]), {"signal_no"}),
    (
        "JUR-04 unknown denied",
        case(policy=parse_policy(HEAD + place("DE", '"DE"', "opt_out", signal_unknown='"deny"'))),
        {"signal_unknown"},
    ),
    (
        "JUR-04 unknown denied, yes given",
        case(
            item("i", signal="y"), policy=parse_policy(HEAD + place("DE", '"DE"', "opt_out", signal_unknown='"deny"'))
        ),
        set(),
    ),
    ("JUR-01 held", case(policy=parse_policy(HEAD + place("DE", '"DE"', "held"))), {"regime_held"}),
    ("JUR-01 prohibited", case(policy=parse_policy(HEAD + place("DE", '"DE"', "prohibited"))), {"regime_prohibited"}),
    (
        "JUR-09 kind switched off",
        case(policy=parse_policy(HEAD + place("DE", '"DE"', "opt_out", without_kinds='["post"]'))),
        {"kind_excluded"},
    ),
    (
        "JUR-09 service switched off",
        case(policy=parse_policy(HEAD + place("DE", '"DE"', "opt_out", services='["t"]'))),
        {"service_excluded"},
    ),
    (
        "X7 too old",
        case(policy=parse_policy(HEAD + place("DE", '"DE"', "opt_out", content_not_before="2025-01-02"))),
        {"too_old"},
    ),
    ("NOT-07 a notice for voice only: posts keep their clock", case(people=[person(kind_clocks=[VOICE])]), set()),
    (
        "NOT-07 a notice for voice only: voice waits for it",
        case(item("i", kind="voice"), people=[person(kind_clocks=[VOICE])]),
        {"notice_period"},
    ),
    (
        "NOT-07 a notice for voice only tells nothing about posts",
        case(people=[person(**NEVER_TOLD, kind_clocks=[{**VOICE, "first_delivered_at": at(2025, 1, 10)}])]),
        {"not_notified"},
    ),
    ("JUR-10 special category", case(item("i", special_category=True)), {"special_category"}),
]


@pytest.mark.parametrize(("name", "given", "reasons"), CASES, ids=[name for name, _, _ in CASES])
def test_the_item_is_withheld_for_exactly_these_reasons(
    name: str, given: tuple[World, Policy], reasons: set[str]
) -> None:
    world, policy = given
    judge = Judge(
        world.index(), rulebook(policy, as_of=AS_OF, holds=in_force(world.holds, as_of=AS_OF, known_at=AS_OF))
    )
    assert {reason.value for reason in reasons_of(judge.judge("i").mask)} == reasons


def test_the_table_reading_says_the_same_of_every_case(tmp_path: Path) -> None:
    together: dict[tuple[str, str], tuple[World, Policy]] = {}
    for number, (_, (world, policy), _) in enumerate(CASES):
        # Cases of one policy share a run; a hold would reach the others, so each of those runs alone.
        key = (policy.digest, f"alone-{number}" if world.holds else "")
        together.setdefault(key, (World(), policy))[0].join(_renamed(world, f"c{number}-"))
    alone = [each for key, each in together.items() if key[1]][:4]
    for number, (world, policy) in enumerate([each for key, each in together.items() if not key[1]] + alone):
        compare(world, policy, tmp_path / str(number), chunk=1000)


def _renamed(world: World, prefix: str) -> World:
    keys = ("item_id", "account_id", "person_id", "parent_id", "original_id")

    def renamed(row: dict[str, Any]) -> dict[str, Any]:
        changed = {key: prefix + row[key] for key in keys if row.get(key) is not None}
        if row.get("co_account_ids"):
            changed["co_account_ids"] = [prefix + each for each in row["co_account_ids"]]
        return row | changed

    return World(
        [renamed(row) for row in world.items],
        [renamed(row) for row in world.accounts],
        [renamed(row) for row in world.people],
        [renamed(row) for row in world.homes],
        world.holds,
    )


def test_nothing_is_allowed_before_its_deadline() -> None:
    """The day of the notice does not count; the last one ends where it ends last, at noon UTC of the next (SEC-09)."""
    told, over = at(2025, 1, 10), at(2025, 1, 10) + timedelta(days=46, hours=12)
    moments = [*(told + timedelta(days=days) for days in range(60)), over - SECOND, over]
    for late in (timedelta(0), timedelta(hours=23, minutes=59)):
        world = simple(people=[person(first_delivered_at=told + late, last_delivered_at=told + late)])
        for moment in moments:
            judge = Judge(world.index(), rulebook(STRICT, as_of=moment))
            assert (judge.judge("i").mask == 0) is (moment >= over)
