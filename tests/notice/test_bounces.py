"""Reports of non-delivery and complaints: read whatever comes, believe only what carries our own mark."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from notice_worlds import ANNA, AT, Watch, mail_to, renderer, ring, service_at

from demur.flows import bounces
from demur.flows.service import Service
from demur.notice import letters, stopped
from demur.notice.addresses import LETTER, NOTICE, read_return_path, return_path
from demur.notice.bounces import Became, read_report
from demur.notice.schema import CAMPAIGNS, DELIVERIES
from demur.store import KeyRing

NIGHTLY = os.environ.get("DEMUR_NIGHTLY") == "1"
KEYS = ring()
OTHERS = ring()
DOMAIN = "bounces.agora.example"
PATH = return_path(KEYS, NOTICE, 7, 2, DOMAIN)


def dsn(action: str, status: str, path: str = PATH) -> bytes:
    """A report as Exchange, Postfix and others write it (RFC 3464)."""
    return f"""\
Return-Path: <>
Delivered-To: {path}
From: MAILER-DAEMON@mx.example
To: {path}
Subject: Undelivered Mail
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain

Sorry.

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; anna@example.org
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 {status} no such user

--b1
Content-Type: text/rfc822-headers

From: notices@agora.example
To: anna@example.org
Subject: AI training

--b1--
""".replace("\n", "\r\n").encode()


def complaint(kind: str = "abuse", path: str = PATH) -> bytes:
    """A complaint of a feedback loop (RFC 5965): it comes to an address of its own, our mark is inside."""
    return f"""\
From: feedback@provider.example
To: abuse@agora.example
Subject: FW: AI training
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b2"

--b2
Content-Type: text/plain

This is an email abuse report.

--b2
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: Feedback/1.0
Version: 1
Original-Mail-From: <{path}>

--b2
Content-Type: message/rfc822

From: notices@agora.example
To: anna@example.org
Subject: AI training

You can say no.
--b2--
""".replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("action", "status", "became", "code"),
    [
        ("failed", "5.1.1", Became.BOUNCED, "5.1.1"),
        ("Failed", "5.2.2 (mailbox full)", Became.BOUNCED, "5.2.2"),
        ("failed", "4.4.1", Became.BOUNCED, "4.4.1"),  # the relay tried for five days and gave up
        ("failed", "nonsense", Became.BOUNCED, "5.0.0"),
        ("delayed", "4.4.1", Became.DELAYED, ""),
        ("delivered", "2.0.0", Became.DELAYED, ""),
        ("relayed", "2.0.0", Became.DELAYED, ""),
    ],
)
def test_a_report_says_what_its_action_says(action: str, status: str, became: Became, code: str) -> None:
    report = read_report(dsn(action, status), KEYS)
    assert (report.became, report.what, report.number, report.attempt, report.code) == (became, "b", 7, 2, code)


@pytest.mark.parametrize("kind", ["abuse", "fraud", "virus", "other"])
def test_a_complaint_is_known_by_the_mail_that_it_is_about(kind: str) -> None:
    report = read_report(complaint(kind), KEYS)
    assert (report.became, report.number, report.code) == (Became.COMPLAINED, 7, "complaint")


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure"])
def test_feedback_that_is_no_complaint_changes_nothing(kind: str) -> None:
    assert read_report(complaint(kind), KEYS).became is Became.UNREAD


def test_a_holiday_reply_is_no_bounce() -> None:
    mail = (
        b"To: %s\r\nAuto-Submitted: auto-replied\r\nSubject: away\r\n\r\nI am away. Status: 5.1.1\r\nAction: failed\r\n"
    )
    assert read_report(mail % PATH.encode(), KEYS).became is Became.UNREAD


@given(st.sampled_from("bl"), st.integers(0, 10**12), st.integers(1, 10**6))
def test_a_return_path_names_its_try_and_nothing_else_does(what: str, number: int, attempt: int) -> None:
    path = return_path(KEYS, what, number, attempt, DOMAIN)
    assert len(path.partition("@")[0]) <= 64
    assert read_return_path(KEYS, path) == read_return_path(KEYS, f"<{path.upper()}>") == (what, number, attempt)
    local, _, domain = path.partition("@")
    last = "1" if local[-1] == "0" else "0"
    for other in (local.replace("-", "-1", 1), local[:-1] + last, f"x{local}", f"{'lb'['bl'.index(what)]}{local[1:]}"):
        assert read_return_path(KEYS, f"{other}@{domain}") is None
    assert read_return_path(OTHERS, path) is None


@settings(max_examples=100_000 if NIGHTLY else 150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=2000))
def test_no_bytes_make_the_reader_raise(raw: bytes) -> None:
    assert read_report(raw, KEYS).became in {Became.UNREAD, Became.FORGED}


@settings(max_examples=100_000 if NIGHTLY else 150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_damaged_report_makes_the_reader_raise_or_name_another_try(data: Any) -> None:
    raw = bytearray(data.draw(st.sampled_from([dsn("failed", "5.1.1"), complaint()])))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.integers(0, 3)):
            case 0:
                raw[place] = data.draw(st.integers(0, 255))
            case 1:
                del raw[place : place + data.draw(st.integers(1, 200))]
            case 2:
                raw[place:place] = data.draw(st.binary(max_size=20))
            case _:
                raw[place:place] = raw[max(0, place - 300) : place]
        if not raw:
            break
    report = read_report(bytes(raw), KEYS)
    assert (report.what, report.number, report.attempt) in {("", 0, 0), ("b", 7, 2)}


def test_deeply_nested_and_huge_mails_are_read_in_no_time() -> None:
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(3000))
    assert read_report(nested, KEYS).became is Became.UNREAD
    assert read_report(b"To: " + b"a@" * 2_000_000, KEYS).became is Became.UNREAD


# What a report does


@pytest.fixture
def service(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    if url.startswith("postgresql"):
        monkeypatch.setenv("DEMUR_REGISTRY_URL", url)
    with service_at(tmp_path, Watch()) as opened:
        campaign = {"campaign_id": "spring", "purpose": "x", "countries": "[]", "channels": "[]", "effective_at": 0}
        campaign |= {"notice_days": 45, "status": "running", "status_at": 0, "policy": "x", "policy_digest": "x"}
        row = {"number": 7, "campaign_id": "spring", "person_id": "p1", "language": "en", "channel": "email"}
        row |= {"address": "Anna@example.org", "destination": "example.org", "state": "accepted", "attempt": 2}
        row |= {"fallback": '[["inapp", "p1", "inapp"]]'}
        with opened.notice.database.writing() as connection:
            connection.execute(CAMPAIGNS.insert().values(**campaign, made_by="x", made_at=0))
            connection.execute(DELIVERIES.insert().values(**row, not_before=0, state_at=0))
        yield opened


def mine(service: Service, attempt: int = 2, what: str = NOTICE, number: int = 7) -> str:
    return return_path(service.parts.keys, what, number, attempt, DOMAIN)


def state(service: Service) -> tuple[str, str]:
    with service.notice.database.reading() as connection:
        row = connection.execute(DELIVERIES.select()).one()
    return row.state, row.channel


def test_a_hard_bounce_leads_to_the_next_channel_once(service: Service) -> None:
    for _ in range(2):
        assert bounces.receive(service, dsn("failed", "5.1.1", mine(service))) is Became.BOUNCED
        assert state(service) == ("waiting", "inapp")


@pytest.mark.parametrize("raw", [dsn("failed", "5.1.1"), complaint()])
def test_a_forged_report_changes_nothing(service: Service, raw: bytes) -> None:
    assert bounces.receive(service, raw) is Became.FORGED
    assert state(service) == ("accepted", "email")
    assert stopped.stopped(service.notice, service.parts.keys, ["anna@example.org"]) == set()


def test_a_delay_changes_nothing(service: Service) -> None:
    assert bounces.receive(service, dsn("delayed", "4.4.1", mine(service))) is Became.DELAYED
    assert state(service) == ("accepted", "email")


def test_a_report_on_an_older_try_changes_nothing(service: Service) -> None:
    assert bounces.receive(service, dsn("failed", "5.1.1", mine(service, attempt=1))) is Became.BOUNCED
    assert state(service) == ("accepted", "email")


def test_a_complaint_stops_the_address_and_is_no_objection(service: Service) -> None:
    assert bounces.receive(service, complaint(path=mine(service))) is Became.COMPLAINED
    assert state(service) == ("waiting", "inapp")
    asked = ["ANNA@EXAMPLE.ORG", "anna@example.org", "bob@example.org"]
    assert stopped.stopped(service.notice, service.parts.keys, asked) == set(asked[:2])
    assert service.parts.registry.about("p1").get("objections", []) == []


def test_a_letter_that_comes_back_has_failed(service: Service) -> None:
    told = {"kind": "page_link", "key": "k", "person_id": "p1", "language": "en", "address": "a@example.org"}
    number = letters.queue(service.notice, **told, facts={}, at=AT)
    letters.take(service.notice, AT)
    letters.settle(service.notice, [letters.Result(number, 1, letters.Outcome.ACCEPTED, "250")], {}, AT)
    assert bounces.receive(service, dsn("failed", "5.1.1", mine(service, 1, LETTER, number))) is Became.BOUNCED
    assert letters.counts(service.notice) == {"failed": 1}


def test_the_mailbox_is_emptied_of_what_was_understood(service: Service) -> None:
    home = bounces.mailbox(service)
    (home / "new").mkdir(parents=True)
    (home / "new" / "1.host").write_bytes(dsn("failed", "5.1.1", mine(service)))
    (home / "new" / "2.host").write_bytes(b"hello")
    (home / "from-the-provider.eml").write_bytes(complaint(path=mine(service)))
    assert (bounces.step(service), bounces.step(service)) == (3, 0)
    assert [path.name for path in home.rglob("*") if path.is_file()] == ["2.host:2,F"]


def test_what_the_renderer_sends_is_what_the_reader_reads(tmp_path: Path) -> None:
    made = mail_to(renderer(tmp_path).render(ANNA, 9, AT))
    report = read_report(dsn("failed", "5.1.1", made.return_path), KeyRing(tmp_path / "keys"))
    assert (report.number, report.attempt) == (ANNA.number, 9)
