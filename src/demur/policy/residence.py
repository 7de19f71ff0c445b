"""Residence over time as numbers: every person's life, cut where the set of countries they live in changes.

An item made at some instant falls into one stretch, and the stretch names the set of countries that counts for it
(PPL-04). Nobody's or an unknown country makes the whole set unknown.

This module does *not* know accounts, policies, or what a country means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.policy.coded import FOREVER, NEVER, NONE, Numbers, instants
from demur.policy.resolve import KNOWN

Countries = frozenset[str] | None


@dataclass(slots=True)
class Stretches:
    """Every person's life cut where their residence changes, persons in order."""

    begin: Numbers
    end: Numbers
    first: Numbers
    """Person → first stretch; one more entry at the end."""
    places: Numbers
    """Stretch → number of its set of countries in ``sets``."""
    ever: Numbers
    """Person → number of the set of all countries ever."""
    sets: list[Countries]


def stretches_of(residence: Any, people_ids: Any) -> Stretches:
    """Return every person's stretches.

    Args:
        residence: the table RESIDENCE.
        people_ids: column of all persons; the place in it is the person's number.
    """
    people = len(people_ids)
    person = positions_in(residence["person_id"], people_ids)
    kept = person >= 0
    person = person[kept]
    begin, until = instants(residence["valid_from"])[kept], instants(residence["valid_until"])[kept]
    until = np.where(until == NEVER, FOREVER, until)
    country, names = _country_numbers(residence["country"])
    country = country[kept]
    points_person = np.concatenate([np.arange(people), person, person])
    points = np.concatenate([np.full(people, NEVER), begin, until])
    inside = points != FOREVER
    points_person, points = points_person[inside], points[inside]
    order = np.lexsort((points, points_person))
    points_person, points = points_person[order], points[order]
    fresh = np.ones(len(points), dtype=bool)
    fresh[1:] = (np.diff(points_person) != 0) | (points[1:] != points[:-1])
    points_person, points = points_person[fresh], points[fresh]
    first = np.searchsorted(points_person, np.arange(people + 1))
    end = np.full(len(points), FOREVER)
    follows = np.flatnonzero(np.diff(points_person) == 0)
    end[follows] = points[follows + 1]
    low = _place(first, points, person, begin)
    high = np.where(until == FOREVER, first[person + 1] if len(person) else 0, _place(first, points, person, until))
    lengths = np.maximum(high - low, 0)
    covered = ranges(low, lengths)
    sets: list[Countries] = [None]
    numbers: dict[Countries, int] = {None: 0}
    places = _sets_of(covered, np.repeat(country, lengths), len(points), names, sets, numbers)
    ever = _sets_of(person, country, people, names, sets, numbers)
    return Stretches(points, end, first, places, ever, sets)


def _place(first: Numbers, points: Numbers, person: Numbers, when: Numbers) -> Numbers:
    """Return the stretch of each person that begins at a time (it exists), by bisection inside the person's own."""
    if not len(person):
        return np.zeros(0, dtype=np.int64)
    low, high = first[person], first[person + 1]
    while (low < high).any():
        middle = (low + high) // 2
        right = (low < high) & (points[np.minimum(middle, len(points) - 1)] < when)
        high = np.where((low < high) & ~right, middle, high)
        low = np.where(right, middle + 1, low)
    return low


def ranges(low: Numbers, lengths: Numbers) -> Numbers:
    """Return the numbers low, low+1 … of several ranges, one after another."""
    total = int(lengths.sum())
    starts = (
        np.repeat(low - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) if total else np.zeros(0, np.int64)
    )
    return (starts + np.arange(total)).astype(np.int64)


def _country_numbers(column: Any) -> tuple[Numbers, list[str]]:
    """Return country numbers (``NONE`` = unknown or no ISO code) and the code behind each number."""
    names = sorted(KNOWN)
    plain = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    found = pc.index_in(plain, value_set=pa.array(names, pa.string()))
    return found.fill_null(NONE).to_numpy(zero_copy_only=False).astype(np.int64), names


def _sets_of(
    groups: Numbers,
    countries: Numbers,
    size: int,
    names: list[str],
    sets: list[Countries],
    numbers: dict[Countries, int],
) -> Numbers:
    """Return the number of each group's set of countries; nobody's or an unknown country makes the set unknown."""
    pairs = np.unique(groups * (len(names) + 1) + countries + 1)
    group, country = pairs // (len(names) + 1), pairs % (len(names) + 1) - 1
    counts = np.bincount(group, minlength=size)
    found = np.zeros(size, dtype=np.int32)
    alone = counts[group] == 1
    for number in np.unique(country[alone & (country >= 0)]):
        chosen = group[alone & (country == number)]
        found[chosen] = set_number(frozenset({names[number]}), sets, numbers)
    crowd, crowd_country = group[~alone], country[~alone]
    edges = np.flatnonzero(np.diff(crowd, prepend=-1)) if len(crowd) else np.zeros(0, np.int64)
    for begin, end in zip(edges, [*edges, len(crowd)][1:], strict=True):
        members = crowd_country[begin:end]
        value = None if (members < 0).any() else frozenset(names[member] for member in members)
        found[crowd[begin]] = set_number(value, sets, numbers)
    return found


def set_number(value: Countries, sets: list[Countries], numbers: dict[Countries, int]) -> int:
    """Return the number of a set of countries, giving it the next one if it is new."""
    if value not in numbers:
        numbers[value] = len(sets)
        sets.append(value)
    return numbers[value]


def positions_in(texts: Any, among: Any) -> Numbers:
    """Return where each text stands in a column, ``NONE`` = nowhere."""
    values = among.combine_chunks() if isinstance(among, pa.ChunkedArray) else among
    plain = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    found = pc.index_in(plain, value_set=values, skip_nulls=True)
    places: Numbers = found.fill_null(NONE).to_numpy(zero_copy_only=False).astype(np.int64)
    return places
