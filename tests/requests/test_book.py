"""The queue: nothing leaves it but by an answer, nothing in it can be read, and a killed search goes on."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.errors import BrokenError, DemurError, InputError, RefusedError
from demur.requests import Claim, Delay, Found, Outcome, Reason, RequestBook, Rule, State, Verdict, Wanted, read_form
from demur.requests.schema import PROPOSALS, REQUESTS
from demur.requests.sealing import Sealing
from demur.store import KeyRing

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NIGHTLY = bool(os.environ.get("DEMUR_NIGHTLY"))
SECRETS = Wanted(
    contact="sentinel-contact@hidden.example",
    names=("Sentinelle Verborgen",),
    handles=("sentinel_handle",),
    phones=("+353 86 5550199",),
    texts=("sentinel words about a purple walrus",),
    note="sentinel note",
    claim=Claim(("sentinel prompt",), "sentinel output"),
)


def put(book: RequestBook, wanted: Wanted = SECRETS, picture: bytes | None = None) -> int:
    return book.receive(
        wanted, picture=picture, country="IE", language="en", received_at=AT, due_at=AT + 30 * DAY
    )  # fmt: skip


def find(book: RequestBook, number: int, *found: Found) -> None:
    book.begin(number, "digest")
    book.found(number, [(one, "s:acc") for one in found], parts_done=1, searched=10)
    book.searched(number)


def hit(name: str, *, certain: bool = True) -> Found:
    return Found(name, Rule.NAME, 1.0, certain, "met Sentinelle Verborgen there")


PLAIN = Wanted(contact="a@b.example", names=("A B",))


def test_what_was_asked_comes_back_as_it_was(book):
    number = put(book, picture=b"\x89PNG picture bytes")
    assert book.wanted(number) == SECRETS
    assert book.picture(number) == b"\x89PNG picture bytes"
    assert book.known(number).state is State.RECEIVED


def test_sec_03_tpd_08_a_dump_of_the_store_shows_no_identifier(tmp_path):
    path = tmp_path / "requests.db"
    book = RequestBook(f"sqlite:///{path}", KeyRing(tmp_path / "keys"))
    book.migrate()
    number = put(book, picture=b"sentinel picture")
    find(book, number, hit("s:1"))
    book.decide(number, None, Reason.ABOUT_YOU, by="staff", at=AT)
    book.keep_evidence(number, {"runs": ["sentinel evidence"], "reproduced": True})
    book.answer(number, "Sentinelle, the answer", at=AT, forget_at=AT + DAY)
    book.close()
    stored = b"".join(one.read_bytes() for one in tmp_path.glob("requests.db*")).lower()
    for word in (b"sentinel", b"verborgen", b"5550199", b"walrus", b"hidden.example", b"picture bytes"):
        assert word not in stored, word
    assert b"s:1" in stored  # the scan can find what is there


def test_when_its_time_is_over_the_key_is_destroyed_and_the_row_stays(book, tmp_path):
    number, other = put(book, PLAIN), put(book, PLAIN)
    for one in (number, other):
        find(book, one, hit("s:1"))
        book.decide(one, None, Reason.ABOUT_YOU, by="staff", at=AT)
    book.answer(number, "yes", at=AT, forget_at=AT + 10 * DAY)
    assert book.forget(AT + 9 * DAY) == []
    kept = book.database
    with kept.reading() as connection:
        sealed = connection.scalar(sa.select(REQUESTS.c.content).where(REQUESTS.c.number == number))
    assert book.forget(AT + 10 * DAY) == [number]
    assert (book.wanted(number), book.answer_text(number), book.proposals(number)) == (None, None, [])
    assert book.known(number).outcome is Outcome.REMOVED
    assert book.wanted(other) == PLAIN
    with pytest.raises(BrokenError):  # what a backup still has is unreadable
        Sealing(KeyRing(tmp_path / "keys")).open(number, "content", bytes(sealed))
    assert book.forget(AT + 11 * DAY) == []


def test_sealed_content_cannot_be_moved_to_another_request(book):
    one, other = put(book), put(book)
    with book.database.writing() as connection:
        sealed = connection.scalar(sa.select(REQUESTS.c.content).where(REQUESTS.c.number == one))
        connection.execute(sa.update(REQUESTS).where(REQUESTS.c.number == other).values(content=sealed))
    with pytest.raises(BrokenError):
        book.wanted(other)


def test_tpd_04_all_means_only_what_is_certain_when_it_takes_out(book):
    number = put(book, PLAIN)
    find(book, number, hit("s:sure"), hit("s:maybe", certain=False), hit("s:other", certain=False))
    done = book.decide(number, None, Reason.ABOUT_YOU, by="staff", at=AT)
    assert [one.item_id for one in done] == ["s:sure"]
    with pytest.raises(RefusedError, match="2 proposals are undecided"):
        book.answer(number, "x", at=AT, forget_at=AT)
    book.decide(number, ["s:maybe"], Reason.ABOUT_YOU, by="staff", at=AT)
    assert len(book.decide(number, None, Reason.SOMEBODY_ELSE, by="staff", at=AT)) == 1
    assert book.answer(number, "x", at=AT, forget_at=AT) is Outcome.PARTLY


def test_an_answer_is_final(book):
    number = put(book, PLAIN)
    find(book, number)
    assert book.answer(number, "nothing", at=AT, forget_at=AT + DAY) is Outcome.NOT_FOUND
    for act in (
        lambda: book.answer(number, "other", at=AT, forget_at=AT),
        lambda: book.decide(number, None, Reason.SOMEBODY_ELSE, by="x", at=AT),
        lambda: book.extend(number, due_at=AT, delay=Delay.COMPLEX, at=AT),
        lambda: book.propose(number, "s:9", None, Rule.LINK),
    ):
        with pytest.raises(RefusedError):
            act()
    assert book.answer_text(number) == "nothing"


def test_a_claim_is_not_answered_before_the_model_was_asked_again(book):
    number = put(book, SECRETS)
    find(book, number)
    with pytest.raises(RefusedError, match="rerun"):
        book.answer(number, "x", at=AT, forget_at=AT)
    book.keep_evidence(number, {"reproduced": False, "runs": []})
    book.answer(number, "x", at=AT, forget_at=AT)


def test_an_extension_is_given_once_and_inside_the_first_month(book):
    number, late = put(book, PLAIN), put(book, PLAIN)
    with pytest.raises(RefusedError, match="first month"):
        book.extend(late, due_at=AT + 90 * DAY, delay=Delay.COMPLEX, at=AT + 30 * DAY)
    book.extend(number, due_at=AT + 90 * DAY, delay=Delay.COMPLEX, at=AT + 29 * DAY)
    assert book.known(number).due_at == AT + 90 * DAY
    with pytest.raises(RefusedError, match="once"):
        book.extend(number, due_at=AT + 200 * DAY, delay=Delay.COMPLEX, at=AT + 29 * DAY)


def test_the_queue_stands_by_legal_clock(book):
    first, second, third = put(book, PLAIN), put(book, PLAIN), put(book, PLAIN)
    book.extend(first, due_at=AT + 90 * DAY, delay=Delay.COMPLEX, at=AT)
    assert [one.number for one in book.queue()] == [second, third, first]
    assert book.waiting() == second


def test_a_search_that_was_killed_goes_on_and_counts_once(book):
    number = put(book, PLAIN)
    book.begin(number, "digest")
    book.found(number, [(hit("s:1"), None)], parts_done=1, searched=10, pictures=2)
    assert book.place(number) == ("digest", 1)
    book.found(number, [(hit("s:1"), None), (hit("s:2"), None)], parts_done=2, searched=5)
    one = book.known(number)
    assert (one.searched, one.pictures, len(book.proposals(number))) == (15, 2, 2)
    book.begin(number, "another")  # the source changed: begin again
    assert (book.known(number).searched, book.proposals(number)) == (0, [])


def test_decisions_survive_another_search(book):
    number = put(book, PLAIN)
    find(book, number, hit("s:1"), hit("s:2"))
    book.decide(number, ["s:1"], Reason.NOT_PERSONAL, by="staff", at=AT)
    book.search_again(number)
    find(book, number, hit("s:1"), hit("s:3"))
    told = {one.item_id: one.verdict for one in book.proposals(number)}
    assert told == {"s:1": Verdict.REJECTED, "s:3": Verdict.PROPOSED}


def test_too_many_hits_are_counted_and_not_kept(book, monkeypatch):
    monkeypatch.setattr("demur.requests.book.MOST_PROPOSALS", 3)
    number = put(book, PLAIN)
    book.begin(number, "d")
    for part in range(3):
        book.found(number, [(hit(f"s:{part}{n}"), None) for n in range(2)], parts_done=part + 1)
    assert len(book.proposals(number)) == 3
    assert book.known(number).overflow == 3


def test_items_that_nobody_proposed_cannot_be_decided(book):
    number = put(book, PLAIN)
    find(book, number, hit("s:1"))
    with pytest.raises(InputError, match="proposed"):
        book.decide(number, ["s:2"], Reason.ABOUT_YOU, by="x", at=AT)
    book.propose(number, "s:2", "s:acc", Rule.LINK, snippet="staff found it")
    book.decide(number, ["s:2"], Reason.ABOUT_YOU, by="x", at=AT)
    with pytest.raises(InputError, match="number"):
        book.known(number + 100)


ACTS = ("receive", "match", "confirm", "reject", "extend", "answer", "forget", "again")


@pytest.fixture(scope="module")
def one_book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RequestBook]:
    folder = tmp_path_factory.mktemp("law")
    found = RequestBook(f"sqlite:///{folder / 'r.db'}", KeyRing(folder / "keys"))
    found.migrate()
    yield found
    found.close()


@settings(max_examples=300 if NIGHTLY else 12, deadline=None)
@given(seed=st.integers(0, 2**32), acts=st.lists(st.sampled_from(ACTS), min_size=5, max_size=20))
def test_law_every_request_ends_in_exactly_one_answer_and_none_is_lost(one_book, seed, acts):
    """TPD-06: whatever staff and workers do in whatever order, a request is open or has one answer with words."""
    chance, book = random.Random(seed), one_book
    with book.database.writing() as connection:
        connection.execute(sa.delete(REQUESTS))
        connection.execute(sa.delete(PROPOSALS))
    known: list[int] = []
    ended: dict[int, tuple[Outcome | None, str]] = {}
    for step, act in enumerate(acts):
        if act == "receive" or not known:
            known.append(put(book, PLAIN))
            continue
        number = chance.choice(known)
        with contextlib.suppress(DemurError):  # refused: nothing may have changed
            if _act(book, act, number, chance, AT + step * DAY) == "answered":
                assert number not in ended, "answered twice"
                ended[number] = (book.known(number).outcome, f"answer of {number}")
        _check(book, known, ended)
    for number in known:  # and every one of them can be ended
        if number not in ended:
            if book.known(number).state is State.RECEIVED:
                find(book, number)
            book.decide(number, None, Reason.SOMEBODY_ELSE, by="x", at=AT)
            book.answer(number, "end", at=AT, forget_at=AT + 999 * DAY)
    assert book.queue() == []
    assert len(book.queue(answered=True)) == len(known)


def _act(book: RequestBook, act: str, number: int, chance: random.Random, at: datetime) -> str | None:
    if act == "match":
        find(book, number, *(hit(f"s:{n}", certain=chance.random() < 0.5) for n in range(chance.randint(0, 3))))
    elif act in {"confirm", "reject"}:
        book.decide(number, None, Reason.ABOUT_YOU if act == "confirm" else Reason.EXCESSIVE, by="x", at=at)
    elif act == "extend":
        book.extend(number, due_at=AT + 90 * DAY, delay=Delay.COMPLEX, at=at)
    elif act == "forget":
        book.forget(at)
    elif act == "again":
        book.search_again(number)
    elif act == "answer":
        book.answer(number, f"answer of {number}", at=at, forget_at=at + 5 * DAY)
        return "answered"
    return None


def _check(book: RequestBook, known: list[int], ended: dict[int, tuple[Outcome | None, str]]) -> None:
    for number in known:
        one = book.known(number)
        if number in ended:
            assert one.state is State.ANSWERED
            assert one.outcome is ended[number][0] is not None
            assert book.answer_text(number) == (None if one.forgotten_at else ended[number][1])
        else:
            assert one.state is not State.ANSWERED
            assert one.outcome is None
            assert one.answered_at is None


def test_only_a_contact_is_required():
    assert read_form({"contact": "a@b.example"}).names == ()
    for contact in ("", "nobody", "a@b", "a b@c.example", "a@b.example\r\nBcc: x@y.example", "@b.example"):
        with pytest.raises(InputError, match="e-mail"):
            read_form({"contact": contact})
    told = read_form({"contact": "a@b.example", "names": "\n".join(f"N {n}" for n in range(99)), "text": "x" * 10**6})
    assert len(told.names) == 20
    assert told.note.splitlines() == [f"names: N {n}" for n in range(20, 99)], "for staff: nothing is left out"
    assert len(told.texts[0]) == 20_000


@given(st.dictionaries(st.sampled_from(["contact", "names", "links", "text", "prompts", "for", "odd"]), st.text()))
def test_no_form_breaks_the_reader(form):
    try:
        found = read_form(form)
    except InputError:
        return
    assert "\n" not in found.contact


def test_the_columns_in_clear_are_the_few_that_are_meant():
    sealed = {"content", "picture", "evidence", "answer", "snippet"}
    clear = {column.name for table in (REQUESTS, PROPOSALS) for column in table.c} - sealed
    assert clear == {
        "number", "state", "outcome", "is_claim", "country", "language", "received_at", "due_at", "extended_at",
        "delay", "answered_at", "forget_at", "forgotten_at", "snapshot", "parts_done", "searched", "pictures",
        "overflow", "item_id", "account_id", "rule", "score", "certain", "verdict", "reason", "decided_by",
        "decided_at",
    }  # fmt: skip
