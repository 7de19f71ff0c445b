"""Which versions of a corpus have had their time (COR-13; GDPR art. 5(1)(e)), and what two versions share. Pure.

A version's time runs from ``known_at``, when its content and people were looked at: an erasure makes a new version, but
gives nobody's text a longer life. Does not destroy: ``flows.expire``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from demur.clock import parse
from demur.corpus.manifest import read_manifest
from demur.errors import ConfigError
from demur.terms.manifests import CorpusManifest
from demur.terms.site import Retention


@dataclass(frozen=True, slots=True)
class Version:
    """One corpus that is here."""

    corpus_id: str
    known_at: datetime
    narrowed_at: datetime
    records: int
    current: bool = False
    served: bool = False
    """The served model was trained from it."""
    models: tuple[str, ...] = ()
    """Models that were trained from it and are not destroyed."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A version, whether it goes, and why or why not."""

    version: Version
    expires: bool
    why: str


def version_of(folder: Path, *, current: bool, served: bool, models: Sequence[str]) -> Version:
    """Return the facts of a corpus that retention looks at."""
    manifest = read_manifest(folder)
    return Version(
        corpus_id=manifest.corpus_id,
        known_at=parse(manifest.inputs["known_at"]),
        narrowed_at=parse(manifest.inputs["narrowed_at"]),
        records=manifest.counts["records"]["all"],
        current=current,
        served=served,
        models=tuple(sorted(models)),
    )


def check(retention: Retention) -> None:
    """Refuse a retention that says something else than it can mean.

    Raises:
        ConfigError: each fault is named.
    """
    faults = [
        f"{name}: expected a number of 0 or more"
        for name in ("keep_days", "keep_versions")
        if type(getattr(retention, name)) is not int or getattr(retention, name) < 0
    ]
    if retention.served not in {"keep", "expire"}:
        faults.append("served: expected keep or expire")
    if faults:
        raise ConfigError("expected a retention that can be carried out, found faults; see docs/expiry.md", faults)


def judge(versions: Sequence[Version], retention: Retention, *, at: datetime) -> list[Judged]:
    """Say of every version whether it goes, newest first; the current one counts as the newest.

    >>> from datetime import UTC
    >>> day = lambda number: datetime(2026, 1, number, tzinfo=UTC)
    >>> made = [Version(f"c{number}", day(number), day(number), 9) for number in (1, 2, 3)]
    >>> [(one.version.corpus_id, one.expires) for one in judge(made, Retention(keep_versions=2), at=day(9))]
    [('c3', False), ('c2', False), ('c1', True)]
    """
    check(retention)
    order = sorted(versions, key=lambda one: (one.current, one.known_at, one.narrowed_at, one.corpus_id), reverse=True)
    return [_judge(one, place, retention, at) for place, one in enumerate(order, 1)]


def _judge(one: Version, place: int, retention: Retention, at: datetime) -> Judged:
    whys = []
    if retention.keep_days and at - one.known_at > timedelta(days=retention.keep_days):
        whys.append(f"older than {retention.keep_days} days")
    if retention.keep_versions and place > retention.keep_versions and not one.current:
        whys.append(f"not among the newest {retention.keep_versions}")
    if whys and one.served and retention.served == "keep":
        return Judged(one, False, f"{' and '.join(whys)}, but the served model was trained from it")
    return Judged(one, bool(whys), " and ".join(whys) or "within its time")


def shared_with(manifest: CorpusManifest, others: Sequence[CorpusManifest]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return (path, digest, ids of the others) of every filled slice whose bytes another version has too."""
    holders: dict[str, set[str]] = {}
    for other in others:
        for one in other.slices:
            if one.records:
                holders.setdefault(one.file_digest, set()).add(other.corpus_id)
    return [
        (one.path, one.file_digest, tuple(sorted(holders[one.file_digest])))
        for one in manifest.slices
        if one.records and one.file_digest in holders
    ]
