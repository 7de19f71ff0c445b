"""What stands on the page, and that its picture adds up."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_pages import PAGES, empty, full

from demur.disclosure import ReportFacts, Step, render
from demur.disclosure.report import grouped, loss_scale, reasons, waterfall

PART = 1e-6
"""Percent that rounding may cost."""


def colours(page: str) -> list[dict[str, str]]:
    """Return the light and the dark palette."""
    return [dict(re.findall(r"--(\w+):(#[0-9a-f]{3,6})", block)) for block in re.findall(r":root\{([^}]*)\}", page)]


def luminance(colour: str) -> float:
    """Return the relative luminance (WCAG 2.2)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * one for one in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2)."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


class Outline(HTMLParser):
    """Collects headings, sources of anything loaded, and open tags."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.loads: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if re.fullmatch(r"h[1-6]", tag):
            self.levels.append(int(tag[1]))
        self.loads += [
            value or "" for name, value in attrs if name in ("src", "srcset") or (tag, name) == ("link", "href")
        ]


@st.composite
def funnels(draw: st.DrawFn) -> ReportFacts:
    counts = st.lists(st.integers(0, 10**9), max_size=50)
    rights, filters = draw(counts), draw(counts)
    records = draw(st.integers(0, 10**9))
    allowed = records + sum(filters)
    return replace(
        empty(),
        items=allowed + sum(rights),
        allowed=allowed,
        records=records,
        steps=tuple(Step(f"right_{n}", "", count, True) for n, count in enumerate(rights)),
        filters=tuple(Step(f"filter_{n}", "", count, False) for n, count in enumerate(filters)),
    )


@given(facts=funnels())
def test_the_bars_of_the_waterfall_add_up(facts: ReportFacts) -> None:
    bars = waterfall(facts)
    totals = [bar for bar in bars if bar.is_total]
    assert [bar.count for bar in totals] == [facts.items, facts.allowed, facts.records]
    left = facts.items
    for bar in bars[1:]:
        if bar.is_total:
            assert bar.count == left
        else:
            left -= bar.count
        assert 0 <= bar.offset <= 100 + PART
        assert bar.offset + bar.width <= 100 + PART
        if not bar.is_total:
            assert bar.offset == pytest.approx(100 * left / max(facts.items, 1))
    assert left == facts.records


@given(facts=funnels())
def test_every_loss_stands_in_the_list_even_without_a_bar(facts: ReportFacts) -> None:
    listed = {step.code for step in reasons(facts)}
    assert listed == {step.code for step in (*facts.steps, *facts.filters) if step.count}
    assert len(waterfall(facts)) <= 3 + 2 * 13 + 1


@pytest.mark.parametrize("name", PAGES)
def test_headings_come_in_order_and_nothing_is_loaded(name: str) -> None:
    found = Outline()
    page = render(PAGES[name]())
    found.feed(page)
    assert found.levels[0] == 1
    assert found.levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(found.levels, found.levels[1:], strict=False))
    assert found.loads == []
    assert "script" not in found.tags
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page


def test_every_text_of_the_palette_can_be_read() -> None:
    for palette in colours(render(full())):
        for ground in ("page", "card"):
            for text in ("ink", "soft", "ok", "bad", "blue"):
                assert contrast(palette[text], palette[ground]) >= 4.5, (text, ground, palette)
        for mark in ("right", "filter", "ok", "blue", "dot1", "dot2"):
            assert contrast(palette[mark], palette["card"]) >= 3, (mark, palette)


def test_a_failed_check_is_seen_without_opening_anything() -> None:
    page = render(PAGES["crowded"]())
    before, _, _ = page.partition("<details><summary>Every check")
    assert "1 of 29 checks FAIL" in before
    assert "record of no allowed item" in before
    assert "all 28 checks hold" in render(full())


def test_an_erasure_that_differs_from_a_clean_build_says_so() -> None:
    facts = full()
    differs = replace(facts.erasures[0], digest_clean="0" * 64)
    page = render(replace(facts, erasures=(differs,)))
    assert '<dd class="bad">NO</dd>' in page
    assert '<dd class="ok">yes</dd>' in render(facts)


def test_what_people_wrote_is_never_markup() -> None:
    assert "<script>" not in render(replace(full(), title="<script>alert(1)</script>"))


def test_a_number_is_grouped_and_a_scale_holds_every_dot() -> None:
    assert grouped(1234567) == "1\u202f234\u202f567"
    low, high = loss_scale(full().losses)
    for row in full().losses:
        assert all(
            low <= value <= high for value in (row.base, row.unsharded, row.routed, row.routed_after or row.base)
        )
    assert loss_scale(()) == (0.0, 1.0)
