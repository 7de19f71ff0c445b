"""The first effect: a model stands again where it had never seen the people who say no; nothing else is done yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from demur import erasure
from demur.corpus import touched
from demur.flows.parts import Parts
from demur.flows.plan import people_asked
from demur.people import Restriction
from demur.training import RolledBack, rollback


def fall_back(parts: Parts, corpus: Path, model: Path, restrictions: Sequence[Restriction]) -> RolledBack | None:
    """Let the shards that hold somebody fall back; ``None`` = nobody is named (a hold, a deletion at the source).

    Doing it twice gives the same.

    Args:
        parts: the workspace.
        corpus: that the model was trained on.
        model: its folder.
        restrictions: what came.
    """
    people = people_asked(parts, restrictions)
    if not people:
        return None
    places = touched(corpus, people, keys=parts.keys, names=parts.registry.names_of(people))
    return rollback(model, erasure.first_touched(places), parts.keys)
