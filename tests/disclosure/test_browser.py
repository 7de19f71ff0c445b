"""The page in a real browser: phone and desktop, light and dark, without scripts, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from report_pages import PAGES

from demur.disclosure import render

OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
CUT = """() => [...document.querySelectorAll('main *')].filter(one => {
    const box = one.getBoundingClientRect();
    return box.width && (box.right > innerWidth + 1 || box.left < -1) && !one.closest('.scroll');
}).map(one => one.outerHTML.slice(0, 80))"""
OPEN = "() => document.querySelectorAll('details').forEach(one => { one.open = true; })"
UNTOLD = """() => [...document.querySelectorAll('.bars .row')].filter(row =>
    !row.querySelector('.label').innerText.trim() || !/[0-9]/.test(row.querySelector('.n').innerText)).length"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_and_asks_for_nothing(browser: Any, tmp_path: Path, name: str, width: int, scheme: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(PAGES[name]()), encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    assert page.evaluate(OVERFLOW) == 0
    assert page.evaluate(CUT) == []
    page.evaluate(OPEN)
    assert page.evaluate(OVERFLOW) == 0
    assert page.evaluate(CUT) == []
    assert page.evaluate(UNTOLD) == 0
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(247, 246, 243)" if scheme == "light" else "rgb(22, 22, 20)")
    context.close()
    assert asked == [path.as_uri()]
    assert said == []


def test_everything_works_with_scripts_off(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(PAGES["full"]()), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 900})
    page = context.new_page()
    page.goto(path.as_uri())
    row = page.get_by_role("cell", name="it is a private message, and those are never used")
    assert not row.is_visible()
    page.locator("summary").first.click()
    assert row.is_visible()
    context.close()


def test_a_screen_reader_hears_the_bars(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(PAGES["full"]()), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    heard = page.locator("main").aria_snapshot()
    assert "private message" in heard
    assert "−290" in heard
    assert "frozen base 6.100" in heard
    page.close()


def test_a_phone_shows_a_plain_table_of_regions_whole(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(PAGES["full"]()), encoding="utf-8")
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.goto(path.as_uri())
    hidden = (
        "() => [...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth + 1).length"
    )
    assert page.evaluate(hidden) == 0
    page.close()
