"""An authority's order to erase a slice, a corpus or a model, and the papers about it (ERA-06)."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
from flow_worlds import LATER, opened

from demur.errors import InputError, RefusedError
from demur.flows.hold import lift_hold
from demur.flows.order import execute
from demur.flows.parts import current
from demur.flows.verify import verify_certificate
from demur.ledger import Ledger, read_proof, verify_proof
from demur.training import read_model

ORDER = {"authority": "BfDI", "instrument": "order 7/2026"}


def _execute(here, name="o-1", **scope):
    return execute(here.parts, name, {**ORDER, **scope}, clock=lambda: LATER, workers=1)


def _photos(here):
    return {one["item_id"] for one in here.lineage()} & {"agora:kurt-photo", "agora:lena-photo"}


def test_a_slice_is_erased_for_good_and_the_pack_can_be_checked(here):
    assert len(_photos(here)) == 2
    done = _execute(here, countries=["PT"], kinds=["photo"], created_until="2026-07-01T00:00:00Z")
    assert {one.share.items for one in done.before} == {2}
    assert {one.share.items for one in done.after} == {0}
    assert not _photos(here)
    assert {"kurt", "lena"} <= here.authors()  # their posts stay
    assert here.clean().equal
    assert [one for one in verify_certificate(here.parts, done.pack / "certificate.json") if one.ok is False] == []
    with Ledger.open(here.space.ledger, here.parts.keys) as ledger:
        for name in ("order", "execution"):
            verify_proof(read_proof((done.pack / f"{name}.tlog-proof").read_text()), ledger.verifier_key)
    facts = orjson.loads((done.pack / "order.json").read_bytes())
    assert facts["order"]["nature"] == "order"
    assert facts["erasure"] == done.erased.erasure_id
    assert "2 → 0" in (done.pack / "READ-ME.txt").read_text() or "2 → gone" in (done.pack / "READ-ME.txt").read_text()
    with pytest.raises(RefusedError, match="order to erase"):
        lift_hold(here.parts, "o-1", by=["Ann", "Bea"], reason="done", at=LATER)
    said = {"type": "hold", "hold_id": "o-1", "act": "lift", "by": ["Ann", "Bea"], "authority": "x", "instrument": "y"}
    here.parts.registry.record(said, recorded_at=LATER)  # nor by an event file
    later = LATER + timedelta(days=30)
    from demur.flows.build import build_corpus

    build_corpus(here.parts, "demur-strict", here.recipe(), as_of=later, known_at=later)
    assert not _photos(here)


def test_a_killed_order_goes_on_and_a_second_one_finds_nothing_left(here):
    def die(stage, _done, _total):
        if stage == "decide":
            raise KeyboardInterrupt

    object.__setattr__(here.parts, "progress", die)
    with pytest.raises(KeyboardInterrupt):
        _execute(here, countries=["PT"], kinds=["photo"])
    here.parts.registry.close()
    with opened(here.space.root) as again:
        done = _execute(again, countries=["PT"], kinds=["photo"])
        assert done.erased is not None
        assert {one.share.items for one in done.before} == {2}
        assert not _photos(again)
        second = _execute(again, "o-2", countries=["PT"], kinds=["photo"])
        assert second.erased is None
        assert {one.share.items for one in second.before} == {0}


def test_a_whole_model_or_corpus_is_destroyed(here):
    first = current(here.space)
    done = _execute(here, artefact=first.model)
    assert read_model(here.space.models / first.model).status == "destroyed"
    assert not list((here.space.models / first.model).rglob("*.safetensors"))
    assert not list((here.space.models / "states").rglob("*.safetensors"))
    assert current(here.space).model is None
    assert (here.space.corpora / first.corpus).exists()
    assert done.erased is None
    _execute(here, "o-2", artefact=first.corpus)
    assert not (here.space.corpora / first.corpus).exists()
    assert current(here.space).corpus is None


def test_an_order_that_names_nothing_that_is_here_is_refused(here):
    with pytest.raises(InputError, match="corpus or model"):
        _execute(here, artefact="nothing")
    with pytest.raises(InputError, match="slashes"):
        _execute(here, "../x", countries=["PT"])
    assert here.parts.registry.holds() == []
