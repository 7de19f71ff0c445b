"""The concrete parts that every flow works with, and the note of what is current in a workspace."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from demur.errors import BrokenError, RefusedError
from demur.ledger import Entry, Ledger
from demur.people import Registry
from demur.policy.reading import in_full, parse_full, read
from demur.store import KeyRing, Workspace, read_json, write_bytes, write_json
from demur.terms.policy import Policy
from demur.terms.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Parts:
    """What a flow needs: chosen by ``wiring``, handed in by a face."""

    workspace: Workspace
    registry: Registry
    keys: KeyRing
    progress: Progress = silent

    def log(self, *entries: Entry) -> list[int]:
        """Append entries to the ledger; an entry known by its key keeps its index."""
        with Ledger.open(self.workspace.ledger, self.keys) as ledger:
            return ledger.append(entries)


_FORMER = frozenset({"base", "source"})
"""Members of ``current.json`` that nothing reads any more."""


@dataclass(frozen=True, slots=True)
class Current:
    """What a workspace serves: ids of its current corpus and model."""

    corpus: str | None = None
    model: str | None = None
    cleared: dict[str, str] = field(default_factory=dict)
    """Older corpus that is still here → until when erasures have found nothing in it that must go."""


def current(workspace: Workspace) -> Current:
    """Return what is current; everything ``None`` in a new workspace.

    Raises:
        BrokenError: the note was changed.
    """
    path = workspace.root / "current.json"
    found = read_json(path) if path.exists() else {}
    try:
        return Current(**{name: value for name, value in found.items() if name not in _FORMER})
    except (AttributeError, TypeError) as error:
        raise BrokenError("expected what is current in current.json, found something else; restore the file") from error


def set_current(workspace: Workspace, **changed: Any) -> Current:
    """Note what is current now, whole or not at all."""
    new = replace(current(workspace), **changed)
    write_json(workspace.root / "current.json", asdict(new))
    return new


def corpus_folder(workspace: Workspace, corpus: str | None = None) -> Path:
    """Return the folder of a corpus, by default the current one.

    Raises:
        RefusedError: there is none yet.
    """
    name = corpus or current(workspace).corpus
    if name is None or not (workspace.corpora / name).is_dir():
        raise RefusedError(f"expected a corpus {name or ''} in this workspace, found none; run `demur corpus build`")
    return workspace.corpora / name


def model_folder(workspace: Workspace, model: str | None = None) -> Path:
    """Return the folder of a model, by default the current one.

    Raises:
        RefusedError: there is none yet.
    """
    name = model or current(workspace).model
    if name is None or not (workspace.models / name).is_dir():
        raise RefusedError(f"expected a model {name or ''} in this workspace, found none; run `demur train`")
    return workspace.models / name


def keep_policy(workspace: Workspace, reference: str) -> Policy:
    """Read a policy and keep it in full under its digest, so that every later release decides by the very same one."""
    full = in_full(reference)
    found = parse_full(full)
    kept = workspace.policies / f"{found.digest}.json"
    if not kept.exists() or kept.read_bytes() != full.encode():
        write_bytes(kept, full.encode())
    return found


def kept_policy(workspace: Workspace, digest: str) -> tuple[str, Policy]:
    """Return the kept policy of a digest and its reference.

    Raises:
        BrokenError: it is gone, or is not what it was.
    """
    kept = workspace.policies / f"{digest}.json"
    if not kept.exists() and kept.with_suffix(".toml").exists():
        kept = kept.with_suffix(".toml")  # an earlier version kept the file as it was
    if not kept.exists():
        raise BrokenError(f"expected the policy file {kept.name} in {kept.parent}, found none; restore it")
    found = read(str(kept))
    if found.digest != digest:
        raise BrokenError(f"the policy file {kept.name} was changed; restore it")
    return str(kept), found
