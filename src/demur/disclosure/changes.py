"""What differs between two versions of a corpus, on one self-contained page: no network, no script, light and dark.

Shows counts only. Does not gather anything: see ``flows.compare``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from demur.disclosure.report import grouped

SHOWN = 12
"""Rows of a group that get a bar; the rest stand in the list below it."""


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """One of the two versions."""

    corpus_id: str
    digest: str
    policy: str
    policy_digest: str
    known_at: str
    narrowed_at: str
    items: int
    records: int


@dataclass(frozen=True, slots=True)
class Why:
    """A reason with its words and how many records it concerns."""

    code: str
    sentence: str
    count: int
    is_right: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """How many records of one region, language or kind came, went and changed."""

    name: str
    came: int
    went: int
    changed: int


@dataclass(frozen=True, slots=True)
class Decided:
    """How many items one reason or exclusion withheld in each version."""

    code: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class ChangeFacts:
    """Everything on the page."""

    made_at: str
    before: VersionFacts
    after: VersionFacts
    came: int
    went: int
    changed: int
    why_came: tuple[Why, ...]
    why_went: tuple[Why, ...]
    regions: tuple[Moved, ...]
    languages: tuple[Moved, ...]
    kinds: tuple[Moved, ...]
    decisions: tuple[Decided, ...]
    recipe: tuple[str, ...] = ()
    """What differs between the two recipes, in words."""

    @property
    def stayed(self) -> int:
        """Records that are the same in both."""
        return self.after.records - self.came - self.changed


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the picture at the top, in percent of its width."""

    style: str
    label: str
    count: int
    offset: float
    width: float


def pieces(facts: ChangeFacts) -> tuple[list[Piece], list[Piece]]:
    """Return the two bars of the picture, before and after, on one scale.

    What went sticks out at the left of the first bar, what came at the right of the second; what stayed and what
    changed stand below each other.
    """
    total = max(facts.went + facts.stayed + facts.changed + facts.came, 1)
    scale = 100 / total
    same = [("stayed", "unchanged", facts.stayed), ("changed", "changed", facts.changed)]

    def row(parts: Sequence[tuple[str, str, int]], offset: float) -> list[Piece]:
        made = []
        for style, label, count in parts:
            made.append(Piece(style, label, count, offset, count * scale))
            offset += count * scale
        return [piece for piece in made if piece.count]

    return (
        row([("went", "went", facts.went), *same], 0.0),
        row([*same, ("came", "came", facts.came)], facts.went * scale),
    )


def largest(rows: Sequence[Moved]) -> int:
    """Return the longest bar of a group: the scale of both of its sides."""
    return max((max(one.came, one.went + one.changed) for one in rows), default=0) or 1


def render_changes(facts: ChangeFacts) -> str:
    """Return the page."""
    environment = Environment(
        loader=PackageLoader("demur.disclosure"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["grouped"] = grouped
    environment.filters["words"] = lambda code: code.replace("_", " ")
    before, after = pieces(facts)
    groups = (("By region", facts.regions), ("By language", facts.languages), ("By kind", facts.kinds))
    return environment.get_template("changes.html").render(
        facts=facts,
        bars=(("before", facts.before.records, before), ("after", facts.after.records, after)),
        groups=[(title, rows[:SHOWN], rows[SHOWN:], largest(rows)) for title, rows in groups if rows],
        whys=[
            (title, rows, max(one.count for one in rows))
            for title, rows in (("Why records went", facts.why_went), ("Why records came", facts.why_came))
            if rows
        ],
    )
