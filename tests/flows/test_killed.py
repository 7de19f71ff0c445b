"""SIGKILL anywhere: the same command again gives what it would have given, once (issue 2 §8, "Bad input")."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from flow_worlds import LATER, RECIPE, in_process, opened

from demur import erasure
from demur.erasure import STEPS
from demur.errors import RefusedError
from demur.flows.left import run_folder
from demur.flows.parts import current
from demur.flows.verify import verify_certificate, verify_model
from demur.ledger import Ledger

NIGHTLY = os.environ.get("DEMUR_NIGHTLY") == "1"


def _killed(home: Path, flow: str, place: str) -> None:
    command = [sys.executable, str(Path(__file__).with_name("driver.py")), str(home), flow, place]
    done = subprocess.run(command, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-800:]


@pytest.fixture(scope="session")
def expected(built, tmp_path_factory):
    """What an erasure of three people gives when nothing is killed."""
    import shutil

    root = Path(shutil.copytree(built, tmp_path_factory.mktemp("whole") / "ws"))
    with in_process(), opened(root) as here:
        size = _entries(here)
        here.object("olga", "ana", "gil")
        here.erase()
        return here.digests, _entries(here) - size


def _entries(here):
    with Ledger.open(here.space.ledger, here.parts.keys) as ledger:
        return ledger.size


PLACES = [f"{step}:after" for step in STEPS]
if NIGHTLY:
    PLACES += ["purge:before", "file:60", *(f"file:{number}" for number in range(6, 110, 8))]


@pytest.mark.parametrize("place", PLACES)
def test_an_erasure_goes_on_where_it_was_killed(here, expected, place):
    size = _entries(here)
    here.object("olga", "ana", "gil")
    here.parts.registry.close()
    _killed(here.space.root, "erase", place)
    with opened(here.space.root) as again:
        if erasure.unfinished(again.space.erasures):  # else it was killed before it was begun, or ended
            for refused in (again.build, again.train):
                with pytest.raises(RefusedError, match="demur erase"):
                    refused()
        done = again.erase()
        assert (again.digests, _entries(again) - size) == expected
        assert erasure.unfinished(again.space.erasures) == []
        assert len(list(again.space.erasures.glob("*/certificate.json"))) == 1
        assert [one for one in verify_certificate(again.parts, done.certificate) if one.ok is False] == []
        verify_model(again.parts, None)
        assert not list(again.space.root.rglob("*.part"))
        assert not list(again.space.corpora.glob(".*"))


def test_without_effect_the_corpus_is_never_missing(here):
    """The corpus after has the name of the one before: it is replaced, and a kill in between must not lose it."""
    at = LATER.replace(hour=1)
    here.parts.registry.record({"type": "objection", "person_id": "agora:p-nobody"}, recorded_at=LATER.replace(day=9))
    before = here.digests
    here.parts.registry.close()
    corpus = here.space.corpora / str(current(here.space).corpus)
    with opened(here.space.root) as again:
        again.erase(at)
        assert again.digests == before
    corpus.rename(corpus.with_name(f".{corpus.name}.new"))  # as a kill between two names leaves it
    with opened(here.space.root) as again:
        again.object("ana", at=at.replace(hour=2))
        again.erase(at.replace(hour=3))
        assert again.clean().equal


@pytest.mark.parametrize("place", ["file:12", "file:18"] if NIGHTLY else ["file:12"])
def test_a_build_starts_again_where_it_was_killed(copies, place):
    here = copies("untrained")
    digests = here.digests
    here.parts.registry.close()
    _killed(here.space.root, "rebuild", place)
    with opened(here.space.root) as again:
        again.build(recipe=RECIPE)
        assert again.digests == digests
        assert not list(again.space.root.rglob("*.part"))
        assert not list(run_folder(again.space).glob("*"))


@pytest.mark.parametrize("place", ["file:4", "file:20"] if NIGHTLY else ["file:20"])
def test_a_training_goes_on_where_it_was_killed(copies, built, place):
    here = copies("untrained")
    here.parts.registry.close()
    _killed(here.space.root, "train", place)
    with opened(here.space.root) as again, opened(built) as whole:
        again.train()
        assert again.digests == whole.digests
        verify_model(again.parts, None)
