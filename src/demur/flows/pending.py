"""What waits to be honoured: restrictions that came after a corpus was made, in all corpora that are here.

Each corpus is asked for itself: its manifest says what was known of people (``narrowed_at``) and of the source
(``source_state``) when it was made. One whose manifest does not say that waits: unknown never means yes. An older one
that an erasure found nothing in is noted as cleared until then (``superseded.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from demur import erasure
from demur.clock import parse
from demur.corpus import read_manifest
from demur.errors import RefusedError
from demur.flows.parts import Parts, current, kept_policy
from demur.intake import state_digest
from demur.people import Restriction

SOURCE_STATE = "source_state"
"""Member of a manifest's inputs: state of the imported tables when it was made, if it knows of all that they held."""


def refuse_unfinished(parts: Parts) -> None:
    """Refuse to go on beside an erasure that was begun and not finished."""
    begun = erasure.unfinished(parts.workspace.erasures)
    if begun:
        raise RefusedError(
            f"expected no unfinished erasure, found {begun[0].erasure_id}; run `demur erase`, which goes on there"
        )


def waiting_for(parts: Parts, corpus: Path, *, by: datetime | None = None) -> tuple[Restriction, ...]:
    """Return what was learned since one corpus was made, and by an instant, and takes something away."""
    return _waiting_for(parts, corpus, state_digest(parts.workspace.source), by)


def _waiting_for(parts: Parts, corpus: Path, state: str, by: datetime | None) -> tuple[Restriction, ...]:
    inputs = read_manifest(corpus).inputs
    since = current(parts.workspace).cleared.get(corpus.name) or inputs["narrowed_at"]
    said = parts.registry.restrictions_since(parse(since))
    found = tuple(one for one in said if by is None or (one.recorded_at or by) <= by)
    return found if inputs.get(SOURCE_STATE) == state else (*found, source_changed(state))


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
    """
    found: dict[str, Restriction] = {}
    corpora = whole_corpora(parts)
    state = state_digest(parts.workspace.source) if corpora else ""
    for corpus in corpora:
        found |= {one.restriction_id: one for one in _waiting_for(parts, corpus, state, by)}
    return tuple(found[name] for name in sorted(found))


def last_look(parts: Parts) -> datetime | None:
    """Return until when the corpora here know what was learned; ``None`` = there is none."""
    return max((parse(read_manifest(one).inputs["narrowed_at"]) for one in whole_corpora(parts)), default=None)


def standing_corpus(parts: Parts) -> Path | None:
    """Return the corpus that an erasure starts from: the current one, else the newest; ``None`` = there is none.

    The current one may have expired or been destroyed by an order, or a first build was killed before it was noted.
    What somebody says reaches the versions that are left all the same.
    """
    here = current(parts.workspace).corpus
    if here is not None:
        return parts.workspace.corpora / here

    def age(corpus: Path) -> tuple[datetime, datetime, str]:
        inputs = read_manifest(corpus).inputs
        return parse(inputs["known_at"]), parse(inputs["narrowed_at"]), corpus.name

    return max(whole_corpora(parts), key=age, default=None)


def erases_itself(parts: Parts) -> bool:
    """Say whether an objection takes out by itself what was used before (policy: ``erase_on_objection``; OBJ-06).

    With nothing that could have been used, it does.
    """
    corpus = standing_corpus(parts)
    if corpus is None:
        return True
    return kept_policy(parts.workspace, read_manifest(corpus).inputs["policy"])[1].erase_on_objection


def whole_corpora(parts: Parts) -> list[Path]:
    """Return every corpus in the workspace that has its manifest."""
    return [path.parent for path in sorted(parts.workspace.corpora.glob("[!.]*/manifest.json"))]
