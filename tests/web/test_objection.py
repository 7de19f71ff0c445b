"""The page behind the link: one button, nothing personal, nothing refused, nothing changed by looking."""

from __future__ import annotations

import statistics
import time
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from objection_worlds import MEMBERS, PRIVATE, add_delivery, link, noticed, queued, settled, without_token

from demur.errors import OutsideError
from demur.flows import mine_acts, objected, objection
from demur.flows.parts import keep_policy, set_current
from demur.flows.pending import whole_corpora
from demur.flows.service import Service
from demur.ledger import EntryKind, Ledger
from demur.lineage import SealedFile, write_sealed
from demur.lineage.sealed import bucket_of
from demur.notice import letters
from demur.notice.schema import DELIVERIES
from demur.objections import verify_receipt
from demur.store import read_json, write_json
from demur.store.links import LinkPurpose
from demur.terms.people import Act


def in_force(service: Service, name: str) -> list[Any]:
    return service.parts.registry.objections_of(MEMBERS[name])


def test_one_button_and_no_field(service: Service, client: Any) -> None:
    page = client.get(f"/o/{link(service, noticed(service)['ann'])}").text
    before_details = page.partition("<details>")[0]
    assert before_details.count("<button") == 1
    assert "<input" not in before_details
    assert "<script" not in page
    assert "style=" not in page


def test_pressing_records_everything_and_shows_it_under_the_same_link(service: Service, client: Any) -> None:
    token = link(service, noticed(service)["ann"])
    answer = client.post(f"/o/{token}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/o/{token}")
    assert "set-cookie" not in answer.headers
    (kept,) = in_force(service, "ann")
    assert (kept.kinds, kept.services, kept.door, kept.said_at) == (None, None, "link", service.clock())
    shown = client.get(f"/o/{token}").text
    for told in (kept.objection_id, "Data Protection Commission", "receipt.json", "Everything"):
        assert told in shown
    assert "d:ann-old" in set(service.parts.registry.reach(["d:ann"])["d:ann"].people)
    assert service.parts.registry.objections_of("d:ann-old") == [kept]  # all linked ids


def test_no_page_of_the_link_says_whose_it_is(service: Service, client: Any) -> None:
    token = link(service, noticed(service)["ann"])
    pages = [client.get(f"/o/{token}").text]
    client.post(f"/o/{token}")
    pages += [client.get(f"/o/{token}{rest}").text for rest in ("", "/receipt.json", "/one-click", "/withdraw")]
    assert not [word for word in PRIVATE for page in pages if word in page]


@pytest.mark.parametrize("rest", ["", "/one-click", "/receipt.json", "/withdraw"])
def test_looking_changes_nothing(service: Service, client: Any, rest: str) -> None:
    token = link(service, noticed(service)["ann"])
    for method in ("GET", "HEAD", "OPTIONS"):
        client.request(method, f"/o/{token}{rest}")
    assert not in_force(service, "ann")


def test_a_repeat_is_accepted_and_tells_since_when(service: Service, client: Any, watch: Any) -> None:
    numbers = noticed(service)
    client.post(f"/o/{link(service, numbers['ann'])}")
    first = in_force(service, "ann")
    watch.pass_(days=40)
    with service.notice.database.writing() as connection:
        connection.execute(DELIVERIES.delete().where(DELIVERIES.c.number.in_([8, 9])))
        add_delivery(connection, 8, "d:ann", campaign="c-2")
        add_delivery(connection, 9, "d:ann-old")  # and the linked id
    assert client.post(f"/o/{link(service, 8)}").status_code == 303
    assert in_force(service, "ann") == first
    assert client.post(f"/o/{link(service, 9)}").status_code == 303  # kept for itself, should they not be one
    assert in_force(service, "ann")[0] == first[0]
    assert first[0].objection_id in client.get(f"/o/{link(service, 9)}").text
    settled(service)
    assert len(queued(service)) == 2


FORMS = st.one_of(
    st.dictionaries(st.sampled_from(["part", "x", "reason"]), st.sampled_from(["", "photo", "chats", "\x00", "ü"])),
    st.binary(max_size=60),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(form=FORMS, kind=st.sampled_from(["application/x-www-form-urlencoded", "multipart/form-data", "text/x", ""]),
       language=st.sampled_from(["", "?lang=de", "?lang=xx", "?lang=%00"]))  # fmt: skip
def test_always_accepted(service: Service, client: Any, form: Any, kind: str, language: str) -> None:
    if not service.parts.registry.owner_of("d:1"):
        noticed(service)
    if isinstance(form, dict):
        answer = client.post(f"/o/{link(service, 1)}{language}", data=form)
    else:
        answer = client.post(f"/o/{link(service, 1)}{language}", content=form, headers={"content-type": kind})
    assert answer.status_code in {303, 429}
    assert in_force(service, "ann")


def test_a_finer_choice_covers_that_part_and_can_be_widened(service: Service, client: Any) -> None:
    token = link(service, noticed(service)["ann"])
    client.post(f"/o/{token}", data={"part": ["chats", "profile"]})
    (kept,) = in_force(service, "ann")
    assert "ai_chat" in kept.kinds
    assert "post" not in kept.kinds
    page = client.get(f"/o/{token}").text
    assert "Object to everything" in page
    assert "My conversations" in page
    client.post(f"/o/{token}")
    assert [one.kinds is None for one in in_force(service, "ann")] == [False, True]
    assert "Object to everything" not in client.get(f"/o/{token}").text


def test_an_unknown_part_means_everything(service: Service, client: Any) -> None:
    client.post(f"/o/{link(service, noticed(service)['ann'])}", data={"part": ["chats", "nonsense"]})
    assert in_force(service, "ann")[0].kinds is None


def test_a_good_link_without_its_campaign_is_kept(service: Service, client: Any) -> None:
    answer = client.post(f"/o/{link(service, 77)}")
    assert answer.status_code == 200
    assert "will not be lost" in answer.text
    (waiting,) = [one for one in service.parts.registry.unmatched() if "77" in str(one.get("claim"))]
    assert waiting["objection_id"] in answer.text


def test_a_no_that_waits_counts_as_soon_as_its_campaign_or_its_address_is_here(service: Service, client: Any) -> None:
    client.post(f"/o/{link(service, 77)}")
    asked = objection.by_claim(service, {"contact": "Dora@Example.org", "handle": "@unheard"})
    objection.object_now(asked)
    objection.object_now(objection.by_claim(service, {"handle": "dora"}))
    noticed(service)
    with service.notice.database.writing() as connection:
        add_delivery(connection, 77, "d:bob", campaign="c-2")
    events = [{"type": "account", "account_id": "d:5", "person_id": "d:dora"},
              {"type": "handle", "account_id": "d:5", "handle": "dora"},
              {"type": "contact", "person_id": "d:dora", "contact": "dora@example.org"}]  # fmt: skip
    assert not service.parts.registry.record_events(events, recorded_at=service.clock()).faulty
    while objected.step(service):
        pass
    assert in_force(service, "bob")
    (kept,) = service.parts.registry.objections_of("d:dora")
    (waiting,) = service.parts.registry.unmatched()  # by a handle staff decide: it may be somebody else's by now
    assert kept.objection_id != waiting["objection_id"]
    assert "objection_confirmed" in [one.kind for one in queued(service) if one.person_id == "d:dora"]
    with Ledger.open(service.parts.workspace.ledger, service.parts.keys) as ledger:
        assert ledger.find(EntryKind.OBJECTION, kept.event_id) is not None


@pytest.mark.parametrize("act", ["withdraw", "match"])
def test_a_fault_of_the_ledger_does_not_keep_the_letter_back(service: Service, act: str) -> None:
    """What is logged is taken for confirmed, so the letter comes first: a killed process never leaves it out."""
    noticed(service)
    waiting = objection.object_now(objection.by_claim(service, {"handle": "unheard of"})).kept
    acts = {
        "withdraw": lambda: objection.take_back(service, "d:ann"),
        "match": lambda: objected.match(service, waiting.objection_id, "d:ann"),
    }
    if act == "withdraw":
        objection.object_now(objection.by_person(service, "d:ann"))
    settled(service)
    before, ledger = len(queued(service)), service.parts.workspace.ledger
    ledger.rename(ledger.with_name("away"))
    ledger.write_text("")
    with pytest.raises(Exception, match=r".*"):
        acts[act]()
    assert len(queued(service)) == before + 1
    ledger.unlink()
    ledger.with_name("away").rename(ledger)


# Links that are not good ----------------------------------------------------------------------------------------------


def bad_tokens(service: Service) -> dict[str, str]:
    good = link(service, 1)
    return {
        "other": link(service, 1, LinkPurpose.UNDO),
        "page": link(service, 1, LinkPurpose.PAGE),
        "changed": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "forged": "A" * 32,
        "cut": good[:20],
        "strange": "%F0%9F%98%80" * 3,
    }


def test_whatever_is_no_link_gets_one_and_the_same_answer(service: Service, client: Any) -> None:
    noticed(service)
    for method in ("GET", "POST"):
        answers = [client.request(method, f"/o/{token}") for token in bad_tokens(service).values()]
        assert {one.status_code for one in answers} == {403}
        assert len({without_token(one) for one in answers}) == 1
        assert "privacy@agora.example" in answers[0].text
    assert not in_force(service, "ann")
    assert client.get(f"/u/{link(service, 1)}").status_code == 403


def test_the_answer_takes_as_long_for_one_as_for_the_other(service: Service, client: Any) -> None:
    noticed(service)
    spent: dict[str, list[float]] = {"forged": [], "other": []}
    tokens = {"forged": "A" * 32, "other": link(service, 1, LinkPurpose.UNDO)}
    for _ in range(60):
        for name, token in tokens.items():
            begin = time.thread_time()
            objection.number_of(service, token)
            spent[name].append(time.thread_time() - begin)
    medians = [statistics.median(one) for one in spent.values()]
    assert max(medians) < 5 * min(medians)


def test_a_link_takes_nothing_back(service: Service, client: Any) -> None:
    token = link(service, noticed(service)["ann"])
    client.post(f"/o/{token}")
    for method in ("GET", "POST"):
        assert client.request(method, f"/o/{token}/withdraw").status_code == 403
    assert in_force(service, "ann")


# Afterwards -----------------------------------------------------------------------------------------------------------


def test_the_confirmation_goes_to_the_address_on_file_and_is_concrete(service: Service, client: Any) -> None:
    client.post(f"/o/{link(service, noticed(service)['ann'])}")
    (kept,) = in_force(service, "ann")
    settled(service)
    (letter,) = queued(service)
    assert (letter.kind, letter.address, letter.language) == ("objection_confirmed", "ann@example.org", "en")
    for told in (kept.objection_id, "d:1, d:3", "Data Protection Commission", "Nothing of yours", '"undo":true'):
        assert told in letter.facts


def test_what_was_used_is_counted_in_the_letter(service: Service, client: Any) -> None:
    (corpus,) = whole_corpora(service.parts)
    sealed = SealedFile(corpus / "sealed" / "lineage.sealed", "lineage", secret=service.parts.keys.secret("lineage"))
    rows = [row for table in sealed.all() for row in table.to_pylist()]
    person = rows[0]["person_id"]
    expected = len({row["record_id"] for row in rows if row["person_id"] == person})
    used = objected.used_before(service.parts, [person, "nobody"])
    assert set(used) == {person}
    assert (used[person].records, used[person].names) == (expected, (corpus.name,))
    everybody = sorted({row["person_id"] for row in rows})
    assert objected.used_before(service.parts, everybody)[person] == used[person]


def test_pictures_are_counted_in_the_letter_too(service: Service) -> None:
    (corpus,) = whole_corpora(service.parts)
    build = service.parts.workspace.media_builds / corpus.name / "0123456789abcdef"
    build.mkdir(parents=True)
    (build / "manifest.json").write_text("{}")
    for kind, records in (("media", ["r-1", None]), ("shown", ["r-2"])):
        rows = [{"record_id": record, "item_id": "i", "person_id": "d:ann"} for record in records]
        path = build / "sealed" / f"{kind}.sealed"
        secret = service.parts.keys.secret("lineage")
        write_sealed(path, kind, [(bucket_of("d:ann", 4), pa.Table.from_pylist(rows))], secret=secret, buckets=4)
    assert objected.used_before(service.parts, ["d:ann"]) == {"d:ann": objected.Used(2, (build.name,))}


@pytest.mark.parametrize("policy", ["demur-strict", "meta-eu-2025"])
def test_nobody_is_promised_what_the_policy_does_not_do(service: Service, client: Any, policy: str) -> None:
    """Under ``erase_on_objection = false`` nothing is taken out by itself: no page and no letter says so."""
    (corpus,) = whole_corpora(service.parts)
    manifest = read_json(corpus / "manifest.json")
    manifest["inputs"]["policy"] = keep_policy(service.parts.workspace, policy).digest
    write_json(corpus / "manifest.json", manifest)
    sealed = SealedFile(corpus / "sealed" / "lineage.sealed", "lineage", secret=service.parts.keys.secret("lineage"))
    person = next(
        row["person_id"] for table in sealed.all() for row in table.to_pylist()
        if service.parts.registry.reach([row["person_id"]])[row["person_id"]].contact
    )  # fmt: skip
    noticed(service)
    with service.notice.database.writing() as connection:
        add_delivery(connection, 9, person)
    mine_acts.send_link_of(service, 9)
    page = "/p/" + link(service, queued(service)[0].number, LinkPurpose.PAGE)
    told = [client.get(f"{page}?lang=en").text]
    client.post(f"/o/{link(service, 9)}")
    told += [client.get(f"{path}?lang=en").text for path in (f"/o/{link(service, 9)}", page)]
    settled(service)
    told.append(next(one.facts for one in queued(service) if one.kind == "objection_confirmed"))
    kept = "is not taken out by itself"
    promised = ("taken out of the training data", "taken out by itself with", "they are taken out by themselves")
    for text in told:
        assert (kept in text) == (policy == "meta-eu-2025")
        assert any(one in text for one in promised) == (policy == "demur-strict")


def gone(service: Service) -> None:
    (corpus,) = whole_corpora(service.parts)
    set_current(service.parts.workspace, corpus=corpus.name, model=None)
    (corpus / "manifest.json").unlink()


def changed(service: Service) -> None:
    (corpus,) = whole_corpora(service.parts)
    manifest = read_json(corpus / "manifest.json")
    write_json(corpus / "manifest.json", {**manifest, "digest": "0" * 64})


def without_policy(service: Service) -> None:
    for path in service.parts.workspace.policies.iterdir():
        path.unlink()


@pytest.mark.parametrize("harm", [gone, changed, without_policy])
def test_a_corpus_that_cannot_be_read_makes_nobodys_no_an_error(service: Service, client: Any, harm: Any) -> None:
    number = noticed(service)["ann"]
    harm(service)
    client.post(f"/o/{link(service, number)}")
    answer = client.get(f"/o/{link(service, number)}?lang=en")
    assert answer.status_code == 200
    assert "is not taken out by itself" in answer.text
    settled(service)
    confirmed = [one for one in queued(service) if one.kind == "objection_confirmed"]
    assert [one.person_id for one in confirmed] == ["d:ann"]


def test_the_own_page_of_a_site_whose_corpus_went_promises_nothing(service: Service, client: Any) -> None:
    mine_acts.send_link_of(service, noticed(service)["ann"])
    gone(service)
    answer = client.get("/p/" + link(service, queued(service)[0].number, LinkPurpose.PAGE) + "?lang=en")
    assert answer.status_code == 200
    assert "is not taken out by itself" in answer.text


def test_the_ledger_holds_what_a_restore_needs_and_nobodys_name(service: Service, client: Any) -> None:
    client.post(f"/o/{link(service, noticed(service)['ann'])}", data={"part": "chats"})
    (kept,) = in_force(service, "ann")
    settled(service)
    with Ledger.open(service.parts.workspace.ledger, service.parts.keys) as ledger:
        index = ledger.find(EntryKind.OBJECTION, kept.event_id)
        facts = ledger.opening(index).facts
    assert not [word for word in PRIVATE if word in str(facts)]
    service.parts.registry.take_back("d:ann", recorded_at=service.clock(), reference="W-1")
    objected.record_again(service.parts, facts)
    assert [one for one in service.parts.registry.objections_page() if one.event_id == kept.event_id] == [kept]


def test_what_a_killed_process_left_is_logged_and_confirmed_at_the_next_start(service: Service) -> None:
    noticed(service)
    told = objection.by_link(service, 1)
    (done,) = objection.commit([told])  # and then the process is gone
    while objected.step(service):
        pass
    with Ledger.open(service.parts.workspace.ledger, service.parts.keys) as ledger:
        assert ledger.find(EntryKind.OBJECTION, done.kept.event_id) is not None
    assert [one.kind for one in queued(service) if one.person_id == "d:ann"] == ["objection_confirmed"]


def test_what_was_taken_back_since_is_not_confirmed_as_in_force(service: Service) -> None:
    noticed(service)
    (done,) = objection.commit([objection.by_link(service, 1)])  # and then the process is gone
    service.parts.registry.take_back("d:ann", recorded_at=service.clock(), reference="W-1")
    while objected.step(service):
        pass
    with Ledger.open(service.parts.workspace.ledger, service.parts.keys) as ledger:
        assert ledger.find(EntryKind.OBJECTION, done.kept.event_id) is not None
    assert [one.kind for one in queued(service) if one.person_id == "d:ann"] == ["withdrawal_confirmed"]


def test_what_another_process_left_is_found_while_this_one_runs(service: Service, watch: Any) -> None:
    noticed(service)
    while objected.step(service):
        pass
    (done,) = objection.commit([objection.by_link(service, 1)])  # in a process that is gone now

    def look() -> bool:
        service.writer.look.again = 0.0
        while objected.step(service):
            pass
        with Ledger.open(service.parts.workspace.ledger, service.parts.keys) as ledger:
            return ledger.find(EntryKind.OBJECTION, done.kept.event_id) is not None

    assert not look()  # perhaps it is still at it
    watch.pass_(minutes=3)
    assert look()
    assert [one.kind for one in queued(service) if one.person_id == "d:ann"] == ["objection_confirmed"]


def test_a_letter_that_could_not_be_queued_is_queued_later(
    service: Service, watch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    noticed(service)
    while objected.step(service):
        pass

    def locked(*_: Any, **__: Any) -> None:
        raise OutsideError("locked")

    with monkeypatch.context() as patch:
        patch.setattr(letters, "queue_all", locked)
        objection.object_now(objection.by_link(service, 1))
        settled(service)
    assert not [one for one in queued(service) if one.person_id == "d:ann"]
    watch.pass_(minutes=3)
    service.writer.look.again = 0.0
    while objected.step(service):
        pass
    assert [one.kind for one in queued(service) if one.person_id == "d:ann"] == ["objection_confirmed"]


# Taking back ----------------------------------------------------------------------------------------------------------


def undo_link(service: Service) -> str:
    settled(service)
    return "/u/" + link(service, queued(service)[0].number, LinkPurpose.UNDO)


def test_the_person_takes_a_strangers_click_back_with_one_click(service: Service, client: Any) -> None:
    client.post(f"/o/{link(service, noticed(service)['ann'])}")
    undo = undo_link(service)
    assert client.get(undo).status_code == 200
    assert client.head(undo).status_code in {200, 405}
    assert in_force(service, "ann")
    assert client.post(undo).status_code == 200
    assert not in_force(service, "ann")
    (act,) = [
        one for one in service.parts.registry.objections_page() if one.act is Act.WITHDRAW and one.person_id == "d:ann"
    ]
    assert act.door == "link"
    assert [one.kind for one in queued(service)] == ["objection_confirmed", "objection_undone"]
    assert client.post(undo).status_code == 410  # nothing is left


def test_undo_ends_with_its_days(service: Service, client: Any, watch: Any) -> None:
    client.post(f"/o/{link(service, noticed(service)['ann'])}")
    undo = undo_link(service)
    watch.pass_(days=service.site.undo_days, seconds=1)
    assert client.post(undo).status_code == 410
    assert in_force(service, "ann")


def test_a_strangers_click_never_shadows_the_persons_own_no(service: Service, client: Any) -> None:
    """A friend, or an attacker with a forwarded mail, objects first; then the person does, logged in; undo is void."""
    client.post(f"/o/{link(service, noticed(service)['ann'])}")
    own = objection.object_now(objection.by_person(service, "d:ann"))
    assert not own.kept.repeated
    assert own.kept.door == "web"
    assert objection.object_now(objection.by_person(service, "d:ann")).kept.objection_id == own.kept.objection_id
    undo = undo_link(service)
    assert client.post(undo).status_code == 410
    assert own.kept in in_force(service, "ann")


def test_an_objection_after_the_undo_stands(service: Service, client: Any) -> None:
    token = link(service, noticed(service)["ann"])
    (done,) = objection.commit([objection.by_link(service, 1)])
    service.parts.registry.take_back_open("d:ann", recorded_at=service.clock(), reference="W-1")
    assert not in_force(service, "ann")
    client.post(f"/o/{token}")  # at the same instant by the clock
    (kept,) = in_force(service, "ann")
    assert kept.objection_id != done.kept.objection_id or kept.said_at > done.kept.said_at


def test_the_receipt_of_the_page_verifies(service: Service, client: Any) -> None:
    token = link(service, noticed(service)["ann"])
    assert client.get(f"/o/{token}/receipt.json").status_code == 404
    client.post(f"/o/{token}")
    found = client.get(f"/o/{token}/receipt.json")
    assert found.headers["content-disposition"].startswith("attachment")
    assert verify_receipt.holds(verify_receipt.verify(verify_receipt.read(found.content)))


def test_a_closing_site_says_so_and_records_nothing(service: Service) -> None:
    noticed(service)
    service.writer.close()
    with pytest.raises(OutsideError, match="nothing was recorded"):
        objection.object_now(objection.by_link(service, 1))
    assert not in_force(service, "ann")
