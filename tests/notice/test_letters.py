"""Single mails: once for a cause, in the person's language, until they are accepted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from notice_worlds import AT, TEXTS, Watch, both, read_mail, service_at

from demur.clock import micros
from demur.errors import BrokenError
from demur.flows import letters as flow
from demur.flows.service import Service
from demur.notice import letters
from demur.notice.letters import Letter, LetterKind
from demur.notice.stopped import stop_address
from demur.store.links import LinkPurpose
from demur.terms.notice import Outcome, Result
from demur.terms.site import Relay

FACTS: dict[LetterKind, dict[str, Any]] = {
    LetterKind.OBJECTION_CONFIRMED: {
        "reference": "D-7K2M",
        "objected_at": AT,
        "scope": "everything, on all your accounts",
        "used_before": "nothing",
        "delivery": 3,
        "undo": True,
    },
    LetterKind.OBJECTION_UNDONE: {"reference": "D-7K2M", "undone_at": AT, "delivery": 3},
    LetterKind.WITHDRAWAL_CONFIRMED: {"reference": "D-7K2M", "withdrawn_at": AT},
    LetterKind.PAGE_LINK: {},
    LetterKind.REQUEST_RECEIVED: {
        "reference": "R-1",
        "due_on": date(2026, 4, 1),
        "status_url": "https://a.example/r/x",
    },
    LetterKind.REQUEST_EXTENDED: {
        "reference": "R-1",
        "due_on": "2026-06-01",
        "reason": "There are many copies.",
        "status_url": "https://a.example/r/x",
    },
    LetterKind.REQUEST_ANSWERED: {
        "reference": "R-1",
        "answer": "3 items & more.",
        "status_url": "https://a.example/r/x",
    },
    LetterKind.UPLOADER_TOLD: {"item": "a photo of 3 May 2024", "done": "It is not used."},
    LetterKind.EXPORT_OVER: {
        "reference": "X-1795478400",
        "given_at": "2026-03-01T12:00:00Z",
        "digest": "ab" * 32,
        "export_url": "https://privacy.agora.example/export/x",
    },
    LetterKind.HOLD_PLACED: {
        "hold": "h1",
        "authority_name": "DPC",
        "placed_at": AT,
        "instrument": "Order 1/26",
        "scope": "photos of Ireland",
        "console_url": "https://a.example/console/holds",
    },
}


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def service(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, watch: Watch) -> Iterator[Service]:
    if url.startswith("postgresql"):
        monkeypatch.setenv("DEMUR_REGISTRY_URL", url)
    with service_at(tmp_path, watch) as opened:
        yield opened


@pytest.fixture
def small(tmp_path: Path, watch: Watch) -> Iterator[Service]:
    """On SQLite alone, for what no database changes."""
    with service_at(tmp_path, watch) as opened:
        yield opened


def queue(service: Service, key: str = "k", **told: Any) -> int | None:
    given = {"kind": LetterKind.PAGE_LINK, "person_id": "p1", "language": "en", "address": "anna@example.org"}
    return letters.queue(service.notice, **(given | {"facts": {}, "at": service.clock()} | told), key=key)


def mails(service: Service) -> list[bytes]:
    return [path.read_bytes() for path in sorted((service.parts.workspace.root / "outbox").rglob("*.eml"))]


@pytest.mark.parametrize("language", sorted(TEXTS))
@pytest.mark.parametrize("kind", list(LetterKind))
def test_every_letter_is_whole_in_every_language(small: Service, kind: LetterKind, language: str) -> None:
    queue(small, kind=kind, language=language, facts=FACTS[kind])
    assert flow.step(small) == 1
    (raw,) = mails(small)
    mail = read_mail(raw)
    assert mail["To"] == "anna@example.org"
    assert "List-Unsubscribe" not in mail
    assert mail["Auto-Submitted"] == "auto-generated"
    told = FACTS[kind].get("reference") or FACTS[kind].get("hold")
    for part in both(raw):
        assert "{" not in part.partition("</style>")[2]
        assert "Agora" in part
        assert told is None or told in part
    assert not any(ord(sign) < 32 for sign in mail["Subject"])


def test_a_confirmation_has_all_that_the_law_and_we_promise(small: Service) -> None:
    number = queue(small, kind=LetterKind.OBJECTION_CONFIRMED, facts=FACTS[LetterKind.OBJECTION_CONFIRMED])
    flow.step(small)
    plain = both(mails(small)[0])[0]
    status = f"https://privacy.agora.example/o/{small.links.token(LinkPurpose.OBJECT, 3)}"
    undo = f"https://privacy.agora.example/u/{small.links.token(LinkPurpose.UNDO, number)}"
    wanted = ["D-7K2M", "1 March 2026, 12:00 UTC", "everything, on all your accounts", "What was used before: nothing"]
    for text in [*wanted, status, f"{status}/receipt.json", undo, "14 days", "erase", "complain"]:
        assert text in plain


def test_without_a_link_there_is_nothing_to_undo(small: Service) -> None:
    facts = {**FACTS[LetterKind.OBJECTION_CONFIRMED], "undo": False}
    queue(small, kind=LetterKind.OBJECTION_CONFIRMED, facts=facts)
    flow.step(small)
    assert "/u/" not in both(mails(small)[0])[0]


@pytest.mark.parametrize(
    ("language", "read"), [("bar", "de"), ("vls", "nl"), ("nap", "it"), ("xx-yy", "en"), ("", "en")]
)
def test_a_language_without_texts_gets_its_letter_in_another(small: Service, language: str, read: str) -> None:
    kind = LetterKind.WITHDRAWAL_CONFIRMED
    for key, tongue in (("1", language), ("2", read)):
        queue(small, key, kind=kind, language=tongue, facts=FACTS[kind])
    flow.step(small)
    one, other = (both(raw)[0] for raw in mails(small))
    assert one == other


def test_what_was_undone_by_no_link_of_a_notice_leads_to_the_own_page(small: Service) -> None:
    facts = {name: value for name, value in FACTS[LetterKind.OBJECTION_UNDONE].items() if name != "delivery"}
    queue(small, kind=LetterKind.OBJECTION_UNDONE, facts=facts)
    flow.step(small)
    assert "https://privacy.agora.example/me" in both(mails(small)[0])[0]


def test_what_people_typed_is_text_on_one_line(small: Service) -> None:
    typed = "<script>x</script>\r\n\r\nBcc: all@example.org\x00 {controller} https://bait.example"
    queue(small, kind=LetterKind.UPLOADER_TOLD, facts={**FACTS[LetterKind.UPLOADER_TOLD], "item": typed})
    flow.step(small)
    raw = mails(small)[0]
    plain, rich = both(raw)
    assert "Bcc" not in read_mail(raw)
    assert "<script>x</script> Bcc: all@example.org {controller} https://bait.example" in plain
    assert "<script" not in rich
    assert 'href="https://bait.example' not in rich


def test_an_answer_keeps_its_paragraphs_and_makes_no_links(small: Service) -> None:
    answer = "We looked.\n\n\n\nThis would help:\r\n– a <b>link</b>\x00 https://bait.example\n\n{controller}\n"
    queue(small, kind=LetterKind.REQUEST_ANSWERED, facts={**FACTS[LetterKind.REQUEST_ANSWERED], "answer": answer})
    flow.step(small)
    plain, rich = (part.replace("\r\n", "\n") for part in both(mails(small)[0]))
    assert "We looked.\n\nThis would help:\n– a <b>link</b> https://bait.example\n\n{controller}" in plain
    wanted = ("<p>We looked.</p>", "<p>This would help:<br>", "– a &lt;b&gt;link&lt;/b&gt; https://bait.example</p>")
    assert all(text in rich for text in wanted)
    assert 'href="https://bait.example' not in rich


def test_a_letter_that_cannot_be_written_does_not_keep_the_others(service: Service) -> None:
    broken = {**FACTS[LetterKind.REQUEST_EXTENDED], "due_on": "no date"}
    queue(service, key="broken", kind=LetterKind.REQUEST_EXTENDED, facts=broken)
    queue(service, key="whole", address="bob@example.org")
    assert flow.step(service) == 2
    assert letters.counts(service.notice) == {"waiting": 1, "sent": 1}


def test_after_ninety_days_address_and_words_are_gone_and_the_proof_stays(service: Service, watch: Watch) -> None:
    number = queue(service, kind=LetterKind.OBJECTION_CONFIRMED, facts=FACTS[LetterKind.OBJECTION_CONFIRMED])
    flow.step(service)
    (raw,) = mails(service)
    watch.pass_(days=90)
    assert flow.forget(service) == 0
    waits = queue(service, key="new")
    watch.pass_(seconds=1)
    assert flow.forget(service) == 1
    assert flow.forget(service) == 0
    assert number is not None
    assert waits is not None
    old, new = letters.letter(service.notice, number), letters.letter(service.notice, waits)
    assert old is not None
    assert new is not None
    assert (old[0].address, old[0].facts) == ("", {"reference": "D-7K2M", "delivery": 3})
    assert new[0].address == "anna@example.org"
    letters.proven(service.notice, number, raw)


def test_one_cause_makes_one_letter(service: Service) -> None:
    assert queue(service) is not None
    assert queue(service) is None
    assert flow.step(service) == 1
    assert flow.step(service) == 0
    assert queue(service) is None
    assert len(mails(service)) == 1


def test_many_are_queued_in_one_go(service: Service) -> None:
    made = [Letter(LetterKind.OBJECTION_UNDONE, f"k{n % 3}", None, "en", f"a{n}@example.org") for n in range(5)]
    numbers = letters.queue_all(service.notice, made, AT)
    assert [number is None for number in numbers] == [False, False, False, True, True]


def test_the_exact_letter_is_proven(service: Service) -> None:
    number = queue(service)
    flow.step(service)
    letters.proven(service.notice, number, mails(service)[0])
    with pytest.raises(BrokenError):
        letters.proven(service.notice, number, mails(service)[0] + b"x")
    (sent,) = letters.of_person(service.notice, "p1")
    assert (sent.state, sent.digest) == ("sent", hashlib.sha256(mails(service)[0]).hexdigest())
    assert letters.letter(service.notice, number)[1] == "p1"
    assert letters.letter(service.notice, number + 1) is None


def test_a_deferred_letter_is_tried_again_later_each_time(service: Service, watch: Watch) -> None:
    number = queue(service, kind=LetterKind.OBJECTION_UNDONE)
    waits = []
    for attempt in range(1, 5):
        (due,) = letters.take(service.notice, watch())
        assert (due.number, due.attempt) == (number, attempt)
        letters.settle(service.notice, [Result(number, attempt, Outcome.DEFERRED, "451")], {}, watch())
        begin = watch()
        while not _due(service, watch()):
            watch.pass_(seconds=30)
        waits.append((watch() - begin).total_seconds())
    assert waits == [60, 120, 240, 480]


def _due(service: Service, at: datetime) -> bool:
    with service.notice.database.reading() as connection:
        row = connection.execute(letters.LETTERS.select()).one()
    return row.not_before <= micros(at)


def test_after_five_days_a_letter_has_failed(service: Service, watch: Watch) -> None:
    number = queue(service, kind=LetterKind.OBJECTION_UNDONE)
    letters.take(service.notice, watch())
    letters.settle(service.notice, [Result(number, 1, Outcome.DEFERRED, "451")], {}, watch.pass_(days=5))
    assert letters.counts(service.notice) == {"failed": 1}


def test_a_link_that_is_out_of_date_is_not_sent(service: Service, watch: Watch) -> None:
    number = queue(service)
    letters.take(service.notice, watch())
    letters.settle(service.notice, [Result(number, 1, Outcome.DEFERRED, "451")], {}, watch.pass_(hours=1))
    assert letters.counts(service.notice) == {"failed": 1}


def test_a_worker_that_dies_leaves_its_letters_to_the_next(service: Service, watch: Watch) -> None:
    queue(service)
    assert len(letters.take(service.notice, watch())) == 1
    assert letters.take(service.notice, watch.pass_(minutes=9)) == []
    assert [due.attempt for due in letters.take(service.notice, watch.pass_(minutes=1))] == [2]


def test_a_late_word_of_a_dead_worker_changes_nothing(service: Service, watch: Watch) -> None:
    number = queue(service)
    letters.take(service.notice, watch())
    letters.take(service.notice, watch.pass_(minutes=10))
    letters.settle(service.notice, [Result(number, 1, Outcome.BOUNCED, "550")], {}, watch())
    assert letters.counts(service.notice) == {"waiting": 1}


def test_an_address_that_fits_no_envelope_fails_at_once(service: Service) -> None:
    queue(service, address="anna@example.org\r\nBcc: all@example.org")
    assert flow.step(service) == 1
    assert letters.counts(service.notice) == {"failed": 1}
    assert mails(service) == []


def test_strangers_cannot_flood_an_address(service: Service, watch: Watch) -> None:
    numbers = [
        queue(service, key=f"k{n}", address="ANNA@example.org" if n % 2 else "anna@example.org") for n in range(9)
    ]
    assert [number is not None for number in numbers] == [True] * 5 + [False] * 4
    assert queue(service, key="other", address="bob@example.org") is not None
    assert queue(service, key="mine", kind=LetterKind.OBJECTION_UNDONE) is not None  # an answer is never dropped
    watch.pass_(days=1, seconds=1)
    assert queue(service, key="next day") is not None


def test_beyond_twenty_a_day_letters_wait_but_none_is_lost(service: Service, watch: Watch) -> None:
    for n in range(25):
        assert queue(service, key=f"k{n}", kind=LetterKind.UPLOADER_TOLD, facts=FACTS[LetterKind.UPLOADER_TOLD])
    assert flow.step(service) == 20
    assert flow.step(service) == 0
    watch.pass_(days=1)
    assert flow.step(service) == 5


def test_after_a_complaint_only_answers_are_sent(service: Service) -> None:
    stop_address(service.notice, service.parts.keys, "Anna@example.org", "complained", AT)
    queue(service, key="told", kind=LetterKind.UPLOADER_TOLD, facts=FACTS[LetterKind.UPLOADER_TOLD])
    queue(service, key="answer", kind=LetterKind.REQUEST_ANSWERED, facts=FACTS[LetterKind.REQUEST_ANSWERED])
    assert flow.step(service) == 2
    assert letters.counts(service.notice) == {"failed": 1, "sent": 1}


def test_an_unreachable_relay_defers(tmp_path: Path, watch: Watch) -> None:
    with service_at(tmp_path, watch, relay=Relay("127.0.0.1", 1, connections=1)) as service:
        queue(service)
        assert flow.step(service) == 1
        assert letters.counts(service.notice) == {"waiting": 1}
        watch.pass_(minutes=1)
        assert len(letters.take(service.notice, watch())) == 1
