"""What takes something away counts, however badly it is told; a later good word undoes it."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.clock import iso, parse
from demur.flows import feed
from demur.intake import intake
from demur.intake.check import ITEM_RULES, PERSON_RULES, latest_instant
from demur.intake.snapshot import stage
from demur.policy import parse_policy
from demur.policy.columns import decide_table
from demur.store import Workspace
from demur.terms.content import NARROWNESS
from demur.wiring import open_parts

AT = parse("2026-06-01")
MADE = "2026-03-01T10:00:00Z"
FOLDERS = itertools.count()


def post(item="1", **said):
    return {"type": "create", "item_id": item, "at": MADE, "created_at": MADE, "kind": "post", "account_id": "ann",
            "audience": "public", "text": "hello"} | said  # fmt: skip


def edit(item="1", **said):
    return post(item, type="edit", at="2026-03-05T10:00:00Z") | said


def delete(item="1", **said):
    return {"type": "delete", "item_id": item, "at": "2026-03-05T10:00:00Z"} | said


def shown(item="1", **said):
    return {"type": "audience", "item_id": item, "at": "2026-03-05T10:00:00Z"} | said


def told(folder, *events):
    """Import events one after the other and return what was quarantined."""
    found = {}
    for event in events:
        path = folder / f"{next(FOLDERS)}.jsonl"
        path.write_bytes(orjson.dumps(event) + b"\n")
        report = intake("feed", [path], store_folder=folder / "source", quarantine_folder=folder / "quarantine",
                        imported_at=AT, service="forum")  # fmt: skip
        for reason, count in report.quarantined.items():
            found[reason] = found.get(reason, 0) + count
    return found


def items(folder, as_of=None):
    """Return the items of a snapshot by id."""
    out = folder / f"snapshot-{next(FOLDERS)}"
    stage(out, source_folder=str(folder / "source"), as_of=as_of, known_at=iso(AT), state="", code="")
    rows = [row for part in sorted((out / "items").glob("*.parquet")) for row in pq.read_table(part).to_pylist()]
    return {row["item_id"].removeprefix("forum:"): row for row in rows}


ZERO = "0001-01-01T00:00:00Z"
TAKEN = {
    "deleted at the zero date": delete(at=ZERO),
    "deleted in 1970": delete(at="1970-01-01T00:00:00Z"),
    "deleted the day after tomorrow": delete(at="2026-06-03"),
    "deleted, no parent": delete(parent_id=""),
    "deleted, with a reason": delete(reason="by user"),
    "deleted, of a kind of its own": delete(kind="clip"),
    "deleted, kind in a list": delete(kind=["post"]),
    "deleted on a day, after an edit of that day": delete(at="2026-03-05"),
    "deleted in whole seconds": delete(at="2026-03-05T10:00:00Z"),
    "deleted before it was made": delete(at="2026-03-01T09:59:58Z"),
    "an audience that nobody knows": shown(audience="close_friends"),
    "an audience in a list": shown(audience=["public"]),
    "no audience": shown(audience=None),
    "closed, with a word too many": shown(audience="direct", text="x"),
    "closed, in a container that nobody knows": shown(audience="public", container_audience="members"),
    "closed in 1970": shown(audience="direct", at="1970-01-01"),
    "closed in whole seconds": shown(audience="direct"),
    "edited to direct, nobody knows when": edit(audience="direct", at="soon"),
    "edited to direct, the day after tomorrow": edit(audience="direct", at="2026-06-03"),
    "edited in a direct container, nobody knows when": edit(container_audience="direct", at=5),
    "edited, signal is no word": edit(signal="no"),
    "edited, signal is no text": edit(signal={}),
    "edited to an audience that nobody knows": edit(audience="circle"),
    "edited, text too long": edit(text="x" * (2**20 + 1)),
    "edited, rating too large": edit(rating=2**53 + 1),
    "edited, no audience": edit(audience=None),
    "edited, special category, nobody knows when": edit(special_category=True, at="soon"),
    "edited, special category, no time": edit(special_category=True, at=None),
    "edited, over since long, no time": edit(expires_at="2026-03-02", at=None),
    "edited to friends, nobody knows when": edit(kind="friends_only", at="soon"),
    "edited to friends, no time": edit(kind="friends_only", at=None),
    "told again, to an audience that nobody knows": post(at="2026-03-05T10:00:00.8Z", audience="circle"),
}
BEFORE = {"deleted before it was made": [post(at="2026-03-01T10:00:00.7Z")]}
EDITED = [post(), edit(at="2026-03-05T10:00:00.7Z")]


def protected(row):
    return (
        row["state"] == "deleted"
        or any(row[name] not in (None, "public") for name in ("audience", "container_audience", "parent_audience"))
        or row["special_category"]
        or row["kind"] == "friends_only"
        or (row["expires_at"] is not None and row["expires_at"] < AT)
    )


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("first", [True, False], ids=["it comes first", "it comes last"])
def test_what_takes_away_counts_however_it_is_told(tmp_path, name, first):
    good = BEFORE.get(name, EDITED)
    told(tmp_path, *([TAKEN[name], *good] if first else [*good, TAKEN[name]]))
    found = items(tmp_path)
    assert protected(found["1"]), found
    assert set(found) == {"1"}


def test_the_platforms_own_words_are_denied_to_the_end(tmp_path):
    """The door, the reader, the registry, the snapshot and the decision together: one post and one account a case."""
    cases = {str(n): event for n, event in enumerate((*TAKEN.values(), *WORSE.values(), None))}
    good = [
        event
        for name in cases
        for event in (
            account(name, at=MADE, status="active", private=False, signal="y", born_on="1990-01-01",
                    age_source="declared", country="US"),
            *(one | {"item_id": name, "account_id": name} for one in EDITED),
        )
    ]  # fmt: skip
    good += [one | {"item_id": "early", "account_id": "0"} for one in BEFORE["deleted before it was made"]]
    bad = [
        event | ({"account_id": name} if event["type"] == "account" else {"item_id": name})
        for name, event in cases.items()
        if event is not None
    ]
    bad.append(TAKEN["deleted before it was made"] | {"item_id": "early"})
    space = Workspace(tmp_path / "home", seed=b"feed")
    with open_parts(space) as parts:
        for batch in (good, bad):
            feed.receive(space, "forum", b"\n".join(map(orjson.dumps, batch)), at=AT)
            feed.pull(parts, at=AT)
        parts.registry.export(tmp_path / "standing", as_of=AT, known_at=AT)
    stage(tmp_path / "s", source_folder=str(space.source), as_of=iso(AT), known_at=iso(AT), state="", code="")
    policy = parse_policy(
        'name="t"\npurpose="p"\n[[jurisdiction]]\nname="all"\ncountries=["*"]\nregime="no_choice"\nnotice_days=0\n'
    )
    decide_table(tmp_path / "d", items=[str(path) for path in (tmp_path / "s" / "items").glob("*.parquet")],
                 standing=str(tmp_path / "standing"), policy=policy, as_of=iso(AT))  # fmt: skip
    rows = [row for part in (tmp_path / "d").glob("part*") for row in pq.read_table(part).to_pylist()]
    names = dict(zip(cases, (*TAKEN, *WORSE, "nothing"), strict=True)) | {"early": "early"}
    # that one item is older here than its deletion: its own case is "early"
    assert {names[row["item_id"].removeprefix("forum:")] for row in rows if row["allowed"]} <= {
        "nothing", "deleted before it was made", "moved, nobody knows where",
    }  # fmt: skip
    assert len(rows) == len(cases) + 1


def test_a_good_word_that_is_later_opens_again_and_begins_its_own_clock(tmp_path):
    assert told(tmp_path, post(), edit(audience="circle")) == {"unknown_audience": 1}
    assert items(tmp_path)["1"]["audience"] == "unknown"
    told(tmp_path, edit(text="at the same instant, who knows which was first"))
    assert items(tmp_path)["1"]["audience"] == "unknown"
    told(tmp_path, edit(at="2026-03-05T10:00:01Z", text="later"))
    row = items(tmp_path)["1"]
    assert (row["audience"], row["text"], row["public_since"]) == ("public", "later", parse("2026-03-05T10:00:01Z"))
    told(tmp_path, edit(audience="circle"))  # told twice is once
    assert items(tmp_path)["1"]["audience"] == "public"


def test_words_that_could_not_be_read_are_not_opened_by_an_audience_alone(tmp_path):
    told(tmp_path, post(), edit(signal="no"), shown(audience="public", at="2026-03-06"))
    row = items(tmp_path)["1"]
    assert (row["audience"], row["text"], row["account_id"]) == ("public", "", None)
    told(tmp_path, post("2"), shown("2", audience="circle"), shown("2", audience="public", at="2026-03-06"))
    row = items(tmp_path)["2"]
    assert (row["audience"], row["text"], row["account_id"]) == ("public", "hello", "forum:ann")


def test_a_create_that_is_told_again_and_well_is_as_if_it_had_been(tmp_path):
    assert told(tmp_path, post(audience="circle"), post(kind="rune"), post("2", at=None, audience="circle"))
    found = items(tmp_path)
    assert {(row["audience"], row["account_id"], row["text"], row["kind"]) for row in found.values()} == {
        ("unknown", None, "", "metadata")
    }
    told(tmp_path, post(), post("2"))
    found = items(tmp_path)
    assert [(found[name]["audience"], found[name]["text"]) for name in "12"] == [("public", "hello")] * 2
    assert found["1"]["public_since"] in (None, parse(MADE))


@pytest.mark.parametrize("broken", ["1772359200", "yesterday", 1772359200, "2027-01-01"])
def test_a_feed_that_writes_all_its_times_wrong_can_be_told_again(tmp_path, broken):
    wrong = [post(at=broken, created_at=broken), edit(at=broken, text="new")]
    assert sum(told(tmp_path, *wrong).values()) == 2
    told(tmp_path, post(), edit(text="new"))
    row = items(tmp_path)["1"]
    assert (row["audience"], row["state"], row["text"]) == ("public", "live", "new")


def test_what_names_nothing_takes_nothing_away(tmp_path):
    bad = [delete(""), delete(True), delete(None), edit("x" * 2000), {"type": "burn", "item_id": "1"},
           {"type": ["edit"]}, [], None, {"type": "edit", "item_id": "a\0"},
           {"type": "account", "account_id": "", "private": True},
           {"type": "account", "account_id": "a", "colour": "red"}]  # fmt: skip
    assert sum(told(tmp_path, post(), *bad).values()) == len(bad)
    assert [(row["audience"], row["state"]) for row in items(tmp_path).values()] == [("public", "live")]


def test_the_words_of_an_edit_without_a_time_are_not_guessed_to_be_the_last(tmp_path):
    told(tmp_path, post(), edit(at="soon", text="new"))
    row = items(tmp_path)["1"]
    assert (row["audience"], row["text"]) == ("public", "hello")


def test_what_two_versions_of_one_instant_say_counts_both(tmp_path):
    names = [str(number) for number in range(12)]  # which is the last one is chance
    for name in names:
        told(tmp_path, post(name, co_account_ids=["eve"]),
             edit(name, at=MADE, special_category=True, expires_at="2026-03-02", original_id="z",
                  co_account_ids=["bob"]))  # fmt: skip
    for row in items(tmp_path).values():
        assert (row["special_category"], row["expires_at"], row["original_id"], row["co_account_ids"]) == (
            True, parse("2026-03-02"), "forum:z", ["forum:bob", "forum:eve"],
        )  # fmt: skip


SAID = st.fixed_dictionaries(
    {"at": st.sampled_from([None, MADE, "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"])},
    optional={
        "special_category": st.booleans(),
        "expires_at": st.sampled_from(["2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"]),
        "signal": st.sampled_from(["y", "n"]),
        "kind": st.sampled_from(["photo", "friends_only"]),
    },
)


@settings(max_examples=40, deadline=None)
@given(versions=st.lists(SAID, min_size=1, max_size=5), hour=st.sampled_from([None, "2026-03-02T12:00:00Z"]))
def test_a_version_more_never_lets_more_in_of_the_past(tmp_path_factory, versions, hour):
    folder = tmp_path_factory.mktemp("law")
    told(folder, *(post(**said) for said in versions[:-1]))
    before = items(folder, hour).get("1") if len(versions) > 1 else None
    told(folder, post(**versions[-1]))
    after = items(folder, hour).get("1")
    at = versions[-1]["at"] or MADE  # a create without a time is as old as the item
    if before is None or after is None or hour is None or at <= hour:
        return
    assert after["special_category"] >= bool(before["special_category"]) if before["special_category"] else True
    assert (after["signal"] == "n") >= (before["signal"] == "n")
    assert (after["signal"] == "y") <= (before["signal"] == "y")
    assert (after["kind"] == "friends_only") >= (before["kind"] == "friends_only")
    assert after["expires_at"] is not None or before["expires_at"] is None
    assert before["expires_at"] is None or after["expires_at"] <= before["expires_at"]


GARBAGE = st.one_of(
    st.sampled_from(list(TAKEN.values())),
    st.dictionaries(
        st.sampled_from([*ITEM_RULES.names, "at", "event_id", "reason"]),
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.sampled_from(["", "public", "x", MADE, "soon"])
        | st.just([[]]),
    ).map(lambda said: said | {"type": "edit", "item_id": "1", "text": 7}),
)


@settings(max_examples=40, deadline=None)
@given(garbage=st.lists(GARBAGE, min_size=1, max_size=3), as_of=st.sampled_from([None, "2026-03-02"]))
def test_what_goes_to_quarantine_never_lets_more_in(tmp_path_factory, garbage, as_of):
    folder = tmp_path_factory.mktemp("garbage")
    told(folder, post(audience="unlisted"), post("2"))
    before = items(folder, as_of)
    told(folder, *garbage)
    after = items(folder, as_of)
    assert after["2"] == before["2"]
    assert set(after) == {"1", "2"}
    assert after["1"]["state"] == "deleted" or NARROWNESS[after["1"]["audience"]] >= NARROWNESS["unlisted"]
    assert after["1"]["text"] in ("hello", "", None)


def test_of_one_second_what_protects_counts_where_a_clock_has_no_fractions(tmp_path):
    told(tmp_path, post("draft", at="2026-03-01T10:00:00.2Z", audience="direct"),
         edit("draft", at="2026-03-01T10:00:00.9Z"), post("undeleted"), delete("undeleted"),
         edit("undeleted", at="2026-03-05T10:00:01Z"))  # fmt: skip
    found = items(tmp_path)
    assert {name: (row["state"], row["audience"]) for name, row in found.items()} == dict.fromkeys(
        ("draft", "undeleted"), ("live", "public")
    )


def test_a_later_yes_is_none_for_the_past_and_one_of_the_same_instant_is(tmp_path):
    told(tmp_path, post(), edit(signal="y"), post("2"), edit("2", at=MADE, signal="y"), post("3", at=MADE),
         shown("3", audience="public"), edit("3", at=MADE, signal="y"))  # fmt: skip
    assert [items(tmp_path, "2026-03-02")[name]["signal"] for name in "12"] == [None, "y"]
    assert [items(tmp_path)[name]["signal"] for name in "123"] == ["y", "y", "y"]


def account(name="ann", **said):
    return {"type": "account", "account_id": name, **said}


WORSE = {
    f"{word}, {when}": account(**said, **at)
    for word, said in {
        "deleted": {"status": "deleted"},
        "private": {"private": True},
        "no": {"signal": "n"},
    }.items()
    for when, at in {
        "no time": {},
        "unreadable": {"at": "soon"},
        "zero": {"at": ZERO},
        "ahead": {"at": "2026-06-03T12:00:00Z"},
        "with more": {"at": "2026-05-01", "reason": "x"},
        "and the zero date": {"at": "2026-05-01", "born_on": "0001-01-01"},
    }.items()
} | {
    "banned": account(at="2026-05-01", status="banned"),
    "status in a list": account(at="2026-05-01", status=["active"]),
    "private is no flag": account(at="2026-05-01", private="yes"),
    "signal is no word": account(at="2026-05-01", signal="no"),
    "a minor, of no source": account(at="2026-05-01", born_on="2012-01-01"),
    "a minor, source none": account(at="2026-05-01", born_on="2012-01-01", age_source="none"),
    "a minor, of a source that nobody knows": account(at="2026-05-01", born_on="2012-01-01", age_source="guess"),
    "moved, nobody knows where": account(at="2026-05-01", place="Berlin"),
}


def standing(folder, *batches):
    space = Workspace(folder / f"home-{next(FOLDERS)}", seed=b"feed")
    with open_parts(space) as parts:
        for at, batch in batches:
            feed.receive(space, "forum", b"\n".join(map(orjson.dumps, batch)), at=parse(at))
            feed.pull(parts, at=parse(at))
        found = parts.registry.standing("forum:ann", as_of=AT, known_at=AT)
    return None if found is None else {**found["accounts"][0], **found["standing"][0]}


GOOD = account(at="2026-03-01", status="active", private=False, signal="y", born_on="1990-01-01", age_source="declared",
               country="US")  # fmt: skip


@pytest.mark.parametrize("name", WORSE)
def test_what_an_account_loses_counts_however_it_is_told(tmp_path, name):
    one = standing(tmp_path, ("2026-03-02", [GOOD]), ("2026-05-31", [WORSE[name]]))
    other = standing(tmp_path, ("2026-03-02", [WORSE[name]]), ("2026-05-31", [GOOD]))
    for row in (one, other) if "at" not in WORSE[name] or "2026-05-01" not in WORSE[name]["at"] else (one,):
        assert (
            row["status"] != "active"
            or row["private"]
            or row["signal"] == "n"
            or row["age_conflict"]
            or not row["countries_now"]
        ), row


def test_a_zero_birth_date_makes_nobody_an_adult_and_a_good_time_ends_what_was_worse(tmp_path):
    assert standing(tmp_path, ("2026-03-02", [{**GOOD, "born_on": "0001-01-01"}])) is None
    back = account(at="2026-05-02", status="active", private=False, signal="y", country="US")
    worse = [account(at="2026-05-01", status="banned", private="yes", signal="no"), account(at="2026-05-01", place="?")]
    row = standing(tmp_path, ("2026-03-02", [GOOD]), ("2026-05-03", [*worse, back]))
    assert (row["status"], row["private"], row["signal"], row["countries_now"]) == ("active", False, "y", [])
    assert row["born_on"] == date(1990, 1, 1)


@pytest.mark.parametrize(
    ("rules", "row", "reason"),
    [
        (ITEM_RULES, {"kind": ["post"]}, "unknown_kind"),
        (ITEM_RULES, {"audience": {"who": "public"}}, "unknown_audience"),
        (ITEM_RULES, {"signal": []}, "unknown_value"),
        (ITEM_RULES, {"rating": 2**53 + 1}, "wrong_type"),
        (ITEM_RULES, {"rating": -(2**53) - 1}, "wrong_type"),
        (ITEM_RULES, {"rating": True}, "wrong_type"),
        (ITEM_RULES, {"rating": 2**53}, None),
        (ITEM_RULES, {"rating": 4.5}, None),
        (ITEM_RULES, {"special_category": 1}, "wrong_type"),
        (PERSON_RULES, {"status": ["active"]}, "unknown_value"),
        (PERSON_RULES, {"born_on": date(1, 1, 1)}, "date_out_of_range"),
        (PERSON_RULES, {"born_on": date(1899, 12, 31)}, "date_out_of_range"),
        (PERSON_RULES, {"born_on": date(9999, 12, 31)}, "date_out_of_range"),
        (PERSON_RULES, {"born_on": AT}, "wrong_type"),
        (PERSON_RULES, {"born_on": date(1900, 1, 1)}, None),
    ],
)
def test_a_value_that_no_column_holds_is_a_fault(rules, row, reason):
    assert rules.fault({rules.identity: "a:1", **row}, latest_instant(AT)) == reason


def test_a_strange_value_costs_its_own_line_at_the_door_and_inside(tmp_path):
    space = Workspace(tmp_path / "home", seed=b"feed")
    deep = b'{"type":"burn","text":' + b"[" * 1000 + b"]" * 1000 + b"}"
    strange = [post("3", kind=["post"]), post("4", rating=2**53 + 1), post("5", audience=["public"])]
    lines = [orjson.dumps(one) for one in (post(), *strange, delete())]
    kept = feed.receive(space, "forum", b"\n".join([*lines, deep]), at=AT)
    assert kept.as_json()["accepted"] == 2
    with open_parts(space) as parts:
        assert feed.pull(parts, at=AT).quarantined == kept.quarantined
        assert items(Path(space.root))["1"]["state"] == "deleted"


def test_a_deletion_of_a_day_does_not_outlast_what_comes_the_day_after(tmp_path):
    told(tmp_path, post(), delete(at="2026-03-05"), edit(at="2026-03-06"))
    assert items(tmp_path)["1"]["state"] == "live"
    told(tmp_path, post("2"), delete("2", at=(AT + timedelta(hours=20)).date().isoformat()))
    assert items(tmp_path)["2"]["state"] == "deleted"
