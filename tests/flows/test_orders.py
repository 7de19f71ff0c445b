"""An authority's order to erase a slice, a corpus or a model, and the papers about it (ERA-06)."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
from flow_worlds import AS_OF, LATER, POLICY, opened

from demur.errors import InputError, RefusedError
from demur.flows import expire, order, steps
from demur.flows.build import build_corpus
from demur.flows.hold import lift_hold
from demur.flows.order import execute
from demur.flows.parts import current
from demur.flows.verify import verify_certificate
from demur.ledger import EntryKind, Ledger, read_proof, verify_proof
from demur.store import digest_file
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


def test_what_an_order_destroys_is_not_current_meanwhile_and_a_killed_one_goes_on(here, monkeypatch):
    def die(*_, **__):
        raise KeyboardInterrupt

    first = current(here.space)
    left = here.space.work / "run" / "corpus-left"
    left.mkdir(parents=True)
    linked = next((here.space.corpora / first.corpus).rglob("*.parquet"))
    (left / "part").hardlink_to(linked)
    media = here.space.media_builds / first.corpus / "m"
    media.mkdir(parents=True)
    (media / "manifest.json").write_text("{}")
    with monkeypatch.context() as patch:
        patch.setattr(expire, "doomed", die)
        with pytest.raises(KeyboardInterrupt):
            _execute(here, artefact=first.corpus)
    assert (current(here.space).corpus, current(here.space).model) == (None, None)
    assert not media.exists()
    assert not left.exists()
    assert not (here.space.corpora / first.corpus).exists()
    done = _execute(here, artefact=first.corpus)
    assert read_model(here.space.models / first.model).status == "destroyed"
    assert not list((here.space.models / "states").rglob("*.safetensors"))
    lines = [orjson.loads(one) for one in (done.pack / order.DESTROYED).read_bytes().splitlines()]
    assert {one["what"] for one in lines if one["overwritten"]} >= {str(linked.relative_to(here.space.root))}
    assert _told(done)["destroyed"] == {order.DESTROYED: digest_file(done.pack / order.DESTROYED)}


def _logged(here, name="o-1"):
    """Return what the ledger says of an order's execution; ``None`` = nothing."""
    with Ledger.open(here.space.ledger, here.parts.keys) as ledger:
        index = ledger.find(EntryKind.ERASURE, f"executed:{name}")
        return None if index is None else ledger.opening(index).facts


def _told(done):
    return orjson.loads((done.pack / "order.json").read_bytes())


def _refuse(*_):
    raise RefusedError("a stage still works")


def test_an_order_is_carried_out_only_when_nothing_is_left_and_then_once(copies, monkeypatch):
    here = copies("untrained")
    with monkeypatch.context() as patch:
        patch.setattr(steps, "clear_all", _refuse)
        with pytest.raises(RefusedError, match="still works"):
            _execute(here, kinds=["photo"])
    assert _logged(here) is None
    assert not (here.space.erasures / "orders" / "o-1" / "order.json").exists()
    done = _execute(here, kinds=["photo"])
    assert {one.share.items for one in done.after} == {0}
    told = _told(done)
    assert told == _logged(here)
    assert told["certificate"] == "certificate.json"
    again = execute(here.parts, "o-1", ORDER, clock=lambda: LATER + timedelta(days=1), workers=1)
    assert again.erased is None
    assert _told(again) == told == _logged(here)


def test_what_is_left_is_never_called_carried_out(copies, monkeypatch):
    here = copies("untrained")
    with monkeypatch.context() as patch:
        patch.setattr(order, "pending", lambda *_, **__: ())
        with pytest.raises(RefusedError, match="not carried out") as caught:
            _execute(here, kinds=["photo"])
    assert ["2 items" in fault for fault in caught.value.faults] == [True]
    assert _logged(here) is None
    assert {one.share.items for one in _execute(here, kinds=["photo"]).after} == {0}


def test_an_order_reaches_a_version_that_nobody_uses(copies):
    here = copies("untrained")
    at = AS_OF + timedelta(days=7)
    new = build_corpus(here.parts, POLICY, here.recipe(shards=2), as_of=at, known_at=at).corpus_id
    execute(here.parts, "whole", {**ORDER, "artefact": new}, clock=lambda: at, workers=1)
    assert current(here.space).corpus is None
    done = _execute(here, kinds=["photo"])
    assert {one.share.items for one in done.before} == {2}
    assert {one.share.items for one in done.after} == {0}
    assert _told(done)["erasure"] == done.erased.erasure_id


def test_the_papers_hold_the_certificate_of_a_round_before(copies, monkeypatch):
    def die(*_, **__):
        raise KeyboardInterrupt

    here = copies("untrained")
    with monkeypatch.context() as patch:
        patch.setattr(order, "_pack", die)
        with pytest.raises(KeyboardInterrupt):
            _execute(here, kinds=["photo"])
    done = _execute(here, kinds=["photo"])
    assert done.erased is None
    assert _told(done)["certificate"] == "certificate.json"
    assert [one for one in verify_certificate(here.parts, done.pack / "certificate.json") if one.ok is False] == []


def test_an_order_that_names_nothing_that_is_here_is_refused(here):
    with pytest.raises(InputError, match="corpus or model"):
        _execute(here, artefact="nothing")
    with pytest.raises(InputError, match="slashes"):
        _execute(here, "../x", countries=["PT"])
    assert here.parts.registry.holds() == []
