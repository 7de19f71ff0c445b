"""Tells others what was built from what: OpenLineage events, derived from the ledger and the manifests, sent once.

No flow knows of it: what happened is read from the ledger's public part since the last time, with the counts of the
manifests that are still here; a build that failed is known by the fault that its stage left. Events are appended to
``lineage/openlineage.jsonl`` and, where site.toml names a URL, posted there; a run that is killed repeats none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson

from demur.clock import iso
from demur.corpus import read_manifest
from demur.disclosure.openlineage import Event, Run, events, run_of_leaf, run_of_model, runs_of_corpus
from demur.errors import OutsideError
from demur.flows.left import BUILD, FAULT, run_folder
from demur.flows.parts import Parts
from demur.flows.service import Service
from demur.ledger import EntryKind, Ledger, read_leaf
from demur.store import digest_file, read_json, write_json
from demur.terms.site import OpenLineage
from demur.training import read_model

EVENTS, STATE = "openlineage.jsonl", "openlineage.json"
_FAULTS = f"{BUILD}*/*/{FAULT}"
_BATCH = 1_000
_SECONDS = 10.0
"""How long a post may take."""


def step(service: Service) -> int:
    """Tell what is new; return how many events that were."""
    parts = service.parts
    checkpoint = parts.workspace.ledger / "public" / "checkpoint"
    size = int(checkpoint.read_text(encoding="utf-8").split("\n")[1]) if checkpoint.exists() else 0
    if size == _state(parts)["next"] and not any(run_folder(parts.workspace).glob(_FAULTS)):
        return 0
    return tell(parts, service.site.openlineage)


def tell(parts: Parts, site: OpenLineage) -> int:
    """Append, and post where a URL is configured, the events of everything that was not told yet; return how many.

    Raises:
        OutsideError: the URL does not take them; they are told again next time.
    """
    folder = parts.workspace.root / "lineage"
    state, path = _state(parts), folder / EVENTS
    there = path.stat().st_size if path.exists() else 0
    if there < state["bytes"]:  # somebody took the file away, or began it anew: what is in it now is not ours to cut
        state = {**state, "bytes": there}
        write_json(folder / STATE, state)
    total = 0
    for told, after in _batches(parts, state, site.namespace):
        size = state["bytes"]
        if told:
            lines = b"".join(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in told)
            size = _append(path, lines, size)
            _post(told, site)
        state = {**after, "bytes": size}
        write_json(folder / STATE, state)
        total += len(told)
    return total


def _state(parts: Parts) -> dict[str, Any]:
    path = parts.workspace.root / "lineage" / STATE
    found: dict[str, Any] = read_json(path) if path.exists() else {"next": 0, "bytes": 0, "faults": []}
    return found


def _batches(parts: Parts, state: dict[str, Any], namespace: str) -> Iterator[tuple[list[Event], dict[str, Any]]]:
    """Yield events and the state when they are told, a few at a time."""
    known = set(state["faults"])
    faults = {name: run for name, run in _faults(parts) if name not in known}
    if faults:
        state = {**state, "faults": sorted({*known, *faults})}
        yield [event for run in faults.values() for event in events(run, namespace=namespace)], state
    if not (parts.workspace.ledger / "public" / "checkpoint").exists():
        return
    with Ledger.open(parts.workspace.ledger, parts.keys) as ledger:
        for first in range(state["next"], ledger.size, _BATCH):
            last = min(first + _BATCH, ledger.size)
            leaves = [read_leaf(raw) for _, raw in ledger.entries(first, last)]
            runs = [run for leaf in leaves for run in _runs(parts, leaf)]
            yield [event for run in runs for event in events(run, namespace=namespace)], {**state, "next": last}


def _runs(parts: Parts, leaf: dict[str, Any]) -> list[Run]:
    """Return the runs behind an entry, with what the manifest knows while it is here."""
    space, key, builds = parts.workspace, leaf["commitment"], leaf["builds"]
    corpus = space.corpora / builds.get("corpus", "")[:16]
    if leaf["kind"] == EntryKind.BUILD.value and "policy" in builds and (corpus / "manifest.json").exists():
        return runs_of_corpus(read_manifest(corpus), at=leaf["at"], key=key)
    if leaf["kind"] == EntryKind.RUN.value:
        for path in sorted(space.models.glob("*/manifest.json")):
            model = read_model(path.parent)
            if model.model_digest == builds.get("model"):
                return [run_of_model(model, at=leaf["at"], key=key)]
    run = run_of_leaf(leaf, key=key)
    return [run] if run else []


def _faults(parts: Parts) -> Iterator[tuple[str, Run]]:
    """Yield the builds that a stage failed, by the fault that it left: the error's type, never its message."""
    for path in sorted(run_folder(parts.workspace).glob(_FAULTS)):
        name = digest_file(path)[:16]
        at = iso(datetime.fromtimestamp(int(path.stat().st_mtime), tz=UTC))
        key = f"{path.parent.parent.name}:{name}"
        yield key, Run("corpus", key, at, error=read_json(path)["type"])


def _append(path: Path, lines: bytes, size: int) -> int:
    """Append durably after so many bytes, return how many there are then; what a killed run wrote behind is cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        stream.truncate(size)
        stream.seek(size)
        stream.write(lines)
        stream.flush()
        os.fsync(stream.fileno())
    return size + len(lines)


def _post(told: list[Event], site: OpenLineage) -> None:
    if not site.url:
        return
    headers = {"Authorization": f"Bearer {site.api_key}"} if site.api_key else {}
    try:
        with httpx.Client(timeout=_SECONDS, headers=headers) as client:
            for one in told:
                client.post(site.url, json=one).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OutsideError(
            f"expected {site.url} to take OpenLineage events, found {type(error).__name__}; they are told again later"
        ) from error
