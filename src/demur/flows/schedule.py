"""New versions of the corpus by themselves: built when their time has come, from what is known then (COR-01, COR-13).

A scheduled build repeats the current one (same recipe, same policy unless site.toml names another) at the present
instant. While no model is served the new version becomes the current one. While one is, nothing changes for who asks
it: the version stands beside the current one until somebody adopts it. Versions that have had their time then expire.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from demur import erasure
from demur.clock import parse
from demur.corpus import read_manifest, settle
from demur.errors import ConfigError, RefusedError
from demur.flows.build import build_corpus, corpus_of
from demur.flows.decided import decided
from demur.flows.expire import expire, rehearse, unfinished
from demur.flows.honour import erase_waiting
from demur.flows.parts import Parts, corpus_folder, current, keep_policy, kept_policy, set_current
from demur.flows.pending import refuse_unfinished, waiting_for, whole_corpora
from demur.flows.service import Service
from demur.terms.manifests import CorpusManifest, CorpusRecipe
from demur.terms.site import Schedule, Site
from demur.training import read_model

LOOK_EVERY_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 6 * 3600.0
"""After failures in a row a build is tried again after at most so long."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a scheduled round did."""

    built: CorpusManifest | None
    """``None``: its time had not come."""
    adopted: bool
    expired: tuple[Path, ...]
    """Records of destruction."""


def due_at(parts: Parts, schedule: Schedule) -> datetime | None:
    """Return when the next version should be built; ``None`` = never, or there is nothing to repeat yet.

    Raises:
        ConfigError: the interval is no number of hours.
    """
    if type(schedule.every_hours) is not int or schedule.every_hours < 0:
        raise ConfigError("expected every_hours under [schedule] to be a number of 0 or more; see docs/expiry.md")
    if not schedule.every_hours or current(parts.workspace).corpus is None:
        return None
    newest = max(parse(read_manifest(one).inputs["known_at"]) for one in whole_corpora(parts))
    return newest + timedelta(hours=schedule.every_hours)


def run(parts: Parts, site: Site, *, clock: Callable[[], datetime], workers: int = 1, now: bool = False) -> Ran:
    """Build the next version if its time has come, then let versions expire.

    Args:
        parts: the workspace, alone.
        site: schedule and retention.
        clock: the present instant.
        workers: processes.
        now: build also before its time.

    Raises:
        RefusedError: there is no corpus to repeat, or an erasure is unfinished.
    """
    settle(parts.workspace.corpora)
    due = due_at(parts, site.schedule)
    built = None
    if now or (due is not None and due <= clock()):
        built = build_next(parts, site.schedule, clock=clock, workers=workers)
    retention = site.retention
    wanted = retention.keep_days or retention.keep_versions or unfinished(parts)
    gone = expire(parts, retention, clock=clock).records if wanted else ()
    adopted = built is not None and current(parts.workspace).corpus == built.corpus_id
    return Ran(built, adopted, gone)


def build_next(parts: Parts, schedule: Schedule, *, clock: Callable[[], datetime], workers: int = 1) -> CorpusManifest:
    """Build the next version; what waits to be taken out is carried out first.

    Raises:
        RefusedError: there is no corpus to repeat, or an erasure is unfinished.
    """
    here = current(parts.workspace)
    inputs = read_manifest(corpus_folder(parts.workspace)).inputs
    recipe = CorpusRecipe(**inputs["recipe"])
    reference = schedule.policy or kept_policy(parts.workspace, inputs["policy"])[0]
    if here.model is None:
        at = clock()
        return build_corpus(parts, reference, recipe, as_of=at, known_at=at, workers=workers)
    erase_waiting(parts, clock=clock, workers=workers)
    refuse_unfinished(parts)
    at = clock()
    policy = keep_policy(parts.workspace, reference)
    parts.registry.look(at)
    with decided(parts, policy, reference, as_of=at, known_at=at, carry=True) as found:
        return corpus_of(parts, found, recipe, workers=workers)


def adopt(parts: Parts, corpus_id: str) -> str | None:
    """Make a version the current one, with the model that was trained from it; return that model's id.

    Raises:
        RefusedError: it is not here, or something waits to be taken out of it, or an erasure is unfinished.
    """
    refuse_unfinished(parts)
    folder = corpus_folder(parts.workspace, corpus_id)
    read_manifest(folder)
    if folder.name in {one.name[:16] for one in unfinished(parts)}:
        raise RefusedError(f"the corpus {folder.name} has expired, and its destruction was begun; use another version")
    if waiting_for(parts, folder):
        raise RefusedError(
            f"the corpus {corpus_id} may not become the current one: objections, holds, corrections or deletions"
            " arrived after it was built; run `demur erase`, or build a new version"
        )
    made = [read_model(path.parent) for path in sorted(parts.workspace.models.glob("*/manifest.json"))]
    models = {one.model_id: one.status for one in made if one.corpus_id == corpus_id and one.status != "destroyed"}
    here = current(parts.workspace).model
    model = here if here in models else next((name for name, status in models.items() if status == "complete"), None)
    set_current(parts.workspace, corpus=corpus_id, model=model)
    return model


# Beside the site -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Rounds:
    """What this process knows about one workspace."""

    child: subprocess.Popen[bytes] | None = None
    failed: int = 0
    after: float = 0.0
    """Monotonic seconds of the next look."""


_ROUNDS: dict[Path, _Rounds] = {}


def step(service: Service) -> int:
    """Begin a round in a child process when one is due; return 1 when one was begun, 0 otherwise.

    While an erasure is unfinished nothing is begun: it comes first.
    """
    parts, site = service.parts, service.site
    mine = _ROUNDS.setdefault(parts.workspace.root, _Rounds())
    if mine.child is not None:
        code = mine.child.poll()
        if code is None:
            return 0
        mine.child = None
        mine.failed = 0 if code == 0 else mine.failed + 1
        mine.after = time.monotonic() + min(LONGEST_PAUSE_SECONDS, LOOK_EVERY_SECONDS * 2**mine.failed)
    if time.monotonic() < mine.after:
        return 0
    mine.after = time.monotonic() + LOOK_EVERY_SECONDS
    if erasure.unfinished(parts.workspace.erasures) or not _waits(parts, site, service.clock()):
        return 0
    command = [sys.executable, "-m", "demur", "--home", str(parts.workspace.root), "--quiet"]
    mine.child = subprocess.Popen(  # noqa: S603  (our own interpreter, our own module)
        [*command, "corpus", "schedule", "--run"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return 1


def _waits(parts: Parts, site: Site, at: datetime) -> bool:
    due = due_at(parts, site.schedule)
    if due is not None and due <= at:
        return True
    if unfinished(parts):  # also one that was begun by hand
        return True
    retention = site.retention
    if not (retention.keep_days or retention.keep_versions):
        return False
    return any(one.expires for one in rehearse(parts, retention, at=at).judged)


def wait(service: Service) -> int | None:
    """Wait until the round that this process began is over; return its exit code. For tests, and an orderly end."""
    mine = _ROUNDS.get(service.parts.workspace.root)
    return mine.child.wait() if mine is not None and mine.child is not None else None
