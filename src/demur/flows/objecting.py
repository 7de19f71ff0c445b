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
from demur.people import Kept

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class LineAnswer:
    """What became of one line."""

    line: int
    reference: str | None
    """``None``: the line named nobody."""
    state: str
    """As ``states_of`` says it, or ``in_force_before``, or ``names_nobody``."""


def states_of(service: Service, kept: Iterable[Kept]) -> dict[str, str]:
    """Return event → how an objection stands for the items of whoever it is about.

    ``in_force``; ``taken_back``: the person withdrew after it was said; ``waiting``: nobody of that name is known, or
    has an account here yet.
    """
    listed = list(kept)
    covered = service.parts.registry.with_account({one.person_id for one in listed if one.person_id})
    return {
        one.event_id: "waiting" if one.person_id not in covered else "taken_back" if one.taken_back else "in_force"
        for one in listed
    }


def object_for_list(service: Service, lines: Iterable[Line], *, door: str = "bulk") -> Iterator[LineAnswer]:
    """Record a list, a thousand lines a transaction, and answer each line (OBJ-09)."""
    for batch in _batched(lines):
        named = [line for line in batch if line.claim]
        asked = [
            by_claim(service, line.claim, door=door, said_at=line.said_at, kinds=line.kinds, services=line.services)
            for line in named
        ]
        answers = {line.number: done.kept for line, done in zip(named, _record(asked), strict=True)}
        states = states_of(service, answers.values())
        for line in batch:
            yield _answer(line.number, answers.get(line.number), states)


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


def _answer(line: int, kept: Kept | None, states: Mapping[str, str]) -> LineAnswer:
    if kept is None:
        return LineAnswer(line, None, "names_nobody")
    state = states[kept.event_id]
    return LineAnswer(line, kept.objection_id, "in_force_before" if kept.repeated and state == "in_force" else state)


def object_by_flags(service: Service) -> list[Done]:
    """Record the objection of everybody whose profile says no to training (OBJ-10), and has not said so before."""
    people = service.parts.registry.signalling()
    found: list[Done] = []
    for start in range(0, len(people), BATCH):
        found += _record([by_person(service, person, door="signal") for person in people[start : start + BATCH]])
    return [one for one in found if not one.kept.repeated]


def object_by_declarations(service: Service, lines: Iterable[bytes]) -> list[Done]:
    """Record the objections in AT-protocol declarations: a JSON object a line, ``account_id`` or DID, ``record``."""
    from demur.intake.bluesky import SERVICE

    asked: list[Asked] = []
    for line in lines:
        told = _object(line)
        record, account = told.get("record"), str(told.get("account_id") or told.get("did") or "")
        refusal = read_at_declaration(record) if isinstance(record, Mapping) else None
        account = f"{SERVICE}:{account}" if account.startswith("did:") else account
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
