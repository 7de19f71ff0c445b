"""What a training left that did not come to its end goes like any model: with the person, the version, by order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flow_worlds import LATER, POLICY, RECIPE, Platform

from demur.flows.build import build_corpus
from demur.flows.expire import expire
from demur.flows.order import execute
from demur.flows.parts import current
from demur.terms.site import Retention
from demur.training import pool, run

WEEK = timedelta(days=7)


def weights(here: Platform) -> set[str]:
    """Every file of the models that holds what was learned."""
    models = here.space.models
    found = {path.relative_to(models).as_posix() for path in models.rglob("*.safetensors")}
    return {one for one in found if not one.startswith("base/")}


def merged(patch: pytest.MonkeyPatch) -> None:
    """Kill the training when all is on disk but the manifest."""
    patch.setattr(run, "write_model", _die)


def half_way(patch: pytest.MonkeyPatch) -> None:
    """Kill it after some states."""
    written = []

    def some(*told: Any) -> None:
        written.append(pool_write(*told))
        if len(written) == 5:
            _die()

    pool_write = pool.write_state
    patch.setattr(pool, "write_state", some)


def _die(*_: Any) -> None:
    raise KeyboardInterrupt


def killed(here: Platform, how: Callable[[pytest.MonkeyPatch], None], **constants: Any) -> set[str]:
    """Kill a training and return what it left."""
    before = weights(here)
    with pytest.MonkeyPatch.context() as patch:
        how(patch)
        with pytest.raises(KeyboardInterrupt):
            here.train(**constants)
    return weights(here) - before


@pytest.mark.parametrize("kind", ["untrained", "trained"])
@pytest.mark.parametrize("how", [merged, half_way])
def test_whoever_leaves_leaves_it_too(copies: Callable[..., Platform], kind: str, how: Any) -> None:
    here = copies(kind)
    left = killed(here, how, lora_rank=4)
    assert left
    here.object("olga")
    done = here.erase()
    touched = tuple(f"states/{one.region}/{one.shard:03d}/" for one in done.plan.changed)
    rest = left & weights(here)
    assert all(one.startswith("states/") and not one.startswith(touched) for one in rest)
    gone = {one["what"] for one in here.certificate(done)["destroyed"]}
    assert {f"models/{one}" for one in left - rest} <= gone


def by_order(here: Platform, corpus: str) -> None:
    scope = {"authority": "BfDI", "instrument": "order 8/2026", "artefact": corpus}
    done = execute(here.parts, "o-1", scope, clock=lambda: LATER, workers=1)
    told = (done.pack / "READ-ME.txt").read_text()
    assert "destroyed.jsonl" in told
    assert "certificate.json" not in told


def by_age(here: Platform, corpus: str) -> None:
    here.object("olga")
    build_corpus(here.parts, POLICY, RECIPE, as_of=LATER, known_at=LATER)
    assert expire(here.parts, Retention(keep_versions=1), clock=lambda: LATER + WEEK).records
    assert not (here.space.corpora / corpus).exists()


@pytest.mark.parametrize("end", [by_order, by_age])
@pytest.mark.parametrize("how", [merged, half_way])
def test_it_goes_with_the_version_that_it_was_made_from(copies: Callable[..., Platform], how: Any, end: Any) -> None:
    here = copies("untrained")
    assert killed(here, how)
    end(here, str(current(here.space).corpus))
    assert weights(here) == set()
