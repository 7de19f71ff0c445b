"""Every example in the docs runs: ``console`` blocks in a shell, ``python`` blocks as one script a page,
``>>>`` as doctests.

In a console block, lines with ``$ `` are commands (a trailing ``# exit N`` names another exit code than 0); the lines
after a command must stand in what it prints, where ``…`` stands for anything. A line with ``> `` goes on with its
command. A page's blocks share one folder. A page that reads real data is skipped where there is none.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```", re.M | re.S)
DATA = re.compile(r"\$DEMUR_ROOT/(\.\./shared/data/\w+)")
SLOW = ("make ", "pip install", "git clone")


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DEMUR_HOME": str(folder / "home"),
        "DEMUR_ROOT": str(ROOT),
        "COLUMNS": "200",
    }
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, text=True, capture_output=True, timeout=600, check=False
    )


def check_console(body: str, folder: Path) -> None:
    command, expected = None, []

    def finish() -> None:
        if command is None or command.startswith(SLOW):
            return
        wanted = re.search(r"# exit (\d)$", command.split("\n", 1)[0])
        done = run(command, folder)
        printed = done.stdout + done.stderr
        assert done.returncode == int(wanted[1] if wanted else 0), f"{command}\n{printed}"
        for line in expected:
            pattern = ".*".join(re.escape(part) for part in line.strip().split("…"))
            assert re.search(pattern, printed), f"{command}\nexpected: {line}\nprinted: {printed}"

    for line in body.splitlines():
        if line.startswith("$ "):
            finish()
            command, expected = line[2:], []
        elif (line.startswith("> ") or line == ">") and command is not None:
            command += "\n" + line[2:]
        elif line.strip():
            expected.append(line)
    finish()


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_examples_run(page: Path, tmp_path: Path) -> None:
    script = []
    missing = [path for _, body in blocks(page) for path in DATA.findall(body) if not (ROOT / path).exists()]
    if missing:
        pytest.skip(f"{page.name} reads {missing[0]}, which is not here")
    for kind, body in blocks(page):
        if kind == "console":
            check_console(body, tmp_path)
        else:
            script.append(body)
    if script:
        (tmp_path / "page.py").write_text("\n".join(script), encoding="utf-8")
        done = run(f"{shlex.quote(sys.executable)} page.py", tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if re.search(r"^>>> ", page.read_text(encoding="utf-8"), re.M)],
    ids=lambda page: page.stem,
)
def test_prompts_answer(page: Path) -> None:
    assert doctest.testfile(str(page), module_relative=False, encoding="utf-8").failed == 0
