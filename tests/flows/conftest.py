"""One workspace for the whole session, built once; every test works on a copy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import flow_worlds
from flow_worlds import Platform, in_process, opened


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _stages_here() -> Iterator[None]:
    with in_process():
        yield


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, _one_thread: None) -> Path:
    root = tmp_path_factory.mktemp("flows") / "trained"
    with in_process():
        flow_worlds.make(root)
    return root


@pytest.fixture
def copies(built: Path, tmp_path: Path) -> Iterator[Callable[..., Platform]]:
    """Make an open copy of the session's workspace, ``trained`` or ``untrained``."""
    with ExitStack() as stack:

        def copy(kind: str = "trained", name: str = "ws") -> Platform:
            root = Path(shutil.copytree(built.with_name(kind), tmp_path / name))
            return stack.enter_context(opened(root))

        yield copy


@pytest.fixture
def here(copies: Callable[..., Platform]) -> Platform:
    return copies()
