"""Doors for many at once: lists of representatives, and what signals say. The same writing as for one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from demur.flows.objected import Done, follow_up
from demur.flows.objection import Asked, by_claim, by_person, commit
from demur.flows.service import Service
from demur.objections.bulk import Line
from demur.objections.signals import OUTWARD_HEADERS, OUTWARD_META, read_at_declaration

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class LineAnswer:
    """What became of one line."""

    line: int
    reference: str | None
    """``None``: the line named nobody."""
    state: str
    """``in_force``, ``in_force_before``, ``waiting`` (nobody could be matched yet), ``names_nobody``."""


def object_for_list(service: Service, lines: Iterable[Line], *, door: str = "bulk") -> Iterator[LineAnswer]:
    """Record a list, a thousand lines a transaction, and answer each line (OBJ-09)."""
    for batch in _batched(lines):
        named = [line for line in batch if line.claim]
        asked = [
            by_claim(service, line.claim, door=door, said_at=line.said_at, kinds=line.kinds, services=line.services)
            for line in named
        ]
        answers = {line.number: done for line, done in zip(named, _record(asked), strict=True)}
        for line in batch:
            yield _answer(line.number, answers.get(line.number))


def _batched(lines: Iterable[Line]) -> Iterator[list[Line]]:
    source = iter(lines)
    while batch := list(itertools.islice(source, BATCH)):
        yield batch


def _record(asked: list[Asked]) -> list[Done]:
    if not asked:
        return []
    done = commit(asked)
    follow_up(list(zip(asked, done, strict=True)))
    return done


def _answer(line: int, done: Done | None) -> LineAnswer:
    if done is None:
        return LineAnswer(line, None, "names_nobody")
    state = "waiting" if done.kept.person_id is None else "in_force_before" if done.kept.repeated else "in_force"
    return LineAnswer(line, done.kept.objection_id, state)


def object_by_flags(service: Service) -> list[Done]:
    """Record the objection of everybody whose profile says no to training (OBJ-10), and has not said so before."""
    people = service.parts.registry.signalling()
    found: list[Done] = []
    for start in range(0, len(people), BATCH):
        found += _record([by_person(service, person, door="signal") for person in people[start : start + BATCH]])
    return [one for one in found if not one.kept.repeated]


def object_by_declarations(service: Service, lines: Iterable[bytes]) -> list[Done]:
    """Record the objections in AT-protocol declarations, one JSON object a line: ``account_id`` and ``record``."""
    asked: list[Asked] = []
    for line in lines:
        told = _object(line)
        record, account = told.get("record"), told.get("account_id") or told.get("did")
        refusal = read_at_declaration(record) if isinstance(record, Mapping) else None
        if refusal is not None and account:
            asked.append(by_claim(service, {"account_id": account}, door="signal", said_at=refusal.said_at))
    return [one for start in range(0, len(asked), BATCH) for one in _record(asked[start : start + BATCH])]


def _object(line: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def outward(service: Service, account_id: str) -> dict[str, Any]:
    """Return what the platform should put on the pages of an account: nothing, or the signals of an objector."""
    told = service.parts.registry.owner_of(account_id)
    objected = told is not None and bool(service.parts.registry.objections_of(told))
    return {
        "account_id": account_id,
        "objected": objected,
        "headers": dict(OUTWARD_HEADERS) if objected else {},
        "meta": dict(OUTWARD_META) if objected else {},
    }
