"""What waits to be honoured: restrictions that came after a corpus was made, in all corpora and models that are here.

An older corpus or model that nobody serves still holds what it holds. It is looked at too: an erasure destroys it when
somebody who leaves is in it, or when nobody can tell; else it is noted as cleared until that erasure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from demur import erasure
from demur.clock import parse
from demur.corpus import read_manifest, touched
from demur.errors import RefusedError
from demur.flows.parts import Parts, current
from demur.intake import state_digest
from demur.people import Restriction
from demur.training import read_model


def refuse_unfinished(parts: Parts) -> None:
    """Refuse to go on beside an erasure that was begun and not finished."""
    begun = erasure.unfinished(parts.workspace.erasures)
    if begun:
        raise RefusedError(
            f"expected no unfinished erasure, found {begun[0].erasure_id}; run `demur erase`, which goes on there"
        )


def waiting_for(parts: Parts, corpus: Path) -> tuple[Restriction, ...]:
    """Return what was learned since one corpus was made and takes something away."""
    here = current(parts.workspace)
    since = here.cleared.get(corpus.name) or read_manifest(corpus).inputs["narrowed_at"]
    found = tuple(parts.registry.restrictions_since(parse(since)))
    if here.source is not None:
        state = state_digest(parts.workspace.source)
        if state != here.source:
            found += (source_changed(state),)
    return found


def came_since(parts: Parts, instant: datetime) -> tuple[Restriction, ...]:
    """Return what was learned after an instant and takes something away."""
    return tuple(parts.registry.restrictions_since(instant))


LATER = frozenset({"residence", "age", "bounce", "transfer", "announcement", "source"})
"""Corrections of facts: most change nothing. They go along with the next erasure and start none by themselves."""


def urgent(restrictions: Sequence[Restriction]) -> tuple[Restriction, ...]:
    """Return what somebody said or an authority ordered: that starts an erasure at once (OBJ-06)."""
    return tuple(one for one in restrictions if one.kind not in LATER)


def source_changed(state: str) -> Restriction:
    """Return the restriction that stands for everything that was deleted or closed at the source."""
    return Restriction(f"source:{state[:16]}", "source", None)


def pending(parts: Parts, *, by: datetime | None = None) -> tuple[Restriction, ...]:
    """Return what waits for any corpus in the workspace, by id.

    Args:
        parts: the workspace.
        by: what was learned later does not count yet; ``None`` = everything.

    Raises:
        RefusedError: there is no corpus.
    """
    known = current(parts.workspace)
    if known.corpus is None:
        raise RefusedError("expected a corpus in this workspace, found none; there is nothing to erase from")
    found: dict[str, Restriction] = {}
    for corpus in whole_corpora(parts):
        found |= {one.restriction_id: one for one in waiting_for(parts, corpus)}
    return tuple(found[name] for name in sorted(found) if by is None or (found[name].recorded_at or by) <= by)


def last_look(parts: Parts) -> datetime | None:
    """Return until when the corpora here know what was learned; ``None`` = there is none."""
    return max((parse(read_manifest(one).inputs["narrowed_at"]) for one in whole_corpora(parts)), default=None)


def whole_corpora(parts: Parts) -> list[Path]:
    """Return every corpus in the workspace that has its manifest."""
    return [path.parent for path in sorted(parts.workspace.corpora.glob("[!.]*/manifest.json"))]


@dataclass(frozen=True, slots=True)
class Superseded:
    """What is in the workspace beside the current corpus and model, and must go in an erasure."""

    corpora: tuple[str, ...]
    models: tuple[str, ...]
    kept: tuple[str, ...]
    """Older corpora that hold nobody who leaves."""


def superseded(
    parts: Parts,
    restrictions: Sequence[Restriction],
    *,
    before: Path,
    after: Path,
    model: Path | None,
    people: Sequence[str],
    names: Sequence[str],
) -> Superseded:
    """Return older corpora and models that somebody who leaves is in, or may be in.

    Args:
        parts: the workspace.
        restrictions: what the erasure honours; one that is about no person (a hold, a deletion) may be about anything.
        before: the corpus before.
        after: the corpus after.
        model: the current model before.
        people: everybody whom the restrictions are about, with linked ids.
        names: their full names.
    """
    unbound = any(one.person_id is None for one in restrictions)
    gone: list[str] = []
    kept: list[str] = []
    for folder in sorted(parts.workspace.corpora.glob("[!.]*")):
        if folder in (before, after):
            continue
        unknown = unbound or not (folder / "manifest.json").exists()
        saw = unknown or touched(folder, people, keys=parts.keys, names=names)
        (gone if saw else kept).append(folder.name)
    fine = {*kept, *([before.name] if after == before else [])}
    models = []
    for path in sorted(parts.workspace.models.glob("*/manifest.json")):
        made = read_model(path.parent)
        if path.parent != model and made.status != "destroyed" and made.corpus_id not in {*fine, after.name}:
            models.append(path.parent.name)
    return Superseded(tuple(gone), tuple(models), tuple(kept))
