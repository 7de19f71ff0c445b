"""Shared by the tests of the command line: one small workspace with a corpus, made by commands alone."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from terminal import INSTANT, Terminal


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of sixty people, taken in, told, and a corpus of it."""
    root = tmp_path_factory.mktemp("cli")
    demur = Terminal(root / "home")
    demur.done("--quiet", "demo", "--dump-only", "--people", "60", "--home", str(root / "dump"))
    demur.done("--quiet", "intake", "demo", str(root / "dump"), "--at", INSTANT)
    demur.done("--quiet", "people", "import", str(root / "dump" / "events.jsonl"), "--at", INSTANT)
    demur.done(
        "--quiet", "corpus", "build", "--as-of", INSTANT, "--known-at", INSTANT, "--shards", "2", "--slices", "2"
    )
    return demur.home


@pytest.fixture
def demur(made: Path) -> Terminal:
    """Commands that change nothing of consequence."""
    return Terminal(made)


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Terminal:
    """Commands in a copy of the workspace."""
    shutil.copytree(made, tmp_path / "home")
    return Terminal(tmp_path / "home")


@pytest.fixture
def nowhere(tmp_path: Path) -> Terminal:
    """Commands where no workspace is."""
    return Terminal(tmp_path / "nowhere")


@pytest.fixture
def somebody(made: Path) -> Callable[[], str]:
    """Return the id of a person with records in the corpus."""

    def find() -> str:
        from demur.corpus import read_manifest
        from demur.flows.parts import corpus_folder
        from demur.lineage import SealedFile
        from demur.store import Workspace

        space = Workspace(made)
        folder = corpus_folder(space)
        assert read_manifest(folder).counts["records"]["all"] > 0
        sealed = SealedFile(folder / "sealed" / "lineage.sealed", "lineage", secret=space.keys.secret("lineage"))
        return min(person for table in sealed.all() for person in table["person_id"].to_pylist())

    return find
