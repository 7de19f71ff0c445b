"""The house keeps its own rules: examples in docstrings run, files stay small, every room has its card."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import demur

ROOT = Path(demur.__file__).parent
ROOMS = sorted(path.parent for path in ROOT.glob("*/__init__.py"))
MODULES = sorted(
    name
    for _, name, _ in pkgutil.walk_packages([str(ROOT)], "demur.")
    if ".migrations" not in name and not name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert not failed


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_every_room_has_its_card(room: Path) -> None:
    card = importlib.import_module(f"demur.{room.name}").__doc__ or ""
    for word in ("For:", "In:", "Out:", "May touch:", "May not:", "Read first:"):
        assert word in card, f"{room.name} lacks {word}"


def test_no_file_is_longer_than_500_lines() -> None:
    long = {str(path.relative_to(ROOT)): count for path in ROOT.rglob("*.py") if (count := _lines(path)) > 500}
    assert not long


def test_only_the_clock_asks_the_time() -> None:
    words = ("datetime.now(", "datetime.utcnow(", "date.today(")
    texts = {path.name: path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py")}
    asking = {name for name, text in texts.items() if any(word in text for word in words)}
    assert asking == {"clock.py"}


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())
