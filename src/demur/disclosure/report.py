"""Facts → one self-contained HTML page: no network, no script, light and dark, phone and desktop.

Does not gather anything: see ``flows.report``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from demur.disclosure.facts import LossRow, ReportFacts, Step


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of the waterfall: where the bar begins and how wide it is, in percent of all items."""

    label: str
    title: str
    count: int
    offset: float
    width: float
    style: str


def waterfall(facts: ReportFacts) -> list[Bar]:
    """Return the way from all items down to records, largest loss first inside rights and filters."""
    total = max(facts.items, 1)
    bars = [Bar("all items", "everything that was imported", facts.items, 0.0, 100.0, "whole")]
    left = facts.items
    for steps, end, title, style in (
        (facts.steps, facts.allowed, "allowed by the policy", "allowed"),
        (facts.filters, facts.records, "records in the corpus", "records"),
    ):
        for step in _by_size(steps):
            left -= step.count
            bars.append(
                Bar(
                    step.code.replace("_", " "),
                    step.sentence,
                    step.count,
                    100 * max(left, 0) / total,
                    100 * step.count / total,
                    "right" if step.is_right else "filter",
                )
            )
        left = end
        bars.append(Bar(title, title, end, 0.0, 100 * end / total, style))
    return bars


def _by_size(steps: tuple[Step, ...]) -> list[Step]:
    return sorted((step for step in steps if step.count), key=lambda step: -step.count)


def loss_scale(rows: tuple[LossRow, ...]) -> tuple[float, float]:
    """Return the smallest and largest loss of the picture, rounded outwards to tenths."""
    values = [value for row in rows for value in (row.base, row.unsharded, row.routed, row.routed_after) if value]
    if not values:
        return 0.0, 1.0
    low, high = math.floor(min(values) * 10) / 10, math.ceil(max(values) * 10) / 10
    return low, max(high, low + 0.1)


def grouped(number: float) -> str:
    r"""Write a number with thin spaces between thousands.

    >>> grouped(1234567)
    '1\u202f234\u202f567'
    """
    return f"{number:,.0f}".replace(",", "\u202f")


def render(facts: ReportFacts) -> str:
    """Return the page."""
    environment = Environment(
        loader=PackageLoader("demur.disclosure"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["grouped"] = grouped
    low, high = loss_scale(facts.losses)
    template = environment.get_template("report.html")
    return template.render(facts=facts, bars=waterfall(facts), low=low, high=high)
