"""The page of whoever got an export, and the console's list: one button, no script, by keyboard, nobody is named."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from test_console_pages import page_of

from demur.clock import iso
from demur.corpus import read_manifest
from demur.flows import exports
from demur.flows.exports import ExportState, Given, Recipient
from demur.flows.parts import current
from demur.flows.service import Service
from demur.i18n import phrase, phrase_languages

GONE = "0123456789abcdef"
ACME = Recipient("Acme <b>Labs</b>", "data@acme.example", "de")


def given(service: Service, *, stands: bool = False, to: Recipient | None = ACME) -> Given:
    space = service.parts.workspace
    here = str(current(space).corpus)
    inputs = read_manifest(space.corpora / here).inputs
    corpus = here if stands else GONE
    log = space.erasures / "e-1" / "purge" / "destroyed.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(orjson.dumps({"what": f"corpora/{GONE}/manifest.json", "at": iso(service.clock())}) + b"\n")
    return exports.give(
        service.parts, what="corpus", digest="ab" * 32, corpus=corpus, inputs=inputs, at=service.clock(), to=to
    )


def path(service: Service, one: Given) -> str:
    return exports.page_link(one, service.site, service.links).removeprefix(service.site.origin)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_button_by_keyboard_and_without_scripts(live: Any, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    one = given(live.service)
    page = live.page(scripts=False, width=320, scheme=scheme)
    page.goto(path(live.service, one))
    assert page.locator("html").get_attribute("lang") == "de"
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.focus("form[method=post] button")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"lang=de"))
    assert page.locator("form[method=post]").count() == 0
    assert exports.exports(live.service.parts.workspace).given[0].state is ExportState.DESTROYED
    with_scripts = live.page(width=320, scheme=scheme)
    for shown in (one, given(live.service), given(live.service, stands=True)):
        with_scripts.goto(path(live.service, shown))
        assert not Axe().run(with_scripts).response["violations"]


@pytest.mark.parametrize("language", phrase_languages())
def test_the_page_speaks_every_language_and_names_nobody(client: Any, service: Service, language: str) -> None:
    for one in (given(service), given(service, stands=True)):
        told = client.get(f"{path(service, one)}?lang={language}").text
        assert phrase("export.title", language, reference=one.reference) in told
        assert "Acme" not in told
        assert "acme" not in told
        assert ('method="post"' in told) is (one.corpus == GONE)


def test_the_office_sees_what_left_and_notes_what_is_destroyed(live: Any) -> None:
    service = live.service
    for to in (ACME, Recipient("By hand"), None):
        given(service, to=to)
    given(service, stands=True)
    page = page_of(live)
    page.goto("/console")
    page.locator("li", has_text="3 exports may not be used any longer").locator("a").click()
    page.wait_for_url(re.compile("/console/exports"))
    assert "Acme <b>Labs</b>" in page.inner_text("table")
    assert "nobody named" in page.inner_text("table")
    page.locator("section.card input[name=by]").nth(1).fill("By hand, by telephone")
    page.locator("section.card button").nth(1).click()
    page.wait_for_url(re.compile("done=destroyed"))
    assert "By hand, by telephone" in page.inner_text("table")
    assert page.locator("section.card").count() == 2
    states = [one.state for one in exports.exports(service.parts.workspace).given]
    assert states.count(ExportState.DESTROYED) == 1
