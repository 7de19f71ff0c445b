"""Two versions of a corpus side by side: what came, what went, why; as facts for a page."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from demur.clock import iso
from demur.corpus import read_manifest
from demur.corpus.changes import GONE_FROM_SOURCE, NEW_IN_SOURCE, Movement, changes
from demur.disclosure.changes import ChangeFacts, Decided, Moved, VersionFacts, Why, render_changes
from demur.flows.parts import Parts, corpus_folder
from demur.i18n import sentence
from demur.store import write_bytes
from demur.terms.manifests import CorpusManifest
from demur.terms.reasons import Exclusion, Reason

_OWN = {
    NEW_IN_SOURCE: "It was not in the content read in before.",
    GONE_FROM_SOURCE: "It is not in the content read in any more.",
    "unknown": "The earlier build did not note why.",
}
_RIGHTS = {reason.value for reason in Reason} | {Exclusion.PROTECTED_COPY.value}


def compare(parts: Parts, before: str, after: str, *, at: datetime) -> ChangeFacts:
    """Count what differs between two versions and why.

    Args:
        parts: the workspace; needs its lineage key.
        before: id of a corpus.
        after: id of another.
        at: now, for the page.
    """
    folders = corpus_folder(parts.workspace, before), corpus_folder(parts.workspace, after)
    first, second = (read_manifest(folder) for folder in folders)
    moved = changes(*folders, keys=parts.keys)
    return ChangeFacts(
        made_at=iso(at),
        before=_version(first),
        after=_version(second),
        came=moved.came,
        went=moved.went,
        changed=moved.changed,
        why_came=_whys(moved.why_came),
        why_went=_whys(moved.why_went),
        regions=_moved(moved, "region"),
        languages=_moved(moved, "language"),
        kinds=_moved(moved, "kind"),
        decisions=_decided(first, second),
        recipe=_recipe(first.inputs["recipe"], second.inputs["recipe"]),
    )


def write_page(facts: ChangeFacts, path: Path) -> None:
    """Write the page, whole or not at all."""
    write_bytes(path, render_changes(facts).encode())


def _version(one: CorpusManifest) -> VersionFacts:
    return VersionFacts(
        corpus_id=one.corpus_id,
        digest=one.digest,
        policy=one.inputs["policy_name"],
        policy_digest=one.inputs["policy"],
        known_at=one.inputs["known_at"],
        narrowed_at=one.inputs["narrowed_at"],
        items=one.counts["items"]["all"],
        records=one.counts["records"]["all"],
    )


def _whys(counts: Counter[str]) -> tuple[Why, ...]:
    order = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(Why(code, _OWN.get(code) or sentence(code), count, code in _RIGHTS) for code, count in order)


def _moved(moved: Movement, group: str) -> tuple[Moved, ...]:
    rows = [Moved(name, one["came"], one["went"], one["changed"]) for name, one in moved.by[group].items()]
    return tuple(sorted(rows, key=lambda one: (-(one.came + one.went + one.changed), one.name)))


def _decided(first: CorpusManifest, second: CorpusManifest) -> tuple[Decided, ...]:
    found = []
    for name in ("decisions", "exclusions"):
        old, new = first.counts.get(name, {}), second.counts.get(name, {})
        codes = sorted({*old, *new} - {"all", "allowed"}, key=lambda code: (-new.get(code, 0), code))
        found += [Decided(code, old.get(code, 0), new.get(code, 0)) for code in codes]
    return tuple(one for one in found if one.before or one.after)


def _recipe(first: dict[str, Any], second: dict[str, Any]) -> tuple[str, ...]:
    names = sorted(name for name in {*first, *second} if first.get(name) != second.get(name))
    return tuple(
        f"{name} {first.get(name)} → {second.get(name)}" if name != "regions" else "other regions" for name in names
    )
