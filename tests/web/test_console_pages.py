"""The console in a browser: axe-core clean in light and dark, 320 px wide, without scripts, by keyboard."""

from __future__ import annotations

import re
from typing import Any

import pytest

from demur.access import Role, Subject
from demur.web.console import screens
from demur.web.guard import cookie_name

PASSWORD = "correct horse battery"


def page_of(live: Any, role: Role = Role.DPO, **how: Any) -> Any:
    """Open a page of somebody who is logged in; what it says on the console or asks elsewhere is collected."""
    access, at = live.service.access, live.service.clock()
    who = access.staff.named(f"{role.value}@x.org") or access.staff.add(
        f"{role.value}@x.org", name="Ann Other", role=role, at=at, by="test"
    )
    found = live.page(**how)
    token = access.sessions.open(who.staff_id, Subject.STAFF, at)
    found.context.add_cookies([{"name": cookie_name(live.service.site, "staff"), "value": token, "url": live.url}])
    return found


def paths(live: Any) -> list[str]:
    person = live.service.parts.registry.everybody()[0]
    whole = [screen.path for screen in screens() if screen.method == "GET" and "{" not in screen.path]
    shown = [path for path in whole if not path.endswith("checkpoint")]
    return ["/console/login", *shown, f"/console/people/{person}", "/console/holds/hold-1"]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "dark")])
def test_every_page_is_accessible_and_fits(live: Any, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = page_of(live, width=width, scheme=scheme)
    elsewhere: list[str] = []
    faults: list[str] = []
    page.on("request", lambda asked: elsewhere.append(asked.url) if not asked.url.startswith(live.url) else None)
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    for path in paths(live):
        answer = page.goto(path)
        assert answer.status == 200, path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        found = Axe().run(page).response["violations"]
        assert not found, (path, [(one["id"], one["nodes"][0]["html"]) for one in found])
        assert page.locator("h1").count() == 1, path
        assert page.title().strip(), path
    assert not elsewhere
    assert not faults


def test_a_hold_by_keyboard_and_without_scripts(live: Any) -> None:
    page = page_of(live, scripts=False)
    page.goto("/console/holds/place")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for name, text in (("hold_id", "h-7"), ("authority", "DPA"), ("instrument", "Order 7"), ("countries", "fr")):
        page.focus(f"#{name}")
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/console/holds/h-7\?done=placed"))
    assert "The hold is in force" in page.inner_text("main")
    assert [one.countries for one in live.service.parts.registry.holds() if one.hold_id == "h-7"] == [{"FR"}]


def test_a_drill_says_how_long_a_full_stop_takes(live: Any) -> None:
    page = page_of(live)
    page.goto("/console/holds/place")
    for name, text in (("hold_id", "drill-1"), ("authority", "us"), ("instrument", "exercise")):
        page.fill(f"#{name}", text)
    page.click("text=Hold a drill")
    assert "Seconds to a full stop" in page.inner_text("main")
    assert "GOES ON" not in page.inner_text("main")
    (held,) = [one for one in live.service.parts.registry.holds() if one.hold_id == "drill-1"]
    assert not held.in_force(live.service.clock())


def test_logging_in_and_out_in_a_browser(live: Any) -> None:
    live.service.access.staff.add(
        "ann@x.org", name="Ann", role=Role.OPERATOR, at=live.service.clock(), by="test", password=PASSWORD
    )
    page = live.page(scripts=False)
    page.goto("/console/staff")
    assert page.url.endswith("/console/login?next=/console/staff")
    page.fill("#email", "ann@x.org")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/console/staff$"))
    page.click("text=Log out")
    page.wait_for_url(re.compile("/console/login$"))
    assert page.goto("/console").url.endswith("/console/login?next=/console")
