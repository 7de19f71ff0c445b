"""Roles, passwords, sessions, proposals, the audit trail; on both databases."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demur.access import (
    MATRIX,
    AccessBook,
    Action,
    Role,
    StaffAccounts,
    Subject,
    allows,
    csrf_token,
    staff_from_claims,
)
from demur.access.passwords import hashed, matches
from demur.errors import InputError, RefusedError

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
GOOD = "correct horse battery"

WHO_MAY = {
    "overview": "operator policy_author approver dpo trainer auditor regulator",
    "campaigns.view": "operator policy_author approver dpo trainer auditor regulator",
    "campaigns.draft": "policy_author dpo",
    "campaigns.approve": "approver dpo",
    "campaigns.run": "operator dpo",
    "objections.view": "operator policy_author approver dpo trainer auditor regulator",
    "objections.queue": "dpo",
    "objections.enter": "dpo",
    "requests.view": "dpo",
    "requests.decide": "dpo",
    "holds.view": "operator policy_author approver dpo trainer auditor regulator",
    "holds.place": "operator dpo",
    "holds.confirm": "operator approver dpo",
    "whatif": "policy_author approver dpo trainer",
    "models.view": "operator policy_author approver dpo trainer auditor regulator",
    "exports.view": "operator dpo trainer auditor regulator",
    "exports.note": "dpo",
    "people.search": "dpo regulator",
    "ledger.view": "operator policy_author approver dpo trainer auditor regulator",
    "staff.view": "operator dpo auditor",
    "staff.manage": "operator",
    "audit.view": "dpo auditor",
}
"""The matrix once more, by action, as the privacy office would write it down."""


@pytest.fixture
def book(url: str) -> Iterator[AccessBook]:
    found = AccessBook(url, b"k" * 32)
    found.migrate()
    yield found
    found.close()


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("role", list(Role))
def test_every_cell_of_the_matrix(role: Role, action: Action) -> None:
    assert allows(role, action) == (role.value in WHO_MAY[action.value].split())


def test_the_matrix_names_every_role_and_nobody_has_everything() -> None:
    assert set(MATRIX) == set(Role)
    assert all(set(Action) - granted for granted in MATRIX.values())


def test_a_password_is_kept_as_argon2id_and_only_the_right_one_fits() -> None:
    kept = hashed(GOOD)
    assert kept.startswith("$argon2id$")
    assert GOOD not in kept
    assert matches(kept, GOOD)
    assert not matches(kept, GOOD + " ")
    assert not matches(None, "nobody has this password")
    with pytest.raises(InputError, match="12 to 256"):
        hashed("short")


def test_accounts_are_one_per_address_and_a_regulator_has_a_country(book: AccessBook) -> None:
    made = book.staff.add("Ann@X.org", name="Ann", role=Role.DPO, at=NOW, by="cli")
    assert book.staff.named(" ann@x.ORG ") == made
    with pytest.raises(InputError, match="without an account"):
        book.staff.add("ann@x.org", name="Other", role=Role.DPO, at=NOW, by="cli")
    with pytest.raises(InputError, match="needs the country"):
        book.staff.add("r@x.org", name="R", role=Role.REGULATOR, at=NOW, by="cli")
    with pytest.raises(InputError) as caught:
        book.staff.add("no address", name="\u202e", role=Role.DPO, at=NOW, by="cli", countries=["Germany"])
    assert len(caught.value.faults) == 3


def test_wrong_unknown_closed_and_passwordless_look_the_same(book: AccessBook) -> None:
    book.staff.add("ann@x.org", name="Ann", role=Role.DPO, at=NOW, by="cli", password=GOOD)
    gone = book.staff.add("gone@x.org", name="Gone", role=Role.DPO, at=NOW, by="cli", password=GOOD)
    book.staff.disable(gone.staff_id, NOW)
    book.staff.add("oidc@x.org", name="Oidc", role=Role.DPO, at=NOW, by="cli")
    tries = {"ann@x.org": "wrong password!", "gone@x.org": GOOD, "oidc@x.org": GOOD, "nobody@x.org": GOOD}
    spans = {}
    for email, password in tries.items():
        begun = time.thread_time()
        assert book.staff.log_in(email, password, prefix=email, at=NOW) is None
        spans[email] = time.thread_time() - begun
    assert max(spans.values()) < 6 * min(spans.values()), spans
    assert book.staff.log_in("ann@x.org", GOOD, prefix="p", at=NOW) is not None


def quick(book: AccessBook) -> StaffAccounts:
    """The same accounts with a check that costs nothing: counting is what is tested."""
    return StaffAccounts(book.database, b"k" * 32, lambda kept, password: kept is not None and password == GOOD)


def test_tries_wait_longer_and_longer_also_for_nobody(book: AccessBook) -> None:
    book.staff = quick(book)
    book.staff.add("ann@x.org", name="Ann", role=Role.DPO, at=NOW, by="cli", password=GOOD)
    for email in ("ann@x.org", "nobody@x.org"):
        for _ in range(5):
            assert book.staff.log_in(email, "wrong", prefix=email, at=NOW) is None
        with pytest.raises(RefusedError, match="too many"):
            book.staff.log_in(email, GOOD, prefix=email, at=NOW)
    assert book.staff.log_in("ann@x.org", GOOD, prefix="elsewhere", at=NOW), "nobody locks an owner out"
    assert book.staff.log_in("ann@x.org", GOOD, prefix="ann@x.org", at=NOW + timedelta(minutes=15))


def test_many_addresses_from_one_network_wait_too(book: AccessBook) -> None:
    staff = quick(book)
    for number in range(20):
        assert staff.log_in(f"user{number}@x.org", "guess", prefix="192.0.2.0/24", at=NOW) is None
    with pytest.raises(RefusedError):
        staff.log_in("another@x.org", "guess", prefix="192.0.2.0/24", at=NOW)


def test_failed_logins_name_nobody(book: AccessBook) -> None:
    book.staff.log_in("secret.person@x.org", "wrong", prefix="192.0.2.0/24", at=NOW)
    with book.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT bucket FROM access_attempts").all()
    assert rows
    assert not any(b"secret" in bytes(bucket) or b"192" in bytes(bucket) for (bucket,) in rows)


def test_a_session_is_of_one_kind_and_ends(book: AccessBook) -> None:
    token = book.sessions.open("S-1", Subject.STAFF, NOW)
    found = book.sessions.read(token, NOW, Subject.STAFF)
    assert found is not None
    assert (found.subject, found.csrf) == ("S-1", csrf_token(token))
    assert book.sessions.read(token, NOW, Subject.MEMBER) is None
    assert book.sessions.read(token[:-1], NOW, Subject.STAFF) is None
    assert book.sessions.read(None, NOW, Subject.STAFF) is None
    assert book.sessions.read(token, NOW + timedelta(minutes=59), Subject.STAFF) is not None
    assert book.sessions.read(token, NOW + timedelta(minutes=118), Subject.STAFF) is not None, "it was in use"
    assert book.sessions.read(token, NOW + timedelta(minutes=179), Subject.STAFF) is None, "nobody was there"


def test_a_session_in_use_ends_all_the_same(book: AccessBook) -> None:
    token = book.sessions.open("S-1", Subject.STAFF, NOW)
    for minutes in range(0, 600, 30):
        assert book.sessions.read(token, NOW + timedelta(minutes=minutes), Subject.STAFF)
    assert book.sessions.read(token, NOW + timedelta(hours=10), Subject.STAFF) is None


def test_the_token_is_kept_nowhere(book: AccessBook) -> None:
    token = book.sessions.open("S-1", Subject.STAFF, NOW)
    with book.database.reading() as connection:
        (row,) = connection.exec_driver_sql("SELECT * FROM access_sessions").all()
    assert not any(token.encode() in bytes(str(value), "utf-8") for value in row)


def test_closing_ends_one_and_all(book: AccessBook) -> None:
    one, other = (book.sessions.open("S-1", Subject.STAFF, NOW) for _ in range(2))
    assert one != other
    book.sessions.close(one)
    assert book.sessions.read(one, NOW, Subject.STAFF) is None
    assert book.sessions.read(other, NOW, Subject.STAFF)
    book.sessions.close_all("S-1", Subject.STAFF)
    assert book.sessions.read(other, NOW, Subject.STAFF) is None


@given(st.text(min_size=1, max_size=60), st.text(max_size=80))
def test_a_form_of_another_session_never_fits(secret: str, told: str) -> None:
    assert (csrf_token(secret) == told) is False
    assert csrf_token(secret) == csrf_token(secret) != csrf_token(secret + "x")


def test_what_needs_two_people_needs_two(book: AccessBook) -> None:
    number = book.proposals.make("hold.lift", "h-1", reason="letter", by="S-1", at=NOW)
    assert book.proposals.make("hold.lift", "h-1", reason="again", by="S-2", at=NOW) == number
    with pytest.raises(RefusedError, match="two people"):
        book.proposals.confirm(number, by="S-1", at=NOW)
    assert [one.number for one in book.proposals.waiting("hold.lift")] == [number]
    assert book.proposals.confirm(number, by="S-2", at=NOW).object_id == "h-1"
    assert book.proposals.waiting() == []
    with pytest.raises(InputError):
        book.proposals.confirm(number, by="S-3", at=NOW)
    with pytest.raises(InputError, match="reason"):
        book.proposals.make("hold.lift", "h-2", reason="  ", by="S-1", at=NOW)


def test_the_trail_is_read_newest_first_and_narrowed(book: AccessBook) -> None:
    for number in range(5):
        book.audit.note(f"S-{number % 2}", "people.look", f"p-{number}", NOW + timedelta(seconds=number))
    assert [one.object_id for one in book.audit.read(limit=2)] == ["p-4", "p-3"]
    oldest = book.audit.read(limit=2)[-1].number
    assert [one.object_id for one in book.audit.read(limit=9, before=oldest)] == ["p-2", "p-1", "p-0"]
    assert len(book.audit.read(limit=9, subject="S-1")) == 2
    assert len(book.audit.read(limit=9, object_id="p-3")) == 1


@pytest.mark.parametrize(
    ("claims", "known"),
    [
        ({"email": "ann@x.org", "email_verified": True}, True),
        ({"email": "ANN@x.org", "email_verified": True}, True),
        ({"email": "ann@x.org", "email_verified": False}, False),
        ({"email": "ann@x.org", "email_verified": "true"}, False),
        ({"email": "ann@x.org"}, False),
        ({"email": "bob@x.org", "email_verified": True}, False),
        ({"email": "gone@x.org", "email_verified": True}, False),
        ({}, False),
    ],
)
def test_the_provider_says_who_and_the_operator_says_whether(
    book: AccessBook, claims: dict[str, object], known: bool
) -> None:
    book.staff.add("ann@x.org", name="Ann", role=Role.DPO, at=NOW, by="cli")
    gone = book.staff.add("gone@x.org", name="Gone", role=Role.DPO, at=NOW, by="cli")
    book.staff.disable(gone.staff_id, NOW)
    assert (staff_from_claims(book.staff, claims) is not None) is known
