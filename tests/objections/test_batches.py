"""Objections in one transaction: nobody is lost or stands twice, and no stranger's no hides a person's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demur.objections.bulk import read_lines
from demur.objections.signals import read_at_declaration
from demur.people import Registry, Told, place_of
from demur.people.objecting import withdraw
from demur.terms.people import Act

AT = datetime(2026, 10, 1, 12, tzinfo=UTC)
LATER = AT + timedelta(days=1)


@pytest.fixture
def registry(url: str) -> Iterator[Registry]:
    with Registry(url) as found:
        found.migrate()
        told: list[dict[str, Any]] = [
            {"type": "account", "account_id": "a:1", "person_id": "ann"},
            {"type": "account", "account_id": "a:2", "person_id": "ann2"},
            {"type": "link", "person_id": "ann", "other_person_id": "ann2", "valid_at": "2020-01-01"},
            {"type": "account", "account_id": "b:1", "person_id": "bob"},
            {"type": "profile", "account_id": "b:1", "handle": "@bob"},
            {"type": "contact", "person_id": "bob", "contact": "bob@example.org"},
            {"type": "residence", "person_id": "bob", "country": "SE", "valid_from": "2020-01-01"},
            {"type": "signal", "account_id": "b:1", "signal": "y", "valid_at": "2020-01-01"},
            {"type": "signal", "account_id": "b:1", "signal": "n", "valid_at": "2024-01-01"},
            {"type": "signal", "account_id": "a:1", "signal": "n", "valid_at": "2020-01-01"},
            {"type": "signal", "account_id": "a:1", "signal": "y", "valid_at": "2024-01-01"},
        ]
        assert not found.record_events(told, recorded_at=AT - timedelta(days=9)).faulty
        yield found


def test_a_repeat_is_of_one_id_and_all_linked_ones_show_every_no(registry: Registry) -> None:
    told = [Told("link", person_id=person, objection_id=f"O-{n}") for n, person in enumerate(["ann", "ann2", "ann"])]
    kept = registry.record_objections(told, recorded_at=AT)
    assert [one.repeated for one in kept] == [False, False, True]
    assert [one.objection_id for one in kept] == ["O-0", "O-1", "O-0"]
    assert registry.objections_of("ann2") == registry.objections_of("ann")


@pytest.mark.parametrize("first", ["said", "parted"])
def test_who_turns_out_to_be_somebody_else_keeps_their_own_no(registry: Registry, first: str) -> None:
    parted = {"type": "unlink", "person_id": "ann", "other_person_id": "ann2", "valid_at": "2026-10-01T12:00:00Z"}
    registry.record_objections([Told("web", person_id="ann")], recorded_at=AT)
    if first == "parted":
        registry.record(parted, recorded_at=AT)
        assert registry.objections_of("ann2") == []
    (own,) = registry.record_objections([Told("web", person_id="ann2")], recorded_at=AT)
    if first == "said":
        registry.record(parted, recorded_at=AT)
    assert not own.repeated
    assert registry.objections_of("ann2") == [own]
    assert objected(registry, "ann2")


@pytest.mark.parametrize("known", [True, False])
def test_a_no_under_an_accounts_id_is_its_owners_as_soon_as_anybody_knows_whose_it_is(
    registry: Registry, known: bool
) -> None:
    account = {"type": "account", "account_id": "c:1", "person_id": "cy"}
    if known:
        registry.record(account, recorded_at=AT - timedelta(days=1))
    registry.record({"type": "objection", "person_id": "c:1", "objection_id": "O-c"}, recorded_at=AT)
    if not known:
        assert [row["objection_id"] for row in registry.unmatched()] == ["O-c"]
        registry.record(account, recorded_at=LATER)
    assert [one.objection_id for one in registry.objections_of("cy")] == ["O-c"]
    assert registry.reach(["c:1"])["c:1"].accounts == ("c:1",)
    assert registry.unmatched() == []
    assert objected(registry, "cy")


def test_the_id_of_a_person_is_not_the_account_of_that_name(registry: Registry) -> None:
    registry.record({"type": "account", "account_id": "bob", "person_id": "ann"}, recorded_at=AT)
    registry.record_objections([Told("web", person_id="bob")], recorded_at=AT)
    assert registry.objections_of("ann") == []
    assert not objected(registry, "ann")


def test_scopes_add_up_and_a_narrow_one_after_a_wide_one_is_a_repeat(registry: Registry) -> None:
    narrow, wide = Told("web", person_id="bob", kinds=("photo",)), Told("web", person_id="bob")
    kept = registry.record_objections([narrow, wide, narrow], recorded_at=AT)
    assert [one.repeated for one in kept] == [False, False, True]
    (unknown,) = registry.record_objections([Told("web", person_id="ann", kinds=("photo", "wat"))], recorded_at=AT)
    assert unknown.kinds is None


def test_a_closed_door_is_recorded_beside_an_open_one(registry: Registry) -> None:
    opened, closed = Told("one_click", person_id="bob"), Told("staff", person_id="bob")
    kept = registry.record_objections([opened, closed, opened, closed], recorded_at=AT)
    assert [one.repeated for one in kept] == [False, False, True, True]
    assert registry.take_back_open("bob", recorded_at=LATER, reference="W-1") is None
    assert len(registry.objections_of("bob")) == 2


def test_a_no_from_the_future_counts_now_and_delays_no_other(registry: Registry) -> None:
    (now,) = registry.record_objections([Told("signal", LATER, "bob")], recorded_at=AT)
    assert now.said_at == AT
    event = {"type": "objection", "act": "object", "person_id": "ann", "objection_id": "O-file", "door": "bulk"}
    registry.record({**event, "valid_at": "2027-01-01"}, recorded_at=AT - timedelta(days=1))
    (own,) = registry.record_objections([Told("web", person_id="ann")], recorded_at=AT)
    assert (own.repeated, own.said_at) == (False, AT)


def test_taking_back_lets_a_later_no_stand_even_at_the_same_instant(registry: Registry) -> None:
    registry.record_objections([Told("link", person_id="bob")], recorded_at=AT)
    undone = registry.take_back_open("bob", recorded_at=AT, reference="W-1")
    assert undone is not None
    assert undone.act is Act.WITHDRAW
    assert registry.take_back_open("bob", recorded_at=AT, reference="W-2") is None
    (again,) = registry.record_objections([Told("link", person_id="bob")], recorded_at=AT)
    assert not again.repeated
    assert registry.objections_of("bob") == [again]
    standing = registry.standing("bob", as_of=LATER, known_at=LATER)
    assert standing is not None
    assert standing["standing"][0]["objected"]


@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(0)])
def test_a_no_after_a_withdrawal_stands_though_the_clock_went_back(registry: Registry, back: timedelta) -> None:
    registry.record_objections([Told("web", person_id="bob")], recorded_at=AT)
    registry.take_back("bob", recorded_at=LATER, reference="W-1")
    (again,) = registry.record_objections([Told("web", person_id="bob")], recorded_at=LATER - back)
    assert not again.repeated
    assert registry.objections_of("bob") == [again]


def test_taking_back_a_strangers_click_leaves_a_letter_that_nobody_had_read_yet(registry: Registry) -> None:
    letter = Told("staff", claim={"contact": "b@elsewhere.example"}, objection_id="O-letter")
    registry.record_objections([letter, Told("one_click", person_id="bob")], recorded_at=AT)
    assert registry.take_back_open("bob", recorded_at=LATER, reference="W-1") is not None
    kept = registry.match_objection("O-letter", "bob", recorded_at=LATER)
    assert registry.objections_of("bob") == [kept]
    assert objected(registry, "bob")


def test_a_withdrawal_hides_no_no_that_comes_together_with_it(registry: Registry, url: str) -> None:
    if not url.startswith("postgresql"):
        pytest.skip("one writer at a time")
    registry.record_objections([Told("web", person_id="bob")], recorded_at=AT)
    with ThreadPoolExecutor() as threads:
        with registry._database.writing() as connection:
            withdraw(registry._database, connection, "bob", LATER, "W-1", "web")
            said = threads.submit(registry.record_objections, [Told("web", person_id="bob")], recorded_at=LATER)
            assert wait([said], timeout=0.3).not_done
        (own,) = said.result()
    assert not own.repeated
    assert registry.objections_of("bob") == [own]


def test_a_withdrawal_by_whoever_held_the_account_is_void(registry: Registry) -> None:
    registry.record_objections([Told("web", person_id="bob")], recorded_at=AT)
    window = {
        "type": "compromise",
        "account_id": "b:1",
        "valid_from": "2026-10-01T12:00:00Z",
        "valid_until": "2026-10-03",
    }
    registry.record(window, recorded_at=LATER)
    registry.take_back("bob", recorded_at=LATER, reference="W-1")
    assert registry.objections_of("bob")


def test_claims_are_matched_or_wait(registry: Registry) -> None:
    claims = [{"account_id": "b:1"}, {"handle": "bob"}, {"contact": "bob@example.org"}, {"contact": "x@example.org"}]
    kept = registry.record_objections([Told("api", claim=claim) for claim in claims], recorded_at=AT)
    assert [one.person_id for one in kept] == ["bob", "bob", "bob", None]
    assert registry.objection(kept[3].objection_id) == kept[3]
    registry.match_objection(kept[3].objection_id, "ann", recorded_at=LATER)
    found = registry.objection(kept[3].objection_id)
    assert found is not None
    assert (found.person_id, found.said_at) == ("ann", AT)


def test_an_account_is_whoevers_it_was_when_it_was_said(registry: Registry) -> None:
    sold = {"type": "transfer", "account_id": "b:1", "person_id": "cy", "valid_at": "2026-10-01T12:00:00Z"}
    registry.record(sold, recorded_at=AT)
    claim = {"account_id": "b:1"}
    told = [Told("bulk", AT - timedelta(days=1), None, claim), Told("bulk", None, None, claim)]
    assert [one.person_id for one in registry.record_objections(told, recorded_at=AT)] == ["bob", "cy"]


def test_what_was_said_before_anybody_had_the_account_is_its_first_owners(registry: Registry) -> None:
    had: list[dict[str, Any]] = [
        {"type": "account", "account_id": "d:1", "person_id": "dee", "valid_at": "2026-09-01"},
        {"type": "transfer", "account_id": "d:1", "person_id": "cy", "valid_at": "2026-09-09"},
    ]
    assert not registry.record_events(had, recorded_at=AT).faulty
    told = [Told("bulk", datetime(2026, month, 30, tzinfo=UTC), claim={"account_id": "d:1"}) for month in (8, 9)]
    assert [one.person_id for one in registry.record_objections(told, recorded_at=AT)] == ["dee", "cy"]
    assert registry.unmatched() == []
    assert objected(registry, "dee")


def test_pages_show_every_event_once(registry: Registry) -> None:
    told = [Told("bulk", person_id=f"p{number}") for number in range(7)]
    told += [Told("bulk", claim={"contact": f"c{number}"}) for number in range(5)]
    registry.record_objections(told, recorded_at=AT)
    seen: list[str] = []
    after = None
    while page := registry.objections_page(after, rows=3):
        seen += [one.event_id for one in page]
        after = place_of(page[-1])
    assert len(seen) == len(set(seen)) == 12


def test_how_people_are_written_to(registry: Registry) -> None:
    found = registry.reach(["bob", "ann", "nobody"])
    assert (found["bob"].contact, found["bob"].country, found["bob"].accounts) == ("bob@example.org", "SE", ("b:1",))
    assert found["ann"].accounts == ("a:1", "a:2")
    assert found["nobody"].contact is None


def test_the_newest_flag_of_a_profile_counts(registry: Registry) -> None:
    assert registry.signalling() == ["bob"]


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["web", "link", "withdraw", "undo", "link to", "unlink"]), st.booleans(), st.integers(0, 9)
    )
)
NAMES = itertools.count()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=ACTS, hour=st.integers(0, 9), after=ACTS)
def test_after_whatever_was_said_a_persons_own_no_stands(
    registry: Registry, before: list[Any], hour: int, after: list[Any]
) -> None:
    """Whatever two ids said before, linked or not, by whichever clock: one's own no stands until one withdraws.

    Once they are linked they are one: what one id took back at a later instant is what the person took back.
    """
    two = [f"p{next(NAMES)}", f"p{next(NAMES)}"]

    def act(what: str, other: bool, hour: int) -> None:
        at, who = AT + timedelta(hours=hour), two[other]
        if what in {"link to", "unlink"}:
            pair = {"person_id": two[0], "other_person_id": two[1]}
            registry.record({"type": what.partition(" ")[0], **pair}, recorded_at=at)
        elif what == "withdraw":
            registry.take_back(who, recorded_at=at, reference="W-1")
        elif what == "undo":
            registry.take_back_open(who, recorded_at=at, reference="W-2")
        else:
            registry.record_objections([Told(what, person_id=who)], recorded_at=at)

    for one in before:
        if not (one[0] == "withdraw" and one[1] and one[2] > hour):
            act(*one)
    registry.record_objections([Told("web", person_id=two[0])], recorded_at=AT + timedelta(hours=hour))
    assert objected(registry, two[0])
    for one in after:
        if one[0] != "withdraw":
            act(*one)
    assert objected(registry, two[0])
    assert registry.objections_of(two[0])


def objected(registry: Registry, person: str) -> bool:
    """Return what the next build would be told."""
    found = registry.standing(person, as_of=LATER, known_at=LATER)
    assert found is not None
    return bool(found["standing"][0]["objected"])


# Lists and signals, without a database --------------------------------------------------------------------------------


def test_lists_are_read_whatever_they_look_like() -> None:
    found = list(read_lines("\ufeffHandle,Said_At,kinds\n@a,2026-01-01,\n\n@b,yesterday,photo; reel\n,,\n"))
    assert [dict(one.claim) for one in found] == [{"handle": "@a"}, {"handle": "@b"}, {}]
    assert (found[0].said_at, found[1].said_at, found[1].kinds) == (
        datetime(2026, 1, 1, 23, 59, 59, 999_999, UTC), None, ("photo", "reel"),
    )  # fmt: skip
    lines = list(read_lines('{"account_id": "m:1"}\nnonsense\n{"kinds": 4, "contact": "a@b"}\n'))
    assert [dict(one.claim) for one in lines] == [{"account_id": "m:1"}, {}, {"contact": "a@b"}]
    assert [one.number for one in lines] == [1, 2, 3]


@pytest.mark.parametrize("long", [0, 200_000])
def test_a_forgotten_quotation_mark_swallows_nobody(long: int) -> None:
    text = "account_id,kinds,note\n" + f'm:1,,"two\nlines"\n"m:2,,{"x" * long}\nm:3,photo,\n\nm:4,,\n'
    found = list(read_lines(text))
    assert [(one.number, one.claim["account_id"].partition(",")[0]) for one in found if one.claim][:1] == [(3, "m:1")]
    assert {"m:3", "m:4"} <= {one.claim.get("account_id") for one in found}
    assert [one.kinds for one in found if one.claim.get("account_id") == "m:3"] == [("photo",)]


@pytest.mark.parametrize(
    ("head", "first"),
    [
        ("account_id,note", 'm:1,"by phone'),
        ("account_id,kinds", 'm:1,"photo'),
        ("note,account_id", '"by phone,m:1'),
        ("account_id\tnote", 'm:1\t"by phone'),
    ],
)
@pytest.mark.parametrize("last", ["{}", '"{}"'], ids=["open", "closed further on"])
def test_a_forgotten_quotation_mark_in_any_column_spoils_its_own_line_only(head: str, first: str, last: str) -> None:
    mark = "\t" if "\t" in head else ","
    rows = [
        {"account_id": f"m:{number}", "kinds": form.format("reel"), "note": form.format("x")}
        for number, form in ((2, "{}"), (3, last), (4, "{}"))
    ]
    others = [mark.join(row[name] for name in head.split(mark)) for row in rows]
    found = list(read_lines("\n".join([head, first, *others])))
    told = [(one.number, one.claim.get("account_id")) for one in found]
    assert told[0] in {(2, "m:1"), (2, None)}  # answered, whatever it is
    assert told[1:] == [(3, "m:2"), (4, "m:3"), (5, "m:4")]
    assert {one.kinds for one in found[1:]} == {("reel",) if "kinds" in head else None}


@pytest.mark.parametrize(
    "text",
    [
        'account_id,note,kinds\nm:1,"by phone\nand, said he by ""letter""\n\nm:9",photo\nm:2,,\n',
        'note,account_id,kinds\n"by phone\nand by letter",m:1,photo\n,m:2,\n',
        '"Name, first",account_id,"Kinds"\nAna,m:1,photo\n"Bo, jr",m:2\n',
        '"Name, first,account_id,kinds\n,,m:1,photo\n,,m:2,\n',
    ],
)
def test_quotation_marks_are_read_as_they_are_meant(text: str) -> None:
    found = list(read_lines(text))
    assert [(dict(one.claim), one.kinds) for one in found] == [
        ({"account_id": "m:1"}, ("photo",)), ({"account_id": "m:2"}, None),
    ]  # fmt: skip


def test_a_list_has_no_last_line_that_counts() -> None:
    (line,) = read_lines("account_id" + "\n" * 1_000_002 + "m:1\n")
    assert (line.number, line.claim) == (1_000_003, {"account_id": "m:1"})


@pytest.mark.parametrize(
    ("record", "refuses"),
    [
        ({"syntheticContentGeneration": {"allow": False, "updatedAt": "2026-01-01T00:00:00Z"}}, True),
        ({"syntheticContentGeneration": {"allow": True}}, False),
        ({"syntheticContentGeneration": {"allow": "false"}}, False),
        ({"bulkDataset": {"allow": False}}, False),
        ({"$type": "app.bsky.feed.post", "syntheticContentGeneration": {"allow": False}}, False),
        ({}, False),
    ],
)
def test_only_an_explicit_refusal_is_one(record: dict[str, Any], refuses: bool) -> None:
    found = read_at_declaration(record)
    assert (found is not None) == refuses
    if found is not None:
        assert found.said_at == datetime(2026, 1, 1, tzinfo=UTC)
