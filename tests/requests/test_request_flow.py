"""From the form to a corpus without the items, and later ones without the name: the real flow."""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from types import SimpleNamespace

import orjson
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from flow_worlds import item, write_dump
from PIL import Image
from request_worlds import AS_OF, COMMON, POLICY, RARE, WORDS, Scene

from demur.corpus import read_manifest
from demur.errors import BrokenError, InputError, RefusedError
from demur.flows import matching
from demur.flows import request as flow
from demur.flows.decided import decided
from demur.flows.intake import take_in
from demur.flows.matching import match_some
from demur.flows.parts import corpus_folder, keep_policy
from demur.flows.pending import pending
from demur.flows.restore import reapply
from demur.people.schema import METADATA
from demur.policy import explain
from demur.requests import Alarm, Delay, Outcome, Reason, Rule, Verdict


def records(scene: Scene) -> str:
    """Return every text of the current corpus."""
    parts = sorted(corpus_folder(scene.service.parts.workspace).glob("**/*.parquet"))
    return "\n".join(text for part in parts for text in pq.read_table(part, columns=["text"])["text"].to_pylist())


def reasons(scene: Scene, *names: str) -> dict[str, set[str]]:
    """Return the reasons of some items now, in columns and one by one; both readings must agree."""
    parts, found = scene.service.parts, {}
    at = scene.watch.at + timedelta(seconds=1)
    policy = keep_policy(parts.workspace, POLICY)
    with decided(parts, policy, POLICY, as_of=AS_OF, known_at=AS_OF, narrowed_at=at) as made:
        rows = [
            row for part in sorted(made.decisions.glob("part-*.parquet")) for row in pq.read_table(part).to_pylist()
        ]
        items = sorted(made.items.glob("*.parquet"))
        for name in names:
            (row,) = [row for row in rows if row["item_id"] == f"agora:{name}"]
            one = explain(f"agora:{name}", items=items, standing=made.standing, policy=policy, as_of=AS_OF, known_at=at)
            assert {each["code"] for each in one["reasons"]} == set(row["reasons"]), name
            found[name] = set(row["reasons"])
    return found


def test_tpd_01_a_contact_and_a_link_are_enough_and_the_post_leaves_decisions_and_corpus(scene):
    before = records(scene)
    number = scene.searched(links="https://agora.example/posts/hana-copies")
    assert scene.found(number)["hana-copies"].rule is Rule.LINK
    assert {name: one.rule for name, one in scene.found(number).items()} == {
        "hana-copies": Rule.LINK, "ivo-reshares": Rule.RESHARE, "jana-quotes": Rule.RESHARE,
    }  # fmt: skip
    assert "grey heron" in before
    scene.watch.pass_(minutes=1)
    scene.confirm(number)
    assert reasons(scene, "hana-copies", "ivo-reshares", "jana-quotes", "ana-0") == {
        "hana-copies": {"suppressed"},
        "ivo-reshares": {"suppressed", "original_objected"},
        "jana-quotes": {"suppressed", "original_objected"},
        "ana-0": set(),
    }
    assert {one.kind for one in pending(scene.service.parts)} == {"suppression"}
    scene.watch.pass_(minutes=1)
    done = scene.platform.erase(at=scene.watch.at)
    assert "grey heron" not in records(scene)  # copies of it that nobody proposed went with it
    assert read_manifest(corpus_folder(scene.service.parts.workspace)).verdict["agrees"]
    assert done.plan.records_removed >= 1
    text = scene.answered(number)
    assert "taken out of AI training: 3" in text
    assert scene.service.requests.known(number).outcome is Outcome.REMOVED


def test_tpd_02_copies_near_copies_and_chains_are_proposed(scene):
    number = scene.searched(text=WORDS)
    rules = {name: one.rule for name, one in scene.found(number).items()}
    assert rules == {"hana-copies": Rule.COPY, "ivo-reshares": Rule.COPY, "mia-copies-freely": Rule.NEAR_COPY,
                     "jana-quotes": Rule.RESHARE}  # fmt: skip
    assert all(one.certain for one in scene.found(number).values())


def test_tpd_03_a_rare_name_and_a_handle_leave_later_posts_too(scene):
    number = scene.searched(names=RARE, handles="@xaverine_q", phones="+353861234567")
    found = scene.found(number)
    assert {name: one.rule for name, one in found.items()} == {
        "fred-names-her": Rule.NAME, "gil-names-her": Rule.NAME, "nils-calls": Rule.PHONE, "ana-tags": Rule.HANDLE,
    }  # fmt: skip
    scene.confirm(number)
    assert "scrambled values" in scene.answered(number)
    scene.watch.pass_(days=1)
    parts = scene.service.parts
    later = [
        item("lena-later", "lena", "today xaverine  Quistorp-Blumentritt came by and so did quill marzipan hedgehog"),
        item("mia-later", "mia", "thanks xaverine_q for the marzipan observatory and all the lovely quiet stars"),
    ]
    folder = write_dump(parts.workspace.root / "later", later)
    take_in(parts, "demo", [folder], mapping=None, service=None, at=scene.watch.at)
    at = scene.watch.pass_(days=1)
    from demur.flows.build import build_corpus

    build_corpus(parts, POLICY, scene.platform.recipe(), as_of=at, known_at=at)
    text = records(scene)
    assert "quill marzipan hedgehog" in text  # the post is there, the person is not
    assert "marzipan observatory" in text
    assert "quistorp" not in text.casefold()
    assert "xaverine" not in text.casefold()
    raw = b"".join(one.read_bytes() for one in parts.workspace.root.glob("*.db*"))
    assert b"Quistorp" not in raw
    assert b"xaverine" not in raw


def test_tpd_04_homonyms_are_no_bulk_loss(scene):
    number = scene.searched(names=COMMON)
    found = scene.found(number)
    assert len(found) == 6
    assert not any(one.certain for one in found.values())
    scene.confirm(number)  # "all" takes out nothing of what may be somebody else
    assert all(one.verdict is Verdict.PROPOSED for one in scene.found(number).values())
    assert pending(scene.service.parts) == ()
    scene.confirm(number, "common-ben")
    scene.confirm(number, reason=Reason.SOMEBODY_ELSE)
    text = scene.answered(number)
    assert "Not taken out: 5. They are about somebody else" in text
    assert "scrambled" not in text  # a name that others have too is not blacked out
    told = reasons(scene, "common-ben", "common-cleo")
    assert "suppressed" in told["common-ben"]
    assert told["common-cleo"] == set()


def test_tpd_04_when_nothing_is_found_the_answer_says_so_and_what_would_help(scene):
    number = scene.searched(names="Anna")
    text = scene.answered(number)
    assert "found nothing" in text
    assert "a link to the post" in text
    assert "surname alone belongs to too many" in text
    assert "Data Protection Commission" in text
    assert scene.service.requests.known(number).outcome is Outcome.NOT_FOUND


def test_both_sides_are_told_once_and_the_uploader_not_who_asked(scene):
    parts = scene.service.parts
    parts.registry.record({"type": "contact", "person_id": "agora:p-hana", "contact": "hana@agora.example"},
                          recorded_at=scene.watch.at)  # fmt: skip
    number = scene.searched(links="agora:hana-copies", names="Secret Asker")
    scene.confirm(number)
    scene.answered(number)
    flow.step(scene.service)  # a worker that starts again tells nobody twice
    kinds = [(row.kind, row.address) for row in scene.letters()]
    assert sorted(kinds) == [
        ("request_answered", "asker@elsewhere.example"),
        ("request_received", "asker@elsewhere.example"),
        ("uploader_told", "hana@agora.example"),
    ]
    (told,) = [row for row in scene.letters() if row.kind == "uploader_told"]
    assert "asker" not in told.facts
    assert "Secret" not in told.facts
    assert "agora:hana-copies" in told.facts


def test_a_decision_may_be_changed_until_the_answer_and_the_item_comes_back_for_later_builds(scene):
    number = scene.searched(links="agora:hana-copies")
    scene.confirm(number, "hana-copies")
    scene.watch.pass_(hours=1)
    scene.confirm(number, "hana-copies", reason=Reason.NOT_PERSONAL)
    assert scene.service.parts.registry.suppressed_by(f"R-{number}") == set()
    scene.confirm(number, reason=Reason.NOT_PERSONAL)
    scene.answered(number)
    assert scene.service.requests.known(number).outcome is Outcome.REFUSED


def test_the_search_is_resumable_part_by_part_and_leaves_no_posts_behind(scene):
    parts = scene.service.parts
    number = scene.ask(names=RARE)
    assert match_some(scene.service, seconds=0) >= 1
    while match_some(scene.service, seconds=0):
        pass
    assert len(scene.found(number)) == 2
    assert scene.service.requests.known(number).searched == pq.read_table(parts.workspace.source / "items").num_rows
    assert not (parts.workspace.work / "requests").exists()


def test_a_picture_is_found_again_made_smaller_and_its_bytes_are_sealed(scene):
    parts = scene.service.parts
    (parts.workspace.root / "media").mkdir()
    picture = Image.effect_mandelbrot((256, 256), (-2, -1.5, 1, 1.5), 60).convert("RGB")
    smaller, buffer = picture.resize((180, 180)), io.BytesIO()
    smaller.save(parts.workspace.root / "media" / "m.jpg", quality=80)
    picture.save(buffer, "PNG")
    rows = [item("kurt-picture", "kurt", "look", "photo", media_path="m.jpg", media_type="image/jpeg"),
            item("lena-picture", "lena", "look", "photo", media_path="gone.jpg", media_type="image/jpeg")]  # fmt: skip
    folder = write_dump(parts.workspace.root / "pictures", rows)
    take_in(parts, "demo", [folder], mapping=None, service=None, at=scene.watch.at)
    number = scene.searched(buffer.getvalue())
    assert {name: one.rule for name, one in scene.found(number).items()} == {"kurt-picture": Rule.PICTURE}
    assert scene.service.requests.known(number).pictures == 1  # said, not passed over
    stored = b"".join(one.read_bytes() for one in parts.workspace.root.glob("requests.db*"))
    assert buffer.getvalue()[40:200] not in stored
    for bad in (b"", b"GIF89a broken", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG\r\n\x1a\n" + b"\0" * 64):
        with pytest.raises(InputError):
            flow.fingerprint(bad)


def test_the_clock_is_told_extended_and_alarming(scene):
    number = scene.ask(names=RARE)
    assert flow.queue(scene.service)[0].alarm is Alarm.CALM
    scene.watch.pass_(days=25)
    assert flow.queue(scene.service)[0].alarm is Alarm.SOON
    due = flow.extend(scene.service, number, Delay.COMPLEX)
    assert due == scene.service.requests.known(number).due_at
    assert flow.queue(scene.service)[0].alarm is Alarm.CALM
    (told,) = [orjson.loads(row.facts) for row in scene.letters() if row.kind == "request_extended"]
    assert told["reason"].startswith("It takes longer than a month")
    scene.watch.pass_(days=70)
    assert flow.queue(scene.service)[0].alarm is Alarm.OVERDUE
    with pytest.raises(RefusedError):
        flow.extend(scene.service, number, Delay.COMPLEX)


def test_content_is_forgotten_when_its_time_is_over_and_the_suppression_stays(scene):
    number = scene.searched(links="agora:hana-copies")
    scene.confirm(number)
    scene.answered(number)
    scene.watch.pass_(days=flow.KEEP_DAYS)
    flow.step(scene.service)
    assert flow.opened(scene.service, number).wanted is None
    assert flow.standing(scene.service, number).answer is None
    assert scene.service.parts.registry.suppressed_by(f"R-{number}")


def test_a_claim_is_asked_again_and_kept_as_evidence():
    from demur.corpus.similarity import jaccard
    from demur.flows.claims import likeness

    same = likeness(WORDS, f"prompt {WORDS} and more", jaccard)
    assert same["same"]
    assert same["run"] == len(WORDS.split())
    assert not likeness(WORDS, "nothing like it was ever said by any model here", jaccard)["same"]
    assert not likeness("", "anything", jaccard)["same"]


def test_a_request_whose_search_fails_keeps_nobody_else_waiting(scene):
    broken = scene.ask(names=RARE)
    scene.watch.pass_(minutes=1)
    whole = scene.ask(links="agora:hana-copies")
    database = scene.service.requests.database
    with database.writing() as connection:
        connection.execute(sa.text(f"UPDATE requests SET content = x'00' WHERE number = {broken}"))
    with pytest.raises(BrokenError):
        match_some(scene.service)
    while match_some(scene.service):
        pass
    assert scene.found(whole)
    assert scene.service.requests.waiting() == broken  # it is not given up
    assert not (scene.service.parts.workspace.work / "requests").exists()  # nor are posts left in clear for it


def test_a_search_that_keeps_failing_waits_twice_as_long_each_time(scene, monkeypatch):
    now, tried = [1000.0], []

    def fails(*_, **__):
        tried.append(now[0])
        raise BrokenError("no")

    monkeypatch.setattr(matching, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(matching, "_search", fails)
    scene.ask(names=RARE)
    for _ in range(24 * 12):
        with suppress(BrokenError):
            match_some(scene.service)
        now[0] += 300
    waits = [later - earlier for earlier, later in pairwise(tried)]
    assert waits[:4] == [600, 1200, 2400, 4800]
    assert max(waits) == matching.MOST_FAILED_SECONDS


def test_what_a_killed_decision_and_a_killed_answer_left_undone_is_done(scene):
    parts, book = scene.service.parts, scene.service.requests
    number = scene.searched(links="agora:hana-copies")
    book.decide(number, None, Reason.ABOUT_YOU, by="staff", at=scene.watch.at)  # and then the process is gone
    scene.watch.pass_(minutes=1)
    flow._take_effect(scene.service, number, scene.watch.at)
    book.answer(number, "Done.", at=scene.watch.at, forget_at=scene.watch.at + timedelta(days=9))  # and again
    assert flow.step(scene.service) == 1
    assert flow.step(scene.service) == 0
    assert "request_answered" in {row.kind for row in scene.letters()}
    before = parts.registry.suppressed_by(f"R-{number}")
    engine = sa.create_engine(parts.workspace.registry_url)
    with engine.begin() as connection:
        for name in ("item_suppressions", "marks"):
            connection.execute(sa.delete(METADATA.tables[name]))
    engine.dispose()
    reapply(parts)
    assert parts.registry.suppressed_by(f"R-{number}") == before != set()


def test_whoever_is_owed_word_of_a_delay_gets_it_after_a_kill(scene, monkeypatch):
    number = scene.ask(names=RARE)
    monkeypatch.setattr(scene.service.requests, "queue", lambda **_: [])  # as behind many others
    match_some(scene.service)
    due = scene.watch.at + timedelta(days=80)
    scene.service.requests.extend(number, due_at=due, delay=Delay.COMPLEX, at=scene.watch.at)  # and then it is killed
    assert flow.step(scene.service) == 1
    assert flow.step(scene.service) == 0
    (told,) = [orjson.loads(row.facts) for row in scene.letters() if row.kind == "request_extended"]
    assert told["due_on"] == flow.due_day(scene.service, due).isoformat()
    assert told["reason"].startswith("It takes longer than a month")


def test_nobody_is_told_of_what_somebody_else_may_have_posted(scene):
    registry, at = scene.service.parts.registry, scene.watch.at
    number = scene.searched(links="agora:hana-copies")
    account = scene.found(number)["hana-copies"].account_id
    registry.record({"type": "transfer", "account_id": account, "person_id": "agora:p-next", "valid_at": "2026-05-01"},
                    recorded_at=at)  # fmt: skip
    for person in ("agora:p-hana", "agora:p-next"):
        registry.record({"type": "contact", "person_id": person, "contact": "x@agora.example"}, recorded_at=at)
    scene.confirm(number)
    scene.answered(number)
    assert not [row for row in scene.letters() if row.kind == "uploader_told"]


def suppressed(scene: Scene) -> list[str]:
    tables = [METADATA.tables[name] for name in ("item_suppressions", "suppressions")]
    engine = sa.create_engine(scene.service.parts.workspace.registry_url)
    with engine.connect() as connection:
        found = [repr(row) for table in tables for row in connection.execute(sa.select(table))]
    engine.dispose()
    return sorted(found)


def test_sec_10_an_older_backup_of_the_registry_has_back_what_requests_took_out(scene):
    parts = scene.service.parts
    number = scene.searched(names=RARE, handles="@xaverine_q", phones="+353861234567")
    wrong, *right = sorted(scene.found(number))
    for reason, names in ((Reason.ABOUT_YOU, [wrong, *right]), (Reason.SOMEBODY_ELSE, [wrong])):
        scene.watch.pass_(minutes=1)
        scene.confirm(number, *names, reason=reason)
    scene.watch.pass_(minutes=1)
    scene.answered(number)
    before = suppressed(scene)
    assert len(before) > len(right) + 2  # placed, lifted, and words
    reapply(parts)
    assert suppressed(scene) == before  # what is there changes nothing
    engine = sa.create_engine(parts.workspace.registry_url)
    with engine.begin() as connection:
        for name in ("item_suppressions", "suppressions", "marks"):
            connection.execute(sa.delete(METADATA.tables[name]))
    engine.dispose()
    reapply(parts)
    assert suppressed(scene) == before
    assert parts.registry.suppressed_by(f"R-{number}") == {f"agora:{one}" for one in right}


class _Dies:
    """A book whose process is killed before it notes a decision."""

    def __init__(self, book: object) -> None:
        self._book = book

    def __getattr__(self, name: str) -> object:
        return getattr(self._book, name)

    def decide(self, *_: object, **__: object) -> None:
        raise KeyboardInterrupt


def test_what_is_confirmed_is_out_before_it_is_noted(scene):
    number = scene.searched(links="agora:hana-copies")
    killed = replace(scene.service, requests=_Dies(scene.service.requests))
    with pytest.raises(KeyboardInterrupt):
        flow.decide(killed, number, ["agora:hana-copies"], Reason.ABOUT_YOU, by="staff")
    assert scene.service.parts.registry.suppressed_by(f"R-{number}") == {"agora:hana-copies"}
    with pytest.raises(InputError):
        flow.decide(scene.service, number, ["agora:ana-0"], Reason.ABOUT_YOU, by="staff")
    scene.watch.pass_(minutes=1)
    scene.confirm(number, reason=Reason.NOT_PERSONAL)
    scene.answered(number)
    assert scene.service.parts.registry.suppressed_by(f"R-{number}") == set()


class _Overtaken(_Dies):
    """A book whose request a colleague answers before a decision is noted."""

    def decide(self, *told: object, **more: object) -> None:
        self.meanwhile()
        self._book.decide(*told, **more)


def test_what_is_decided_too_late_comes_back(scene):
    number = scene.searched(links="agora:hana-copies")
    scene.confirm(number, "ivo-reshares")
    book = _Overtaken(scene.service.requests)

    def answered():
        scene.confirm(number, reason=Reason.NOT_PERSONAL)
        scene.answered(number)

    book.meanwhile = answered
    scene.watch.pass_(minutes=1)
    with pytest.raises(RefusedError):
        flow.decide(replace(scene.service, requests=book), number, None, Reason.ABOUT_YOU, by="staff")
    assert scene.service.parts.registry.suppressed_by(f"R-{number}") == {"agora:ivo-reshares"}


def test_a_search_goes_on_where_it_was_however_often_something_is_imported_meanwhile(scene):
    parts, book, number = scene.service.parts, scene.service.requests, scene.ask(names=RARE)
    _, folder = matching._snapshot(scene.service, None)
    (whole,) = (folder / "items").glob("*.parquet")
    rows = pq.read_table(whole)
    whole.unlink()
    for place in range(3):  # as of a large platform
        pq.write_table(rows.take(list(range(place, rows.num_rows, 3))), folder / "items" / f"part-{place}.parquet")
    reached = []
    for turn in range(3):
        match_some(scene.service, seconds=0)
        reached.append(book.place(number)[1])
        more = [item(f"later-{turn}", "ana", f"{RARE} again {turn}")]
        later = write_dump(parts.workspace.root / f"later-{turn}", more)
        take_in(parts, "demo", [later], mapping=None, service=None, at=scene.watch.pass_(minutes=1))
    assert reached == [1, 2, 3]
    assert book.waiting() is None
    assert {"fred-names-her", "gil-names-her"} == set(scene.found(number))
    assert {"later-0", "later-2"} <= set(scene.found(scene.searched(names=RARE)))
