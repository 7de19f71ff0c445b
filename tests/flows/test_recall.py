"""Who got an export is told when it may not be used any longer, reminded, and says that it is destroyed (TPD-09)."""

from __future__ import annotations

import email
import email.policy
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from flow_worlds import LATER, Platform
from starlette.testclient import TestClient

from demur.cli import main
from demur.errors import BrokenError, InputError, RefusedError
from demur.flows import exports, letters, recall
from demur.flows import publish as publishing
from demur.flows.exports import ExportState, Recipient, recipient_of
from demur.flows.publish import publish, publish_decisions
from demur.flows.service import Service
from demur.ledger import Ledger, read_leaf
from demur.store import read_json, write_json
from demur.store.links import LinkPurpose
from demur.terms.site import Site
from demur.web.app import build_app
from demur.wiring import open_service

ACME = Recipient("Acme Labs", "data@acme.example")
BEFORE = LATER - timedelta(hours=2)
SITE = Site(platform="Agora", controller="Agora Ltd", origin="https://agora.example")


class Clock:
    def __init__(self) -> None:
        self.at = LATER

    def __call__(self) -> Any:
        return self.at


@pytest.fixture
def plain(copies: Callable[..., Platform]) -> Platform:
    return copies("untrained")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(plain: Platform, clock: Clock) -> Iterator[Service]:
    with open_service(plain.space) as found:
        yield replace(found, clock=clock, site=replace(found.site, origin=SITE.origin))


def leave(here: Platform, out: Path, to: Recipient | None = ACME) -> Any:
    return publish(here.parts, None, out, form="parquet", site=SITE, to=to, clock=lambda: BEFORE)


def queued(service: Service) -> list[Any]:
    with service.notice.database.reading() as connection:
        return list(
            connection.execute(sa.text("SELECT kind, address, state, facts FROM notice_letters ORDER BY number"))
        )


def kinds(here: Platform) -> list[str]:
    with Ledger.open(here.space.ledger, here.parts.keys) as ledger:
        return [read_leaf(ledger.entry(index))["kind"] for index in range(ledger.size)]


def all_of(here: Platform) -> list[exports.Given]:
    found = exports.exports(here.space)
    assert found.unreadable == []
    return found.given


def one_of(here: Platform) -> exports.Given:
    return all_of(here)[0]


def state(here: Platform, one: exports.Given | None = None) -> ExportState:
    return exports.seen(here.parts, one or one_of(here), LATER).state


def test_tpd_09_who_got_a_corpus_is_told_when_somebody_left_it_and_says_that_it_is_destroyed(
    plain: Platform, service: Service, clock: Clock, tmp_path: Path
) -> None:
    done = leave(plain, tmp_path / "out")
    asked = read_json(tmp_path / "out/export.json")["status_url"]
    client = TestClient(build_app(service), base_url=SITE.origin, follow_redirects=False)
    assert client.get(asked).json()["may_be_used"] is True
    assert recall.look(service) == 0
    plain.object("olga")
    assert client.get(asked).json() == client.get(asked).json() | {"state": "waits", "may_be_used": False}
    assert recall.look(service) == 0, "its version stands here still"
    plain.erase()
    now = client.get(asked).json()
    assert (now["may_be_used"], now["replaced_by"]) == (False, read_json(plain.space.root / "current.json")["corpus"])
    assert one_of(plain).state is ExportState.IN_USE, "looking notes nothing"
    assert recall.look(service) == 1
    assert recall.look(service) == 0
    (letter,) = queued(service)
    assert (letter.kind, letter.address) == ("export_over", "data@acme.example")
    letters.step(service)
    (path,) = (plain.space.root / "outbox").rglob("*.eml")
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body: Any = mail.get_body(("plain",))
    assert done.digest in body.get_content().replace("\n", "")
    (link,) = set(re.findall(r"https://agora\.example/export/[\w-]+", body.get_content()))
    assert asked.startswith("https://agora.example/export-status/")
    assert client.post(asked).status_code == 405
    assert client.get(asked.replace("export-status", "export")).status_code == 403, "who has the files has no button"
    page = client.get(link)
    assert "destroy" in page.text
    assert "Acme" not in page.text, "links are passed on"
    answer = client.post(link)
    assert answer.status_code == 303
    assert "Thank you" in client.get(answer.headers["location"]).text
    ended = one_of(plain)
    assert (ended.state, ended.destroyed_at) == (ExportState.DESTROYED, LATER)
    assert ended.recipient == replace(ACME, address="")
    clock.at += timedelta(days=60)
    assert [recall.look(service) for _ in range(2)] == [1, 0]
    assert [one.address for one in queued(service)] == [""], "it was theirs"
    client.post(link)
    assert one_of(plain) == ended, "once"
    assert [kind for kind in kinds(plain) if kind in {"export", "recipient"}] == ["export", "recipient", "recipient"]


def test_who_does_not_answer_is_reminded_and_then_stands_on_the_list(
    plain: Platform, service: Service, clock: Clock, tmp_path: Path
) -> None:
    leave(plain, tmp_path / "out")
    plain.object("olga")
    plain.erase()
    told = []
    for _ in range(40):
        told.append(recall.look(service))
        clock.at += timedelta(days=2)
    assert sum(told) == len(queued(service)) == recall.MOST_LETTERS
    assert len({one.facts for one in queued(service)}) == 1
    assert [day * 2 for day, count in enumerate(told) if count] == [0, 14, 28]
    assert one_of(plain).state is ExportState.OVER


@pytest.mark.parametrize("place", ["over", "queue", "queued", "logged", "written"])
def test_a_kill_anywhere_sends_one_letter_and_logs_it_once(
    plain: Platform, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    leave(plain, tmp_path / "out")
    plain.object("olga")
    plain.erase()

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    def then_die(real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given, **named: (real(*given, **named), die())

    ways: dict[str, tuple[Any, str, Callable[..., Any]]] = {
        "over": (exports, "write_json", die),
        "queue": (recall.letters, "queue", die),
        "queued": (recall.letters, "queue", then_die(recall.letters.queue)),
        "logged": (exports, "_log", then_die(exports._log)),
        "written": (exports, "_read", _after_writing(exports._read)),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*ways[place])
        with pytest.raises(KeyboardInterrupt):
            recall.look(service)
    recall.look(service)
    assert recall.look(service) == 0
    assert len(queued(service)) == 1
    assert kinds(plain).count("recipient") == 1
    assert len(one_of(plain).written_at) == 1


def _after_writing(real: Callable[..., Any]) -> Callable[..., Any]:
    def read(folder: Path) -> Any:
        found = real(folder)
        if found.written_at:
            raise KeyboardInterrupt
        return found

    return read


def test_what_was_refused_or_left_for_nobody_is_told_to_nobody(
    plain: Platform, service: Service, tmp_path: Path
) -> None:
    leave(plain, tmp_path / "out", to=None)
    leave(plain, tmp_path / "other", to=Recipient("Bob by hand"))
    assert "status_url" not in read_json(tmp_path / "out/export.json")
    publish_decisions(plain.parts, None, tmp_path / "d.parquet", form="parquet", to=ACME, clock=lambda: BEFORE)
    plain.object("olga")
    with pytest.raises(Exception, match="may not leave"):
        leave(plain, tmp_path / "third")
    plain.erase()
    assert [one.what for one in all_of(plain)] == ["corpus", "corpus", "decisions"]
    assert recall.look(service) == 3
    assert {one.state for one in all_of(plain)} == {ExportState.OVER}
    assert len(queued(service)) == 1


def test_another_export_of_the_newer_version_stays(plain: Platform, service: Service, tmp_path: Path) -> None:
    leave(plain, tmp_path / "out")
    plain.object("olga")
    plain.erase()
    leave(plain, tmp_path / "newer")
    recall.look(service)
    assert [one.state for one in all_of(plain)] == [ExportState.OVER, ExportState.IN_USE]
    assert exports.standing(plain.parts, one_of(plain))["replaced_by"] == all_of(plain)[1].corpus


def test_decisions_are_over_with_the_next_ones_although_the_records_are_the_same(
    plain: Platform, service: Service, tmp_path: Path
) -> None:
    leave(plain, tmp_path / "out")
    publish_decisions(plain.parts, None, tmp_path / "d.parquet", form="parquet", to=ACME, clock=lambda: BEFORE)
    before = all_of(plain)[1].narrowed_at
    name = one_of(plain).corpus
    manifest = plain.space.corpora / name / "manifest.json"
    told = read_json(manifest)
    told["inputs"]["narrowed_at"] = "2026-06-09T00:00:00Z"
    write_json(manifest, told)
    assert before != "2026-06-09T00:00:00Z"
    assert [state(plain, one) for one in all_of(plain)] == [ExportState.IN_USE, ExportState.OVER]


def test_a_version_that_is_away_without_a_word_is_not_over(plain: Platform, service: Service, tmp_path: Path) -> None:
    leave(plain, tmp_path / "out")
    folder = plain.space.corpora / one_of(plain).corpus
    folder.rename(tmp_path / "not mounted")
    assert state(plain) is ExportState.WAITS
    assert recall.look(service) == 0
    (tmp_path / "not mounted").rename(folder)
    assert state(plain) is ExportState.IN_USE
    assert queued(service) == []


def test_what_may_still_be_used_is_not_noted_as_destroyed(plain: Platform, service: Service, tmp_path: Path) -> None:
    leave(plain, tmp_path / "out")
    client = TestClient(build_app(service), base_url=SITE.origin, follow_redirects=False)
    link = exports.page_link(one_of(plain), service.site, service.links)
    assert "You may use it" in client.post(link).text
    with pytest.raises(RefusedError, match="not over"):
        exports.destroyed(plain.parts, one_of(plain).number, by="Ann", at=LATER)
    assert one_of(plain).recipient == ACME


def test_a_damaged_export_hides_no_other(plain: Platform, service: Service, tmp_path: Path) -> None:
    leave(plain, tmp_path / "out")
    leave(plain, tmp_path / "other")
    first, second = all_of(plain)
    folder = plain.space.root / "exports"
    (folder / str(first.number) / "given.json").write_bytes(b"{")
    (folder / "1.bak").mkdir()
    plain.object("olga")
    plain.erase()
    with pytest.raises(BrokenError, match=str(first.number)):
        recall.look(service)
    assert len(queued(service)) == 1
    found = exports.exports(plain.space)
    assert (found.unreadable, [one.number for one in found.given]) == ([str(first.number)], [second.number])


def test_an_export_that_failed_never_left(plain: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "_appear", full)
        with pytest.raises(OSError, match="no space"):
            leave(plain, tmp_path / "out")
    assert all_of(plain) == []
    leave(plain, tmp_path / "out")
    assert len(all_of(plain)) == 1


def test_an_older_backup_gives_no_number_out_again(plain: Platform, tmp_path: Path) -> None:
    leave(plain, tmp_path / "out")
    lost = one_of(plain).number
    shutil.rmtree(plain.space.root / "exports")
    publish(plain.parts, None, tmp_path / "b", form="parquet", site=SITE, clock=lambda: BEFORE + timedelta(seconds=9))
    assert one_of(plain).number > lost


def test_a_letter_that_waits_is_not_sent_once_it_is_destroyed(
    plain: Platform, service: Service, tmp_path: Path
) -> None:
    leave(plain, tmp_path / "out")
    plain.object("olga")
    plain.erase()
    recall.look(service)
    exports.destroyed(plain.parts, one_of(plain).number, by="Ann, by telephone", at=LATER)
    assert recall.look(service) == 1
    assert [(one.address, one.state) for one in queued(service)] == [("", "failed")]
    assert letters.step(service) == 0


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("Acme Labs <data@acme.example>", ACME),
        ("data@acme.example", Recipient("data@acme.example", "data@acme.example")),
        ("  Bob   by hand ", Recipient("Bob by hand")),
    ],
)
def test_a_recipient_is_a_name_an_address_or_both(told: str, expected: Recipient) -> None:
    assert recipient_of(told) == expected


@pytest.mark.parametrize("told", ["", "  ", "Acme <data@>", "Acme <>", "a@b c", "x@y.example\r\nBcc: z@y.example"])
def test_a_recipient_that_no_mail_reaches_is_refused(told: str) -> None:
    with pytest.raises(InputError, match="recipient"):
        recipient_of(told)


def test_a_language_that_no_letter_has_is_refused() -> None:
    with pytest.raises(InputError, match="language"):
        recipient_of("Acme", "tlh")


@pytest.mark.parametrize(("path", "purpose"), [("/export/", "EXPORT"), ("/export-status/", "EXPORT_STATUS")])
def test_a_forged_link_shows_nothing(service: Service, path: str, purpose: str) -> None:
    client = TestClient(build_app(service), base_url=SITE.origin, follow_redirects=False)
    assert client.get(path + "A" * 32).status_code == 403
    assert client.get(path + service.links.token(LinkPurpose[purpose], 7)).status_code == 403
    assert client.post("/export/" + "A" * 32).status_code == 403


def test_the_commands_list_what_left_and_note_that_it_is_destroyed(plain: Platform, tmp_path: Path) -> None:
    leave(plain, tmp_path / "out")
    plain.object("olga")
    plain.erase()

    def run(*words: str) -> Any:
        return CliRunner().invoke(main, ["corpus", *words, "--home", str(plain.space.root)])

    assert "Acme Labs" in run("exports", "--open").output
    assert run("destroyed", "X-9", "--by", "Ann").exit_code == 2
    assert run("destroyed", one_of(plain).reference.lower(), "--by", "Ann, by telephone").exit_code == 0
    assert "Nothing that left waits" in run("exports", "--open").output
    assert "Ann, by telephone" in run("exports").output
