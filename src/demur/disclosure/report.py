"""Facts → one self-contained HTML page: no network, no script, light and dark, phone and desktop.

Does not gather anything: see ``flows.report``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from demur.disclosure.facts import LossRow, ReportFacts, Step

_LARGE = 12
"""Losses of one kind that get a bar of their own; the rest share one, and all stand in the list below the picture."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of the waterfall: where the bar begins and how wide it is, in percent of all items."""

    label: str
    title: str
    count: int
    offset: float
    width: float
    style: str

    @property
    def is_total(self) -> bool:
        """Whether the bar says what is left, not what goes."""
        return self.style in ("whole", "allowed", "records")


def waterfall(facts: ReportFacts) -> list[Bar]:
    """Return the way from all items down to records, largest loss first inside rights and filters.

    Every loss ends where the bar above it begins to be lost, so that the losses and what is left add up to the whole.
    """
    total = max(facts.items, 1)
    bars = [Bar("all items", "everything that was imported", facts.items, 0.0, 100.0, "whole")]
    left = facts.items
    for steps, end, title, style in (
        (facts.steps, facts.allowed, "allowed by the policy", "allowed"),
        (facts.filters, facts.records, "records in the corpus", "records"),
    ):
        for step in _shown(steps):
            left -= step.count
            bars.append(
                Bar(
                    _words(step.code),
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


def reasons(facts: ReportFacts) -> list[Step]:
    """Return every reason and filter that took something away, largest first."""
    return _by_size((*facts.steps, *facts.filters))


def _shown(steps: tuple[Step, ...]) -> list[Step]:
    """Return the largest steps, and one that holds the rest."""
    found = _by_size(steps)
    large, small = found[:_LARGE], found[_LARGE:]
    if len(small) <= 1:
        return found
    together = ", ".join(f"{_words(step.code)} {grouped(step.count)}" for step in small)
    is_right = any(step.is_right for step in small)
    return [*large, Step(f"{len(small)} smaller reasons", together, sum(one.count for one in small), is_right)]


def _by_size(steps: tuple[Step, ...]) -> list[Step]:
    return sorted((step for step in steps if step.count), key=lambda step: (-step.count, step.code))


def _words(code: str) -> str:
    return code.replace("_", " ").replace(":", ": ")


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
    environment.filters["words"] = _words
    low, high = loss_scale(facts.losses)
    template = environment.get_template("report.html")
    failed = [row for row in facts.verdict if not row[1]]
    return template.render(
        facts=facts, bars=waterfall(facts), reasons=reasons(facts), failed=failed, low=low, high=high
    )
