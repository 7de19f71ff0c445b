"""Whole ways in Chromium, from the office's draft to a verified receipt: no script, keyboard only, small, in languages.

The site is filled as ``demur demo --serve`` fills it; mails are read from the file outbox, as a mail program would.
"""

from __future__ import annotations

import email
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import web_worlds
from web_worlds import Live, Watch

from demur.access import Subject
from demur.flows import mine, objection, request, send, settle
from demur.flows.matching import match_all
from demur.objections import verify_receipt
from demur.store.links import LinkPurpose
from demur.testing.site import CAMPAIGN, STAFF, fill_site
from demur.web.guard import cookie_name

LANGUAGES = ("en", "de", "fi")
"""The last two have long words."""
PHONE, NARROW, ZOOMED = (360, 640), (320, 640), (320, 256)
"""A phone; a small one; a screen of 1280 × 1024 at 400 % (WCAG 2.2, 1.4.10)."""
OURS = re.compile(r"https?://[^\s\"'<>]+")


def aside(call: Callable[[], object]) -> None:
    """Do something in another thread: the browser's event loop runs in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(call).result()


@pytest.fixture(scope="module")
def site(made: Path, tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Live]:
    """A site with a campaign that was sent, objections, a request with something to decide, a hold."""
    home = web_worlds.copied(made, tmp_path_factory.mktemp("journeys") / "home")
    with web_worlds.opened(home, Watch()) as service, web_worlds.live_site(service, browser) as found:
        aside(lambda: fill_site(found.service))
        form = {"contact": "asker@elsewhere.example", "texts": "the", "names": "Maria"}
        request.receive(found.service, form, None, language="en", country="IE")
        match_all(found.service)
        yield found


def mails(live: Live, what: str = "b") -> list[tuple[int, EmailMessage]]:
    """Return what lies in the outbox with its numbers; ``b`` = notices, ``l`` = letters."""
    files = sorted((live.service.parts.workspace.root / "outbox").glob(f"{what}*/*.eml"))
    return [
        (int(file.stem.split("-")[1]), email.message_from_bytes(file.read_bytes(), policy=default)) for file in files
    ]


def mail_for(live: Live, language: str) -> EmailMessage:
    """Return the notice of somebody of a language who has said nothing yet."""
    return next(
        mail for number, mail in mails(live)
        if mail["content-language"] == language and objection.status(live.service, number).first is None
    )  # fmt: skip


def body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def links(live: Live, mail: EmailMessage) -> list[str]:
    """Return every address of this site in a mail: in both parts and in the header."""
    texts = [body(mail, "plain"), body(mail, "html"), str(mail["list-unsubscribe"] or "")]
    return sorted({one for text in texts for one in OURS.findall(text) if one.startswith(live.url)})


# Mail → button → receipt ----------------------------------------------------------------------------------------------


def tab_to(page: Any, reached: str) -> None:
    """Press Tab until what the selector names has the focus; who uses a keyboard has no other way."""
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.locator(f"{reached}:focus").count():
            return
    pytest.fail(f"no way to {reached} by keyboard")


def fits(page: Any) -> None:
    """Assert that one never scrolls sideways, in any of the small sizes."""
    for width, height in (NARROW, ZOOMED):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url


def on_screen(page: Any, which: str) -> bool:
    box, size = page.locator(which).bounding_box(), page.viewport_size
    assert box is not None
    inside = box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["width"] <= size["width"]
    return bool(inside and box["y"] + box["height"] <= size["height"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_from_the_mail_to_a_verified_receipt(site: Live, tmp_path: Path, language: str) -> None:
    """One click in the mail, one button, no field, two page loads; by keyboard, without scripts, at 400 % zoom."""
    mail = mail_for(site, language)
    (tmp_path / "mail.html").write_text(body(mail, "html"), encoding="utf-8")
    page = site.page(width=ZOOMED[0], height=ZOOMED[1], scripts=False, language="fr", accept_downloads=True)
    page.goto((tmp_path / "mail.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= ZOOMED[0]

    loads: list[str] = []
    posted: list[bytes | None] = []
    elsewhere: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    page.on("request", lambda asked: posted.append(asked.post_data_buffer) if asked.method == "POST" else None)
    page.on("request", lambda asked: elsewhere.append(asked.url) if not asked.url.startswith(site.url) else None)

    tab_to(page, "a.button")
    page.keyboard.press("Enter")  # the one click in the mail
    page.wait_for_url(f"{site.url}/o/*")
    assert page.locator("html").get_attribute("lang") == language, "the person's language, whatever the browser's"
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    assert on_screen(page, "button.big"), "without scrolling"
    fits(page)
    tab_to(page, "button.big")
    assert on_screen(page, "button.big"), "the focused button is scrolled to"
    with page.expect_navigation():
        page.keyboard.press("Enter")  # the one button
    fits(page)
    assert len(loads) == 2
    assert [bool(sent) for sent in posted] == [False], "one form, with no field in it"
    assert not elsewhere
    assert page.context.cookies() == []

    tab_to(page, "a[download]")
    with page.expect_download() as found:
        page.keyboard.press("Enter")
    receipt = Path(found.value.path())
    reference = page.locator("strong.code").inner_text()
    assert found.value.suggested_filename == f"receipt-{reference}.json"
    assert verify_receipt.read(receipt.read_bytes())["receipt_id"]
    assert reference in receipt.read_text(encoding="utf-8")
    checked = subprocess.run([sys.executable, verify_receipt.__file__, receipt], capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout
    forged = receipt.read_text(encoding="utf-8").replace(reference, reference[:-1] + "_")
    (tmp_path / "forged.json").write_text(forged, encoding="utf-8")
    again = [sys.executable, verify_receipt.__file__, tmp_path / "forged.json"]
    assert subprocess.run(again, capture_output=True, check=False).returncode == 1
    assert len(loads) == 2, "the receipt is a file, not another page"


# A scanner looks at everything ----------------------------------------------------------------------------------------


def everything(live: Live) -> dict[str, list[str]]:
    """Return all rows of all databases of the workspace."""
    found = {}
    for file in sorted(live.service.parts.workspace.root.glob("*.db")):
        with sqlite3.connect(file) as database:
            found[file.name] = list(database.iterdump())
    return found


def test_a_scanner_that_opens_every_link_changes_nothing(site: Live) -> None:
    """Link scanners of mail hosts fetch what they find, one-click address and undo link included (NOT, OBJ-02)."""
    notice = mail_for(site, "en")
    found = links(site, notice)
    assert any(one.endswith("/one-click") for one in found)
    confirmation = next(mail for _, mail in mails(site, "l") if "/u/" in body(mail, "plain"))
    found += links(site, confirmation)
    assert any("/u/" in one for one in found)
    before = everything(site)
    with httpx.Client(follow_redirects=True, trust_env=False) as scanner:
        for one in found:
            for method in ("HEAD", "GET", "GET"):
                assert scanner.request(method, one).status_code == 200, (method, one.removeprefix(site.url))
    assert everything(site) == before


# The office announces something ---------------------------------------------------------------------------------------


def as_staff(live: Live, place: int, **how: Any) -> Any:
    """Open a page of somebody of the made-up office: their place in ``STAFF``."""
    access, at = live.service.access, live.service.clock()
    who = access.staff.named(STAFF[place][0])
    assert who is not None
    page = live.page(**how)
    token = access.sessions.open(who.staff_id, Subject.STAFF, at)
    page.context.add_cookies([{"name": cookie_name(live.service.site, "staff"), "value": token, "url": live.url}])
    return page


def test_a_campaign_in_the_console_from_draft_to_somebodys_page(site: Live) -> None:
    """One drafts, another approves, it is started; its mail lies in the outbox; the link opens on the button."""
    clock = site.service.clock
    assert isinstance(clock, Watch)
    clock.pass_(minutes=1)  # whoever objected until now is not told again
    author, approver, operator = (as_staff(site, place, scripts=False) for place in (1, 3, 2))
    author.goto("/console/campaigns")
    author.click("text=Draft a campaign")
    for name, value in (("campaign_id", "winter"), ("effective_at", "2027-02-01"), ("countries", "de, at")):
        author.fill(f"#{name}", value)
    author.click("text=Keep the draft")
    assert "Somebody else must approve it" in author.inner_text("main")
    assert author.locator("a:text-is('Approve')").count() == 0, "nobody approves what they drafted"
    before = {number for number, _ in mails(site)}
    for page, name in ((approver, "Approve"), (operator, "Start")):
        page.goto("/console/campaigns/winter")
        page.click(f"a:text-is('{name}')")
        page.click("main form button")
        page.wait_for_url(re.compile("/console/campaigns/winter\\?done="))
    aside(lambda: sum(step(site.service) for step in (send.step, settle.step)))
    new = [mail for number, mail in mails(site) if number not in before]
    assert new
    operator.goto("/console/campaigns/winter")
    assert re.search(rf"Reached\s+{len(new)}\b", operator.inner_text("main"))
    page = site.page(scripts=False)
    page.goto(links(site, new[0])[0])
    assert page.locator("button.big").count() == 1


# Every page is for everybody ------------------------------------------------------------------------------------------


def clean(page: Any) -> None:
    """Assert that axe finds nothing, in the light and then in the dark, where only colours can be wrong anew."""
    from axe_playwright_python.sync_playwright import Axe

    for scheme, rules in (("light", None), ("dark", {"runOnly": ["color-contrast"]})):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, options=rules).response["violations"]
        assert not found, (page.url, scheme, [(one["id"], one["nodes"][0]["html"]) for one in found])


def member(live: Live, *, wanted: Callable[[str], bool]) -> str:
    """Return somebody of whom something is in the corpus."""
    return next(
        one for one in live.service.parts.registry.everybody()
        if wanted(one) and mine.inventory_of(live.service, one).counts[mine.Verdict.USED]
    )  # fmt: skip


def objected(live: Live, person: str) -> bool:
    return bool(live.service.parts.registry.objections_of(person))


def test_axe_finds_nothing_on_the_pages_of_people(site: Live) -> None:
    service = site.service
    notice = links(site, mail_for(site, "en"))[0]
    letter = next(mail for _, mail in mails(site, "l") if "/u/" in body(mail, "plain"))
    undo = next(one for one in links(site, letter) if "/u/" in one)
    done = next(
        f"/o/{service.links.token(LinkPurpose.OBJECT, number)}" for number, _ in mails(site)
        if objection.status(service, number).first is not None
    )  # fmt: skip
    page = site.page(bypass_csp=True)  # axe is a script: only the test may run it
    asked = f"/request/{request.token(service, min(one.number for one in service.requests.queue()))}"
    forged = "/o/" + "A" * 32
    for path in ("/", notice, done, undo, forged, "/request", asked, "/login"):
        page.goto(path)
        clean(page)
    page.goto("/login")
    page.fill("#address", "nobody@elsewhere.example")
    page.click("main form button")
    page.wait_for_url("**/link")
    clean(page)


def test_axe_finds_nothing_on_the_own_page(site: Live) -> None:
    service = site.service
    for wanted, paths in (
        (lambda one: not objected(site, one), ("/me", "/me/items", "/me/notices", "/widget")),
        (lambda one: objected(site, one), ("/me", "/me/withdraw", "/widget")),
    ):
        person = member(site, wanted=wanted)
        page = site.page(bypass_csp=True)
        token = service.access.sessions.open(person, Subject.MEMBER, service.clock())
        name = cookie_name(service.site, "member")
        page.context.add_cookies([{"name": name, "value": token, "url": site.url}])
        for path in paths:
            answer = page.goto(path)
            assert (answer.status, page.url) == (200, site.url + path)
            clean(page)


def test_axe_finds_nothing_in_the_console(site: Live) -> None:
    page = as_staff(site, 0)
    person = member(site, wanted=lambda one: True)
    lists = ("", "/campaigns", "/objections", "/requests", "/holds", "/models", "/ledger", "/audit")
    requests = [f"/requests/{one.number}" for one in site.service.requests.queue()]
    assert len(requests) == 2
    details = (f"/campaigns/{CAMPAIGN}", *requests, "/holds/H-demo", f"/people/{quote(person)}")
    for path in ("/login", *lists, *details):  # the forms: test_console_pages.py
        answer = page.goto(f"/console{path}")
        assert answer.status == 200, path
        clean(page)
        fits(page)
