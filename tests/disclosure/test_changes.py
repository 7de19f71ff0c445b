"""The page of what changed between two versions: its picture adds up, it fits every screen, it loads nothing."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demur.disclosure import ChangeFacts, Decided, Moved, VersionFacts, Why, render_changes
from demur.disclosure.changes import largest, pieces
from demur.terms.reasons import Exclusion, Reason

VERSION = VersionFacts(
    "6f760ef1d13f318a", "6f760ef1d13f318a" * 4, "demur-strict", "0" * 64, "2026-06-01T00:00:00Z",
    "2026-06-02T09:30:52.186122Z", 1_389_000, 57_000,
)  # fmt: skip
EMPTY = ChangeFacts("2026-11-22T09:35:42Z", replace(VERSION, records=0), replace(VERSION, records=0),
                    0, 0, 0, (), (), (), (), (), ())  # fmt: skip
PART = 1e-6


def full(factor: int = 1) -> ChangeFacts:
    whys = tuple(Why(one.value, f"This post is not used because of {one}.", 40 * factor, True) for one in Reason)
    rows = tuple(Moved(f"region-with-quite-a-name-{n}", n * factor, 3 * n * factor, factor) for n in range(30))
    return ChangeFacts(
        made_at="2026-11-22T09:35:42Z",
        before=VERSION,
        after=replace(VERSION, corpus_id="a7d14f5fc36d4e1b", policy_digest="1" * 64, records=55_000 * factor),
        came=sum(one.came for one in rows),
        went=sum(one.went for one in rows),
        changed=sum(one.changed for one in rows),
        why_came=(Why("new_in_source", "It was not in the content read in before.", 900 * factor, False),),
        why_went=whys,
        regions=rows,
        languages=rows[:13],
        kinds=rows[:2],
        decisions=tuple(Decided(one.value, 4 * factor, 5) for one in Exclusion),
        recipe=("shards 4 → 16", "other regions"),
    )


PAGES = {"empty": EMPTY, "full": full(), "huge": full(10**9)}


class _Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.tags: set[str] = set()
        self.loads: list[str | None] = []
        self.widths: list[float] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.add(tag)
        if tag in {"h1", "h2", "h3"}:
            self.levels.append(int(tag[1]))
        self.loads += [found[name] for name in ("src", "href", "srcset") if name in found]
        if tag == "rect":
            self.widths.append(float(found["x"] or 0) + float(found["width"] or 0))


@st.composite
def changes(draw: st.DrawFn) -> ChangeFacts:
    stayed, changed, came, went = (draw(st.integers(0, 10**12)) for _ in range(4))
    after = replace(VERSION, records=stayed + changed + came)
    before = replace(VERSION, records=stayed + changed + went)
    return replace(EMPTY, before=before, after=after, came=came, went=went, changed=changed)


@given(facts=changes())
def test_both_bars_hold_every_record_on_one_scale(facts: ChangeFacts) -> None:
    before, after = pieces(facts)
    assert sum(one.count for one in before) == facts.before.records
    assert sum(one.count for one in after) == facts.after.records
    for row in (before, after):
        for one, following in pairwise(row):
            assert following.offset == pytest.approx(one.offset + one.width)
        assert all(one.offset >= -PART and one.offset + one.width <= 100 + PART for one in row)
    same = {"stayed", "changed"}
    assert [(one.style, one.offset) for one in before if one.style in same] == [
        (one.style, one.offset) for one in after if one.style in same
    ], "what is in both stands below itself"
    shares = {one.width / one.count for one in (*before, *after)}
    assert not shares or max(shares) == pytest.approx(min(shares)), "one scale"


@given(rows=st.lists(st.builds(Moved, st.just("x"), *(st.integers(0, 10**12) for _ in range(3))), max_size=9))
def test_no_bar_of_a_group_leaves_its_place(rows: list[Moved]) -> None:
    top = largest(rows)
    assert all(one.went + one.changed <= top and one.came <= top for one in rows)


@pytest.mark.parametrize("name", PAGES)
def test_headings_come_in_order_and_nothing_is_loaded(name: str) -> None:
    found, page = _Outline(), render_changes(PAGES[name])
    found.feed(page)
    assert found.levels[0] == 1
    assert found.levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(found.levels))
    assert found.loads == []
    assert "script" not in found.tags
    assert "http" not in page
    assert all(edge <= 100 + 0.3 for edge in found.widths)


OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
CUT = """() => [...document.querySelectorAll('main *')].filter(one => {
    const box = one.getBoundingClientRect();
    return box.width && (box.right > innerWidth + 1 || box.left < -1);
}).map(one => one.outerHTML.slice(0, 80))"""
OPEN = "() => document.querySelectorAll('details').forEach(one => { one.open = true; })"
TALL = """() => [...document.querySelectorAll('.label')].filter(one => one.getBoundingClientRect().height > 190)
    .map(one => one.innerText.slice(0, 40))"""
FAINT = """() => [...document.querySelectorAll('rect')].filter(one =>
    getComputedStyle(one).fill === 'rgb(0, 0, 0)').length"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1200])
def test_a_page_fits_and_asks_for_nothing(browser: Any, tmp_path: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for name, facts in PAGES.items():
        path = tmp_path / f"{name}.html"
        path.write_text(render_changes(facts), encoding="utf-8")
        page.goto(path.as_uri())
        page.evaluate(OPEN)
        assert page.evaluate(OVERFLOW) == 0
        assert page.evaluate(CUT) == []
        assert page.evaluate(TALL) == [], "words stand side by side"
        assert page.evaluate(FAINT) == 0
        ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(247, 246, 243)" if scheme == "light" else "rgb(22, 22, 20)")
    heard = page.locator("main").aria_snapshot()
    context.close()
    assert "went" in heard
    assert len(asked) == len(PAGES)
    assert said == []
