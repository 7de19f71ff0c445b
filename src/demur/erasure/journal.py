"""The steps of one erasure, each done once, in order, whatever is killed in between (issue 2 §8).

An erasure is named by what it must honour: the pending restrictions and the model that they are asked of. So the same
request finds its own journal again, and goes on at the first step that is not done. A step's work gets a folder of its
own and must be able to run again after a kill; its facts are written last (``store.commit_record``).

Not handled here: what a step does; the workspace's lock; the clock. Facts lie open on the disk: ids and digests only,
never a name, an address or a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demur.errors import BrokenError, RefusedError
from demur.store import commit_record, digest_json, read_commit, read_json, write_json

STEPS = ("rollback", "corpus", "plan", "replay", "purge", "certificate")
"""In this order: first effect early, destruction only when the replacement stands."""

_REQUEST = "REQUEST.json"


@dataclass(frozen=True, slots=True)
class Journal:
    """One erasure in progress or done."""

    folder: Path
    erasure_id: str
    request: dict[str, Any]
    """As written when the erasure began: a resumed run must use these facts, not newer ones."""

    @classmethod
    def begin(
        cls, erasures: Path, *, restrictions: Sequence[str], model: str, facts: Mapping[str, Any] | None = None
    ) -> Journal:
        """Find the erasure for a set of pending restrictions, or begin it.

        Args:
            erasures: ``workspace.erasures``.
            restrictions: ids of the objections, holds, deletions … to honour; order and repeats do not matter.
            model: digest of the model (or corpus, when there is no model) that they are asked of.
            facts: what else the steps need (``known_at`` …), kept from the first call.

        Raises:
            RefusedError: there is nothing to honour.
        """
        wanted = sorted(set(restrictions))
        if not wanted:
            raise RefusedError("expected at least one pending restriction, found none; nobody asked for an erasure")
        erasure_id = digest_json({"restrictions": wanted, "model": model})[:16]
        folder = erasures / erasure_id
        if not (folder / _REQUEST).exists():
            write_json(folder / _REQUEST, {"restrictions": wanted, "model": model, "facts": dict(facts or {})})
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path) -> Journal:
        """Read a journal that was begun.

        Raises:
            BrokenError: the folder is no journal, or its request was changed.
        """
        request = read_json(folder / _REQUEST)
        name = digest_json({"restrictions": request.get("restrictions"), "model": request.get("model")})[:16]
        if name != folder.name:
            raise BrokenError(
                f"the request of erasure {folder.name} was changed; restore it or begin the erasure again"
            )
        return cls(folder, folder.name, request)

    def step(self, name: str, work: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        """Do a step unless it is done; return its facts either way.

        Args:
            name: one of ``STEPS``.
            work: gets the step's folder (kept as a killed run left it) and returns plain JSON facts.

        Raises:
            BrokenError: a step before it is not done.
        """
        missing = [one for one in STEPS[: STEPS.index(name)] if self.facts(one) is None]
        if missing:
            raise BrokenError(f"expected the step {missing[0]} before {name}; run the erasure from its beginning")
        done = self.facts(name)
        if done is None:
            folder = self.folder / name
            folder.mkdir(parents=True, exist_ok=True)
            commit_record(folder, work(folder))
            done = self.facts(name)
        assert done is not None, "a committed step has facts"
        return done

    def facts(self, name: str) -> dict[str, Any] | None:
        """Return the facts of a step that is done, or ``None``."""
        return read_commit(self.folder / name)

    def next_step(self) -> str | None:
        """Return the first step that is not done; ``None`` when the erasure is finished."""
        return next((one for one in STEPS if self.facts(one) is None), None)


def unfinished(erasures: Path) -> list[Journal]:
    """Return the erasures that were begun and not finished, by id; a resumed workspace finishes them first."""
    begun = sorted(path.parent for path in erasures.glob(f"*/{_REQUEST}"))
    return [journal for journal in map(Journal.load, begun) if journal.next_step() is not None]
