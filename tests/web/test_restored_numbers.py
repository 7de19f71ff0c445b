"""An older backup of a database gives no number out again: a link that was mailed never comes to mean somebody else."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from demur import clock
from demur.flows import request
from demur.notice import NoticeBook, letters
from demur.notice.schema import BATCHES, DELIVERIES, LETTERS
from demur.store import Workspace
from demur.store.database import floor_of
from demur.wiring import open_service

FORM = {"contact": "nina@elsewhere.example", "names": "Nina Maria Nobody", "for": "me"}


def test_a_request_after_a_restore_has_a_number_of_its_own(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with open_service(Workspace(home)) as service:
        request.receive(service, FORM, None, language="en")
    for name in ("requests", "notice"):
        shutil.copy(home / f"{name}.db", tmp_path / f"{name}.db")
    with open_service(Workspace(home)) as service:
        lost = request.receive(service, FORM, None, language="en")
    for name in ("requests", "notice"):
        for rest in home.glob(f"{name}.db-*"):
            rest.unlink()
        shutil.copy(tmp_path / f"{name}.db", home / f"{name}.db")
    with open_service(Workspace(home)) as service:
        service.requests.leap(clock.now() + timedelta(seconds=2))
        assert request.receive(service, FORM, None, language="en") > lost


def test_numbers_follow_the_clock_and_never_go_back(url: str) -> None:
    book = NoticeBook(url)
    book.migrate()
    at = clock.now()
    told = {"kind": letters.LetterKind.PAGE_LINK, "person_id": "p", "language": "en", "address": "p@example.org"}

    def next_letter(key: str) -> int:
        number = letters.queue(book, key=key, facts={}, at=at, **told)
        assert number is not None
        return number

    first = next_letter("a")
    book.leap(at)
    second = next_letter("b")
    assert first < floor_of(at) < second < 2**53
    book.leap(at - timedelta(days=1))
    assert next_letter("c") > second
    with book.database.reading() as connection:
        for table in (DELIVERIES, BATCHES):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 0
        assert connection.execute(sa.select(sa.func.count()).select_from(LETTERS)).scalar() == 3
    book.close()
