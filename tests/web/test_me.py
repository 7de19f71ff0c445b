"""The person's own page: equal to the ground truth, in and out by the right doors, and everything to take away."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html import escape, unescape
from typing import Any

import orjson
import pyarrow as pa
import pytest
from starlette.testclient import TestClient
from web_worlds import NETWORK, Live, Watch, live_site

from demur.access import Subject
from demur.clock import iso
from demur.corpus import read_manifest
from demur.flows import campaign, exports, mine, mine_acts, mine_index, mine_papers, objected
from demur.flows.exports import Recipient
from demur.flows.mine import State, Verdict
from demur.flows.objection import by_link, object_now
from demur.flows.parts import current, set_current
from demur.flows.service import Service
from demur.i18n import sentence
from demur.ledger import Ledger
from demur.lineage import write_sealed
from demur.lineage.sealed import bucket_of
from demur.notice import letters
from demur.notice.letters import LetterKind
from demur.store.links import LinkPurpose
from demur.terms.people import Act
from demur.testing.cast import Profile
from demur.testing.network import Person

WHO = [person for person in NETWORK.stream() if person.accounts]


def hint(person: Person) -> str:
    account = person.accounts[0]
    return f"{account['service']}:{account['person_hint']}"


FOUND: list[Person] = []
"""Who is usable: the same in every copy of the made workspace."""


def usable(service: Service) -> Person:
    """Return somebody who was told long ago, did not object, and has something in the corpus."""
    FOUND[:] = FOUND or [_usable(service)]
    return FOUND[0]


def _usable(service: Service) -> Person:
    return next(
        one for one in WHO
        if mine.standing_of(service, hint(one)).state is State.USABLE
        and mine.inventory_of(service, hint(one)).counts[Verdict.USED] > 2
        and one.accounts[0]["contact"] and one.accounts[0]["language"] == "en"
    )  # fmt: skip


def logged_in(service: Service, client: TestClient, person: str) -> str:
    """Give the client a session and return what its forms carry."""
    token = service.access.sessions.open(person, Subject.MEMBER, service.clock())
    client.cookies.set("demur-member", token)
    found = service.access.sessions.read(token, service.clock(), Subject.MEMBER)
    assert found is not None
    return found.csrf


def page_link(service: Service, person: str, *, key: str = "k") -> str:
    number = letters.queue(
        service.notice, kind=LetterKind.PAGE_LINK, key=key, person_id=person, language="en",
        address="a@agora.example", facts={}, at=service.clock(),
    )  # fmt: skip
    assert number is not None
    return f"/p/{service.links.token(LinkPurpose.PAGE, number)}"


# The truth ---------------------------------------------------------------------------------------------------------


def test_the_page_says_of_every_item_what_the_plan_intends(service: Service) -> None:
    """TRA-01: for everybody in the made-up network, item by item."""
    seen = Counter[Verdict]()
    for person in WHO:
        if not _plain(person.profile):
            continue
        lines = {line.item_id: line for line in mine.inventory_of(service, hint(person)).lines}
        for work in person.works:
            expected = NETWORK.expected(person.profile, work)
            line = lines.get(work.row["item_id"])
            if line is None or expected.allowed is None:
                continue
            seen[line.verdict] += 1
            if expected.allowed:
                assert line.verdict in {Verdict.USED, Verdict.ALLOWED}, work.row["item_id"]
            else:
                assert line.verdict is Verdict.WITHHELD, work.row["item_id"]
                assert line.code == expected.primary
                assert expected.reasons is None or line.reasons == expected.reasons
    assert seen[Verdict.USED] > 50
    assert seen[Verdict.WITHHELD] > 50


def _plain(who: Profile) -> bool:
    return who.transferred_at is None


def test_nobody_sees_an_item_of_somebody_else_and_nothing_is_missing(service: Service) -> None:
    owners: dict[str, str] = {}
    for person in WHO:
        for line in mine.inventory_of(service, hint(person)).lines:
            assert owners.setdefault(line.item_id, hint(person)) == hint(person)
    planned = {
        work.row["item_id"] for one in WHO for work in one.works
        if work.row["account_id"] in {account["account_id"] for account in one.accounts}
    }  # fmt: skip
    missing = planned - set(owners)
    assert len(missing) < len(planned) / 50, sorted(missing)[:5]  # what cannot be read is in quarantine


def test_the_page_shows_reason_sentences_in_the_persons_language(service: Service, client: TestClient) -> None:
    person = next(one for one in WHO if mine.inventory_of(service, hint(one)).counts[Verdict.WITHHELD])
    logged_in(service, client, hint(person))
    line = mine.inventory_of(service, hint(person)).page(1, Verdict.WITHHELD)[0][0]
    page = client.get("/me/items?show=withheld&lang=en").text
    assert str(line.code)
    assert sentence(str(line.code), "en") in page


def test_the_list_has_pages(service: Service, client: TestClient) -> None:
    person = max(WHO, key=lambda one: len(one.works))
    inventory = mine.inventory_of(service, hint(person))
    logged_in(service, client, hint(person))
    shown: list[str] = []
    for number in range(1, inventory.page(1)[1] + 1):
        page = client.get(f"/me/items?page={number}").text
        lines = inventory.page(number)[0]
        assert all(line.item_id in page for line in lines)
        shown += [line.item_id for line in lines]
    assert shown == [line.item_id for line in inventory.lines]
    for odd in ("0", "-1", "999999", "x", "1e9", "９"):
        assert client.get("/me/items", params={"page": odd}).status_code == 200
    assert client.get("/me/items?show=nothing").status_code == 200


def test_pictures_have_a_card_of_their_own_and_screenshots_count_as_elsewhere(
    service: Service, client: TestClient
) -> None:
    parts, person = service.parts, hint(usable(service))
    line = next(one for one in mine.inventory_of(service, person).lines if one.corpora)
    elsewhere = mine.inventory_of(service, person).elsewhere
    build = parts.workspace.media_builds / line.corpora[0] / "0123456789abcdef"
    build.mkdir(parents=True)
    (build / "manifest.json").write_text("{}")
    for kind, record, item in (("media", "r-mine", line.item_id), ("shown", "r-theirs", line.item_id)):
        row = {"record_id": record, "item_id": item, "person_id": person}
        parts_of = [(bucket_of(person, 4), pa.Table.from_pylist([row]))]
        path = build / "sealed" / f"{kind}.sealed"
        write_sealed(path, kind, parts_of, secret=parts.keys.secret("lineage"), buckets=4)
    logged_in(service, client, person)
    page = client.get("/me?lang=de").text
    assert f"Trainingsdaten: Bilder, Videos, Stimmen <code>{build.name}</code>" in page
    assert f"zum Beispiel ein Zitat: {elsewhere + 1}" in page
    assert f"Training data: pictures, videos, voices {build.name}: 1" in client.get("/me/download.html?lang=en").text


def test_the_index_is_made_once_and_again_when_the_corpus_changes(service: Service) -> None:
    at = service.clock()
    shutil.rmtree(service.parts.workspace.work / "mine")
    assert mine_index.step(service.parts, at=at) == 1
    assert mine_index.step(service.parts, at=at) == 0
    set_current(service.parts.workspace, corpus=None)
    assert mine_index.step(service.parts, at=at) == 1
    assert len(list((service.parts.workspace.work / "mine").glob("*.sealed"))) == 1
    assert mine.inventory_of(service, hint(WHO[0])).counts[Verdict.NEW]


def test_the_index_tells_nothing_without_its_key(service: Service) -> None:
    path = mine_index.ready(service.parts, at=service.clock())
    content = path.read_bytes()
    lines = [line for one in WHO[:20] for line in mine.inventory_of(service, hint(one)).lines]
    assert all(line.item_id.encode() not in content for line in lines)
    assert all(line.excerpt[:40].encode() not in content for line in lines if line.excerpt)


# Doors -------------------------------------------------------------------------------------------------------------


def test_nobody_gets_in_without_login_or_link(client: TestClient) -> None:
    for path in ("/me", "/me/items", "/me/notices", "/me/download.json", "/me/withdraw", "/me/receipt/O-1.json"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={path}")
    for path in ("/me/object", "/me/erase", "/me/withdraw"):
        assert client.post(path).status_code == 303


def test_a_mailed_link_opens_the_page_for_an_hour(service: Service, client: TestClient, watch: Watch) -> None:
    path = page_link(service, hint(WHO[0]))
    answer = client.get(path)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert WHO[0].accounts[0]["account_id"] in answer.text
    watch.pass_(minutes=59)
    assert client.get(path).status_code == 200
    watch.pass_(minutes=2)
    assert client.get(path).status_code == 403


def test_every_link_that_is_not_one_gets_the_same_answer(service: Service, client: TestClient, watch: Watch) -> None:
    over = page_link(service, hint(WHO[0]))
    watch.pass_(hours=2)
    made = service.links
    paths = [
        over, f"/p/{made.token(LinkPurpose.OBJECT, 1)}", f"/p/{made.token(LinkPurpose.UNDO, 1)}",
        f"/p/{made.token(LinkPurpose.PAGE, 10**9)}", "/p/x", f"/p/{'A' * 32}",
    ]  # fmt: skip
    answers = {(one.status_code, one.text.replace(path, "")) for path in paths for one in [client.get(path)]}
    assert len(answers) == 1
    assert {one.status_code for one in (client.post(f"{path}/object") for path in paths)} == {403}


def test_a_session_is_over_after_half_an_idle_hour(service: Service, client: TestClient, watch: Watch) -> None:
    logged_in(service, client, hint(WHO[0]))
    assert client.get("/me").status_code == 200
    watch.pass_(minutes=31)
    assert client.get("/me").status_code == 303


# Buttons -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["login", "link"])
@pytest.mark.parametrize("button", ["object", "erase"])
def test_one_button_objects_to_everything(service: Service, client: TestClient, door: str, button: str) -> None:
    person = hint(usable(service))
    csrf = logged_in(service, client, person) if door == "login" else ""
    base = "/me" if door == "login" else page_link(service, person)
    answer = client.post(f"{base}/{button}", data={"csrf": csrf})
    assert answer.status_code == 303
    (kept,) = service.parts.registry.objections_of(person)
    assert (kept.kinds, kept.services, kept.door) == (None, None, "web")
    page = client.get(answer.headers["location"]).text
    assert "You have objected since" in page
    assert kept.objection_id in page
    receipt = client.get(f"{base}/receipt/{kept.objection_id}.json")
    assert receipt.status_code == 200
    assert kept.objection_id in receipt.text
    client.post(f"{base}/{button}", data={"csrf": csrf})  # again: nothing new
    assert len(service.parts.registry.objections_of(person)) == 1


def test_a_receipt_is_shown_to_whose_it_is_only(service: Service, client: TestClient) -> None:
    person, other = hint(usable(service)), hint(WHO[1])
    kept = mine_acts.object_from_page(service, person)
    logged_in(service, client, other)
    assert client.get(f"/me/receipt/{kept.objection_id}.json").status_code == 404


def test_reading_changes_nothing(service: Service, client: TestClient) -> None:
    """A scanner that opens every link, with GET and with HEAD, changes nothing."""
    person = hint(usable(service))
    base = page_link(service, person)
    logged_in(service, client, person)
    for path in ("", "/items", "/notices", "/download.json", "/object", "/erase", "/withdraw"):
        client.get(base + path)
        client.head("/me" + path)
    assert service.parts.registry.objections_of(person) == []


def test_a_form_from_elsewhere_does_nothing(service: Service, client: TestClient) -> None:
    person = hint(usable(service))
    csrf = logged_in(service, client, person)
    for told in ("", "x", csrf[:-1]):
        assert client.post("/me/object", data={"csrf": told}).status_code == 403
    assert client.post("/me/object", data={"csrf": csrf}, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert service.parts.registry.objections_of(person) == []


# Withdrawing (OBJ-08) ----------------------------------------------------------------------------------------------


def test_withdrawing_needs_the_login_and_a_second_page(service: Service, client: TestClient, watch: Watch) -> None:
    person = hint(usable(service))
    mine_acts.object_from_page(service, person)
    link = page_link(service, person)
    for answer in (client.get(f"{link}/withdraw"), client.post(f"{link}/withdraw")):
        assert answer.status_code == 403
    assert "/me/withdraw" not in client.get(link).text
    assert service.parts.registry.objections_of(person)

    csrf = logged_in(service, client, person)
    asked = client.get("/me/withdraw").text
    assert "a whole new period begins" in asked
    assert "autofocus" not in asked
    assert asked.index("Keep my objection") < asked.index("Yes, take my objection back")
    watch.pass_(minutes=1)
    assert client.post("/me/withdraw", data={"csrf": csrf}).status_code == 303
    assert service.parts.registry.objections_of(person) == []
    sent = [one.kind for one in mine_acts.letters_of(service, person)]
    assert sent.count(LetterKind.WITHDRAWAL_CONFIRMED) == 1


def test_withdrawing_twice_is_withdrawing_once(service: Service, client: TestClient) -> None:
    person = hint(usable(service))
    mine_acts.object_from_page(service, person)
    csrf = logged_in(service, client, person)
    for _ in range(2):
        assert client.post("/me/withdraw", data={"csrf": csrf}).status_code == 303
    acts = [row["act"] for row in service.parts.registry.about(person)["objections"]]
    assert acts.count(Act.WITHDRAW.value) == 1


def test_a_withdrawal_is_told_to_every_address_of_linked_ids(service: Service, client: TestClient) -> None:
    person = hint(usable(service))
    told: list[dict[str, Any]] = [
        {"type": "contact", "person_id": name, "contact": contact}
        for name, contact in (
            ("w:2", "second@agora.example"),
            ("w:3", "Second@Agora.example"),
            ("w:4", "4@agora.example"),
        )
    ]
    told += [{"type": "link", "person_id": person, "other_person_id": name} for name in ("w:2", "w:3")]
    assert not service.parts.registry.record_events(told, recorded_at=service.clock()).faulty
    mine_acts.object_from_page(service, person)
    csrf = logged_in(service, client, person)
    assert client.post("/me/withdraw", data={"csrf": csrf}).status_code == 303
    names = (person, "w:2", "w:3", "w:4")
    sent = [(name, one.kind) for name in names for one in letters.of_person(service.notice, name)]
    assert [name for name, kind in sent if kind is LetterKind.WITHDRAWAL_CONFIRMED] == [person, "w:2"]


def test_each_of_a_family_that_shares_an_address_gets_a_link_whatever_the_case(service: Service) -> None:
    told: list[dict[str, Any]] = [
        {"type": "account", "account_id": f"f:{name}", "person_id": f"f:{name}"} for name in ("ma", "pa", "pa2")
    ]
    told += [{"type": "contact", "person_id": one["person_id"], "contact": "home@agora.example"} for one in told]
    told.append({"type": "link", "person_id": "f:pa", "other_person_id": "f:pa2"})
    assert not service.parts.registry.record_events(told, recorded_at=service.clock()).faulty
    mine_acts.send_link(service, "Home@Agora.example")
    found = [person for person in ("f:ma", "f:pa", "f:pa2") for _ in letters.of_person(service.notice, person)]
    assert found == ["f:ma", "f:pa"]


def test_after_a_withdrawal_nothing_is_used_before_a_new_notice_and_its_period(service: Service, watch: Watch) -> None:
    person = hint(usable(service))
    mine_acts.object_from_page(service, person)
    watch.pass_(minutes=1)
    mine_acts.withdraw_from_page(service, person)
    watch.pass_(days=100)
    standing = mine.standing_of(service, person)
    assert (standing.state, standing.reason) == (State.NEVER, "not_notified")
    told = {"person_id": person, "campaign_id": "second", "channel": "email", "state": "delivered"}
    campaign = {"type": "campaign", "campaign_id": "second", "purpose": "train-generative-ai",
                "effective_at": "2026-01-01", "notice_days": 45}  # fmt: skip
    registry, at = service.parts.registry, watch()
    registry.record(campaign, recorded_at=at)
    registry.record({"type": "campaign_status", "campaign_id": "second", "status": "running",
                     "valid_at": at.isoformat()}, recorded_at=at)  # fmt: skip
    registry.record_notices([{**told, "valid_at": at.isoformat()}], recorded_at=at)
    watch.pass_(minutes=1)
    waits = mine.standing_of(service, person)
    assert waits.state is State.WAITS
    noon = at.replace(hour=12, minute=0, second=0, microsecond=0)
    assert waits.since == noon + timedelta(days=46), "the last day is over everywhere"


def test_a_withdrawal_while_somebody_else_holds_the_account_is_refused(
    service: Service, client: TestClient, watch: Watch
) -> None:
    one = usable(service)
    person, account = hint(one), one.accounts[0]["account_id"]
    mine_acts.object_from_page(service, person)
    begun = (service.clock() - timedelta(hours=1)).isoformat()
    event = {"type": "compromise", "account_id": account, "valid_from": begun}
    service.parts.registry.record(event, recorded_at=service.clock())
    watch.pass_(minutes=1)
    csrf = logged_in(service, client, person)
    assert "Somebody else may be using" in client.get("/me/withdraw").text
    assert client.post("/me/withdraw", data={"csrf": csrf}).status_code == 403
    assert service.parts.registry.objections_of(person)


def test_gpc_does_not_undo_a_withdrawal(service: Service, watch: Watch) -> None:
    there = replace(service, site=replace(service.site, honour_gpc=True))
    person = hint(usable(service))
    kept = mine_acts.honour_gpc(there, person)
    assert kept is not None
    assert kept.door == "signal"
    assert mine_acts.honour_gpc(there, person) is None
    watch.pass_(minutes=1)
    mine_acts.withdraw_from_page(there, person)
    assert mine_acts.honour_gpc(there, person) is None
    assert [row["act"] for row in service.parts.registry.about(person)["objections"]].count(Act.OBJECT.value) == 1


# Links by mail, download, the widget, the first page -----------------------------------------------------------------


def test_asking_for_a_link_says_nothing_about_who_is_known(service: Service, client: TestClient) -> None:
    one = usable(service)
    answers = {
        (answer.status_code, answer.text)
        for address in (one.accounts[0]["contact"], "nobody@example.org", one.accounts[0]["handle"], "", "x" * 400)
        for answer in [client.post("/link", data={"address": address})]
    }
    assert len(answers) == 1
    sent = mine_acts.letters_of(service, hint(one))
    assert [letter.kind for letter in sent] == [LetterKind.PAGE_LINK]
    path = f"/p/{service.links.token(LinkPurpose.PAGE, sent[0].number)}"
    assert one.accounts[0]["account_id"] in client.get(path).text


def test_the_download_holds_everything(service: Service, client: TestClient) -> None:
    person = hint(usable(service))
    mine_acts.object_from_page(service, person)
    logged_in(service, client, person)
    answer = client.get("/me/download.json")
    assert "attachment" in answer.headers["content-disposition"]
    told = orjson.loads(answer.content)
    inventory = mine.inventory_of(service, person)
    assert [one["item_id"] for one in told["items"]] == [one.item_id for one in inventory.lines]
    assert told["recorded"]["notices"]
    assert told["recorded"]["objections"][-1]["door"] == "web"
    assert told["corpora"][0]["records"] == inventory.corpora[0].records
    assert told["remains_after_erasure"]
    assert told["recipients"] == []
    held, acme = inventory.corpora[0].name, Recipient("Acme", "a@x.io")
    inputs = read_manifest(service.parts.workspace.corpora / held).inputs
    log = service.parts.workspace.erasures / "e-1" / "purge" / "destroyed.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    gone = "0123456789abcdef"
    log.write_bytes(orjson.dumps({"what": f"corpora/{gone}/manifest.json", "at": iso(service.clock())}) + b"\n")
    for corpus in (held, gone):
        facts: dict[str, Any] = {"what": "corpus", "digest": "ab" * 32, "corpus": corpus, "inputs": inputs}
        exports.give(service.parts, **facts, at=service.clock(), to=acme)
    told = orjson.loads(client.get("/me/download.json").content)
    assert [(one["corpus"], one["holds_something_of_yours"]) for one in told["recipients"]] == [
        (held, True), (gone, None),
    ]  # fmt: skip
    assert b"a@x.io" not in client.get("/me/download.json").content
    page = client.get("/me/download.html").text
    assert all(line.item_id in page for line in inventory.lines)
    assert "<script" not in page
    assert "<link" not in page


def test_what_people_wrote_is_text_and_nothing_else(service: Service, client: TestClient) -> None:
    from demur.web.frame import environment

    line = mine.inventory_of(service, hint(usable(service))).lines[0]
    evil = replace(line, excerpt="<script>alert(1)</script>{{ 7*7 }}", verdict=Verdict.USED)
    assert environment().autoescape
    source = environment().from_string("{% for line in lines %}{{ line.excerpt }}{% endfor %}")
    assert source.render(lines=[evil]) == "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7*7 }}"


def test_the_widget_is_one_button(service: Service, client: TestClient) -> None:
    person = hint(usable(service))
    assert client.get("/widget").headers["location"] == "/login?next=/widget"
    csrf = logged_in(service, client, person)
    page = client.get("/widget", headers={"sec-gpc": "1"}).text
    assert page.split("</footer>")[0].split("<footer>")[0].count("<button") == 1
    assert "Global Privacy Control" in page
    assert service.parts.registry.objections_of(person) == []  # GET with a signal changes nothing
    assert client.post("/widget", data={"csrf": "x"}).status_code == 403
    assert client.post("/widget", data={"csrf": csrf}).status_code == 303
    assert "You have objected" in client.get("/widget").text


def test_anybody_can_check_the_ledger(service: Service, client: TestClient) -> None:
    object_now(by_link(service, 1))  # something to log
    page = client.get("/").text
    checkpoint = client.get("/ledger/checkpoint")
    assert checkpoint.status_code == 200
    assert checkpoint.text.splitlines()[0] in page
    assert client.get("/ledger/vkey").text.strip() in page.replace("&#43;", "+")
    size = int(checkpoint.text.splitlines()[1])
    tile = client.get(f"/ledger/tile/0/000.p/{size}")
    assert len(tile.content) == 32 * size
    assert client.get(f"/ledger/tile/entries/000.p/{size}").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["private/openings.db", "../private/openings.db", "tile/../../private/openings.db", "%2e%2e/private/openings.db",
     "tile/0/../0/000", "checkpoint/", ""],
)  # fmt: skip
def test_only_the_public_half_is_served(client: TestClient, path: str) -> None:
    assert client.get(f"/ledger/{path}").status_code == 404


def test_the_page_shows_the_exact_text_of_a_notice_that_demur_sent(service: Service, client: TestClient) -> None:
    person = hint(usable(service))
    made_on = service.clock() + timedelta(days=90)
    plan = campaign.Plan("autumn", made_on, channels=("outbox",))
    campaign.draft(service, plan, by="ada")
    campaign.approve(service, "autumn", by="grace")
    campaign.start(service, "autumn", by="ada")
    campaign.send_now(service, "autumn")
    told = next(one for one in mine_papers.notices_of(service, person) if one.campaign_id == "autumn")
    (kept,) = mine_papers.proofs_of(service, person)
    assert told.text
    assert "/o/" in told.text  # the very message, with this person's own link
    logged_in(service, client, person)
    page = client.get("/me/notices").text
    assert escape(told.text.splitlines()[0]) in page
    assert kept["text_digest"] in page
    assert orjson.loads(client.get("/me/download.json").content)["notices"][0]["campaign"] == "autumn"
    assert "autumn" in client.get("/").text
    # The status page behind the notice's link sends the link to the page to the address on file, whoever holds it.
    token = service.links.token(LinkPurpose.OBJECT, kept["number"])
    assert client.post(f"/link/{token}").status_code == 200
    assert [one.kind for one in mine_acts.letters_of(service, person)] == [LetterKind.PAGE_LINK]
    assert client.post(f"/link/{service.links.token(LinkPurpose.PAGE, 1)}").status_code == 403


# In a browser ------------------------------------------------------------------------------------------------------

OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def site(service: Service, browser: Any) -> Iterator[Live]:
    with live_site(service, browser) as found:
        yield found


def _pages(service: Service, person: str) -> list[str]:
    base = page_link(service, person, key=f"pages {person}")
    return ["/", "/login", base, f"{base}/items", f"{base}/notices"]


LOOKED_AT = ("/", "/me", "/widget", "/me/withdraw")
"""Pages that axe sees in the light; it sees the others in the dark, and at night all of them in both."""


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1200, "light")])
def test_pages_fit_and_are_clean(service: Service, site: Live, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    person = hint(usable(service))
    csrf_free = _pages(service, person)
    page = site.page(width=width, scheme=scheme, bypass_csp=True)  # axe is a script: only the test may run it
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    token = service.access.sessions.open(person, Subject.MEMBER, service.clock())
    for path in (*csrf_free, "/me", "/widget", "/me/withdraw"):
        if path == "/me":
            page.context.add_cookies([{"name": "demur-member", "value": token, "url": site.url}])
        assert page.goto(path).status == 200, path
        assert page.evaluate(OVERFLOW) == 0, path
        if (path in LOOKED_AT) == (scheme == "light") or os.environ.get("DEMUR_NIGHTLY"):
            found = Axe().run(page)
            assert found.violations_count == 0, (path, found.generate_report())
    assert said == []


def test_without_scripts_by_keyboard_from_the_link_to_the_receipt(service: Service, site: Live) -> None:
    person = hint(usable(service))
    page = site.page(width=390, scripts=False)
    page.goto(page_link(service, person))
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() and focused.inner_text() == "I object":
            break
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.locator(".note.ok").inner_text().startswith("You have objected since")
    with page.expect_download() as got:
        page.get_by_role("link", name="Receipt of the objection").click()
    assert orjson.loads(got.value.path().read_bytes())


# Damaged files -----------------------------------------------------------------------------------------------------


def _damage(service: Service, what: str) -> None:
    space = service.parts.workspace
    corpus = space.corpora / str(current(space).corpus)
    if what == "no policy":
        shutil.rmtree(space.policies)
    else:
        path = {
            "manifest": corpus / "manifest.json",
            "lineage": corpus / "sealed" / "lineage.sealed",
            "current": space.root / "current.json",
            "certificate": space.erasures / "E-1" / "certificate.json",
        }[what]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"{")


@pytest.mark.parametrize("door", ["login", "link"])
@pytest.mark.parametrize("what", ["no policy", "manifest", "lineage", "current", "certificate"])
def test_whatever_is_damaged_a_member_sees_how_they_stand_and_can_object(
    service: Service, client: TestClient, door: str, what: str
) -> None:
    person = hint(usable(service))
    csrf = logged_in(service, client, person) if door == "login" else ""
    base = "/me" if door == "login" else page_link(service, person)
    _damage(service, what)
    page = client.get(f"{base}?lang=en")
    assert page.status_code == 200
    assert "Something failed on our side. Nothing was lost." in page.text
    assert "There is nothing of yours here" not in page.text
    assert "In no training data" not in page.text
    assert client.post(f"{base}/object", data={"csrf": csrf}).status_code == 303
    assert len(service.parts.registry.objections_of(person)) == 1
    after = client.get(f"{base}?lang=en").text
    assert "You have objected since" in after
    assert "Nothing of yours is left" not in after or what == "certificate"
    for path in ("items", "notices", "download.html"):
        assert client.get(f"{base}/{path}").status_code == 200, path
    told = client.get(f"{base}/download.json").json()
    assert told["recorded"]["objections"]
    assert told["not_readable"] or what == "no policy"
    assert all(told[name] is None for name in told["not_readable"])
    if door == "login":
        assert client.get("/widget").status_code == 200


# Nobody else's -----------------------------------------------------------------------------------------------------


def test_the_download_tells_nothing_of_who_has_an_account_before_or_after(service: Service) -> None:
    told: list[dict[str, Any]] = [
        {"type": "account", "account_id": "f:shop", "person_id": "f:ann", "valid_at": "2020-01-01"},
        {"type": "profile", "account_id": "f:shop", "name": "Ann Early", "valid_at": "2020-02-01"},
        {"type": "transfer", "account_id": "f:shop", "person_id": "f:bob", "valid_at": "2022-01-01"},
        {"type": "profile", "account_id": "f:shop", "name": "Bob Late", "valid_at": "2022-02-01"},
        {"type": "account", "account_id": "f:ann2", "person_id": "f:ann"},
        {"type": "link", "person_id": "f:ann", "other_person_id": "f:zoe", "valid_at": "2020-01-01"},
        {"type": "unlink", "person_id": "f:ann", "other_person_id": "f:zoe", "valid_at": "2021-01-01"},
    ]
    assert not service.parts.registry.record_events(told, recorded_at=service.clock()).faulty
    whose = (("f:ann", "Ann Early", "Bob", "f:bob", "f:zoe"), ("f:bob", "Bob Late", "Ann", "f:ann"))
    for person, own, *others in whose:
        said = orjson.dumps(mine_papers.everything(service, person)["recorded"]).decode()
        assert own in said
        assert "f:shop" in said
        assert not any(other in said for other in others), person


@pytest.mark.parametrize(
    ("known", "accepted", "shown"),
    [
        ("bar", "en", "de"), ("nap-IT", "", "it"), ("ca", "", "es"), ("no", "", "nb"), (None, "bar, fr;q=0.5", "fr"),
        (None, "bar", "de"), ("xx", "vls", "nl"), ("xx", "", "en"), ("en", "de", "en"), ("gd", "de", "de"),
    ],
)  # fmt: skip
def test_a_page_speaks_what_its_reader_understands_best(known: str | None, accepted: str, shown: str) -> None:
    from starlette.requests import Request

    from demur.web.frame import language_of

    headers = [(b"accept-language", accepted.encode())]
    asked = Request({"type": "http", "headers": headers, "query_string": b""})
    assert language_of(asked, known) == shown


@pytest.mark.parametrize("path", ["", "/items", "/items?show=used&page=2", "/notices", "/withdraw"])
def test_the_language_that_was_asked_for_is_kept_by_the_links(service: Service, client: TestClient, path: str) -> None:
    person = hint(usable(service))
    mine_acts.object_from_page(service, person)
    logged_in(service, client, person)
    page = client.get(f"/me{path}{'&' if '?' in path else '?'}lang=fr").text
    links = [unescape(one) for one in re.findall(r'href="(/me[^"]*)"', page) if ".json" not in one]
    assert links
    assert all("lang=fr" in one for one in links), links
    assert "lang=" not in "".join(re.findall(r'href="(/me(?:/items|/notices)?)"', client.get(f"/me{path}").text))


def test_a_damaged_model_keeps_no_confirmation_and_no_entry_of_the_ledger_waiting(
    service: Service, client: TestClient, watch: Watch
) -> None:
    person, space = hint(usable(service)), service.parts.workspace
    (space.models / "m").mkdir(parents=True)
    (space.models / "m" / "manifest.json").write_text("{")
    csrf = logged_in(service, client, person)
    client.post("/me/object", data={"csrf": csrf})
    service.writer.close()  # what follows an answer is done
    (kept,) = service.parts.registry.objections_of(person)
    waiting = objected.entry_of(service.parts, kept)
    with Ledger.open(space.ledger, service.parts.keys) as ledger:
        assert ledger.find(waiting.kind, waiting.key) is not None
    assert [one.kind for one in mine_acts.letters_of(service, person)] == [LetterKind.OBJECTION_CONFIRMED]
    due = letters.take(service.notice, service.clock())[0]
    assert str(due.facts["used_before"]).startswith("See which of your posts were used")
    watch.pass_(minutes=1)
    assert client.post("/me/withdraw", data={"csrf": csrf}).status_code == 303
    assert service.parts.registry.objections_of(person) == []
