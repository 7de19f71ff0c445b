"""The tables and the picture of docs/explanation/scale.md are what tools/simulate_scale.py makes of its constants."""

from __future__ import annotations

import doctest
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("simulate_scale", ROOT / "tools" / "simulate_scale.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_says_what_the_script_reckons(script: ModuleType) -> None:
    page = script.PAGE.read_text("utf-8")
    assert all(f"<!-- table {name} -->" in page for name in script.tables())
    assert script.filled(page) == page, "run python tools/simulate_scale.py --write"
    assert script.PICTURE.read_text("utf-8") == script.picture(), "run python tools/simulate_scale.py --write"
    assert doctest.testmod(script).failed == 0


def test_the_picture_is_drawn_inside_its_frame(script: ModuleType) -> None:
    root = ElementTree.fromstring(script.picture())
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 3
    for line in lines:
        for x, y in (map(float, point.split(",")) for point in line.attrib["points"].split()):
            assert 0 <= x <= width
            assert 0 <= y <= height


def test_costs_are_linear_in_rows(script: ModuleType) -> None:
    measured, assumed = script.read()
    one, ten = (sum(s.core_hours for s in script.stages(measured, assumed, n)) for n in (10**9, 10**10))
    assert ten == pytest.approx(10 * one)
    assert script.today(10**9, 1, measured, assumed) == pytest.approx(script.divided(10**9, 1, measured, assumed))
