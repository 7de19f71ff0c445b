"""The six steps of one erasure. Each may be killed anywhere and run again; its facts are written when it is done."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from demur import erasure
from demur.clock import iso, parse
from demur.corpus import read_manifest, touched
from demur.erasure import Journal
from demur.errors import BrokenError
from demur.flows.build import rebuild_corpus, train_model
from demur.flows.certify import certify, save_before, save_complete
from demur.flows.fallback import fall_back
from demur.flows.kept import forget as forget_decisions
from demur.flows.left import clear_all
from demur.flows.media import corpus_media, doomed_media, media_after
from demur.flows.parts import Parts, set_current
from demur.flows.pending import came_since, source_changed
from demur.flows.plan import asked, make_plan, people_asked, place, plan_as_json, plan_from_facts
from demur.flows.superseded import superseded
from demur.people import Restriction
from demur.terms.manifests import CorpusManifest, ErasurePlan, SliceRef
from demur.training import doomed, forget, open_base, plan_from_json, read_model, rollback

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did, or with ``dry_run`` would do."""

    erasure_id: str
    plan: ErasurePlan
    tokens: dict[SliceRef, int]
    restrictions: tuple[Restriction, ...]
    first_effect_seconds: float
    corpus: str
    model: str | None
    """Digest of the model after."""
    certificate: Path | None


class Steps:
    """The steps of one erasure, by the names of ``erasure.STEPS``; each gets its folder and returns its facts."""

    def __init__(
        self, parts: Parts, journal: Journal, workers: int | None, clock: Callable[[], datetime], begun: float
    ) -> None:
        self.journal = journal
        self._parts = parts
        self._workers = workers
        self._clock = clock
        self._begun = begun
        facts = journal.request["facts"]
        space = parts.workspace
        self._narrowed_at = self._looked_at = parse(facts["narrowed_at"])
        self._before = space.corpora / facts["corpus"]
        self._old = space.models / facts["model"] if facts["model"] else None

    def latecomers(self) -> None:
        """Let the served model fall back also for whoever came since: the next erasure does the rest for them."""
        late = came_since(self._parts, self._looked_at)
        if not late:
            return
        self._looked_at = max(one.recorded_at for one in late if one.recorded_at)
        replayed = self.journal.facts("replay") is not None
        corpus, model = (self._after, self._model_after()) if replayed else (self._before, self._model)
        if model is not None:
            try:
                fall_back(self._parts, corpus, model, late)
            except BrokenError as error:
                self._withdraw(error)

    def rollback(self, folder: Path) -> dict[str, Any]:
        """Serve the touched shards from states that never saw the people: exact, and at once."""
        save_before(folder, self._before, self._old)
        if self._old is None:
            return {"seconds": 0.0, "at": None, "shards": 0}
        people, names = self._people()
        places = touched(self._before, people, keys=self._parts.keys, names=names)
        return self._fall(self._old, erasure.first_touched(places))

    def corpus(self, _folder: Path) -> dict[str, Any]:
        """Build the corpus as it would be without them."""
        after = rebuild_corpus(
            self._parts,
            self._manifest_before(),
            narrowed_at=self._narrowed_at,
            replaces=self._before,
            workers=self._workers or 1,
        )
        space = self._parts.workspace
        media = media_after(self._parts, self._before.name, space.corpora / after.corpus_id, at=self._narrowed_at)
        return {"corpus": after.corpus_id, **media}

    def plan(self, _folder: Path) -> dict[str, Any]:
        """Compare; where more changed than the lineage said at once (a hold, a deletion), roll back that too."""
        people, names = self._people()
        old = superseded(
            self._parts,
            self._restrictions(),
            before=self._before,
            after=self._after,
            model=self._old,
            people=people,
            names=names,
            source=self.journal.request["facts"]["source"],
        )
        older = [self._parts.workspace.corpora / name for name in old.corpora]
        made, tokens = make_plan(self._parts, self._before, self._after, self._model, self._restrictions(), older=older)
        facts: dict[str, Any] = {}
        if self._model is not None:
            back = self._fall(self._model, erasure.first_touched(made.changed))
            if back["shards"] or "withdrawn" in back:
                facts["rollback"] = back
        counts = [[*place(ref), count] for ref, count in tokens.items()]
        return {**facts, "plan": plan_as_json(made), "tokens": counts, "superseded": asdict(old)}

    def replay(self, folder: Path) -> dict[str, Any]:
        """Train the changed shards again from their last clean slice, then serve the new corpus and model."""
        begun = time.perf_counter()
        new = None
        if self._model is not None:
            save_before(self.journal.folder / "rollback", None, self._model, name="rolled_back")
            old = read_model(self._model)
            base = open_base((self._model / old.base_path).resolve(), self._parts.workspace.models)
            trained = train_model(
                self._parts,
                plan_from_json(old.plan),
                base,
                at=self._narrowed_at,
                corpus=self._after,
                workers=self._workers,
                clock=self._clock,
                border=self.latecomers,
            )
            new = trained.model_id
            made = self._parts.workspace.models / new
            save_complete(folder, made)
            fall_back(self._parts, self._after, made, came_since(self._parts, self._narrowed_at))
        cleared = dict.fromkeys(self._fact("plan")["superseded"]["kept"], iso(self._narrowed_at))
        set_current(self._parts.workspace, corpus=self._after.name, model=new, cleared=cleared)
        return {"model": new, "seconds": time.perf_counter() - begun, "at": iso(self._clock())}

    def purge(self, folder: Path) -> dict[str, Any]:
        """Destroy the corpus before, what else held them, and every state and merged weight that saw what is gone."""
        space = self._parts.workspace
        clear_all(space)  # first: what it links must not keep bytes alive
        old, new = self._fact("plan")["superseded"], self._model_after()
        paths = [space.corpora / name for name in old["corpora"]]
        if self._after != self._before:
            paths.append(self._before)
        models = [space.models / name for name in old["models"]]
        if self._old is not None:
            models.append(self._old)
        gone = [one for one in models if one != new]
        shards = {(one.region, one.shard) for one in plan_from_facts(self._fact("plan")).changed}
        paths += doomed(space.models, None if old["corpora"] or old["models"] else shards, gone=gone)
        media = self._fact("corpus").get("media")
        paths += doomed_media(self._parts, [corpus_media(space, self._after.name) / media] if media else [])
        done = erasure.Destruction(space.root, folder / "destroyed.jsonl").destroy(paths, self._clock())
        for one in gone:
            forget(one)
        forget_decisions(self._parts)
        return {"files": len(done)}

    def certificate(self, _folder: Path) -> dict[str, Any]:
        """Issue, log and keep the certificate; the nonces go to whoever answers the people."""
        path = self.journal.folder / "certificate.json"
        certify(
            self._parts,
            self.journal,
            plan_from_facts(self._fact("plan")),
            after=self._after,
            model=self._model_after(),
            first_effect=self._first_effect(),
            nonces={one.restriction_id: secrets.token_hex(32) for one in self._restrictions()},
            asked=sorted(asked(self._parts, self._restrictions())),
            at=self._clock(),
            path=path,
        )
        return {"certificate": path.name}

    def outcome(self) -> Erased:
        """Return what was done."""
        facts = self._fact("plan")
        tokens = {SliceRef(region, shard, part): count for region, shard, part, count in facts["tokens"]}
        new = self._model_after()
        return Erased(
            self.journal.erasure_id,
            plan_from_facts(facts),
            tokens,
            self._restrictions(),
            self._first_effect()["seconds"],
            self._after.name,
            read_model(new).model_digest if new else None,
            self.journal.folder / self._fact("certificate")["certificate"],
        )

    def _fall(self, model: Path, places: Mapping[tuple[str, int], int]) -> dict[str, Any]:
        """Let the model fall back. One that cannot, for a file is damaged, is withdrawn: else it would go on with them.

        Its states stay where nothing changed, so that training on the corpus after is no more than what a replay is.
        """
        facts: dict[str, Any] = {}
        try:
            shards = len(rollback(model, places, self._parts.keys).shards)
        except BrokenError as error:
            self._withdraw(error)
            shards, facts = 0, {"withdrawn": True}
        return {"seconds": time.perf_counter() - self._begun, "at": iso(self._clock()), "shards": shards, **facts}

    def _withdraw(self, error: BrokenError) -> None:
        _LOG.warning("the model cannot be made free of them and answers no more; train again: %s", error)
        set_current(self._parts.workspace, model=None)

    def _first_effect(self) -> dict[str, Any]:
        """Return when the served model was free of everything: what was found later counts, not what came first."""
        found: dict[str, Any] = self._fact("plan").get("rollback") or self._fact("rollback")
        return found

    def _manifest_before(self) -> CorpusManifest:
        return read_manifest(self.journal.folder / "rollback" / "before-corpus")

    @property
    def _model(self) -> Path | None:
        """The model before, while it can be brought up to date; ``None`` = there is none, or it was given up since."""
        known = self.journal.facts("rollback") or {}, (self.journal.facts("plan") or {}).get("rollback", {})
        if self._old is None or any("withdrawn" in one for one in known):
            return None
        return None if read_model(self._old).status == "destroyed" else self._old

    @property
    def _after(self) -> Path:
        return self._parts.workspace.corpora / str(self._fact("corpus")["corpus"])

    def _model_after(self) -> Path | None:
        name = self._fact("replay")["model"]
        return self._parts.workspace.models / name if name else None

    def _fact(self, step: str) -> dict[str, Any]:
        found = self.journal.facts(step)
        assert found is not None, "steps run in order"
        return found

    def _people(self) -> tuple[list[str], list[str]]:
        """Return everybody whom the erasure is about, linked ids among them, and their full names."""
        people = people_asked(self._parts, self._restrictions())
        return people, self._parts.registry.names_of(people)

    def _restrictions(self) -> tuple[Restriction, ...]:
        wanted = set(self.journal.request["restrictions"])
        known = [
            *self._parts.registry.restrictions_since(None),
            source_changed(self.journal.request["facts"]["source"]),
        ]
        return tuple(one for one in known if one.restriction_id in wanted)
