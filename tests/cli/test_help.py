"""Every command explains itself, quickly, and stands in docs/commands.md."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from demur.cli import main

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
HEAVY = ("torch", "daft", "duckdb", "transformers", "sqlalchemy", "alembic", "peft", "tokenizers")
SECONDS = 1.5
COMMON = {"--home", "--json", "--quiet"}


def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if path:
        yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            member = command.get_command(context, name)
            assert member is not None
            yield from walk(member, (*path, name))


ALL = dict(walk(main, ()))
LEAVES = {path: one for path, one in ALL.items() if not isinstance(one, click.Group) or one.invoke_without_command}


def own_options(command: click.Command) -> list[click.Option]:
    return [one for one in command.params if isinstance(one, click.Option) and one.expose_value]


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_says_what_a_command_does(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, [*path, "--help"], prog_name="demur")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"Usage: demur {' '.join(path)}")
    assert done.stderr == ""
    first = (ALL[path].help or "").strip().split("\n")[0]
    assert first.endswith("."), first
    for option in own_options(ALL[path]):
        assert option.help, option.opts


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_home_json_and_quiet_may_stand_behind(path: tuple[str, ...]) -> None:
    names = {name for parameter in LEAVES[path].params for name in parameter.opts}
    assert names >= COMMON


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_and_option_is_documented(path: tuple[str, ...]) -> None:
    found = re.search(rf"^### `demur {' '.join(path)}`\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
    assert found, f"docs/commands.md has no entry for demur {' '.join(path)}"
    documented = set(re.findall(r"^\| `(--[a-z-]+)", found[1], re.M))
    assert documented == {name for option in own_options(LEAVES[path]) for name in option.opts}


def test_nothing_is_documented_that_is_not_there() -> None:
    assert {tuple(name.split()) for name in re.findall(r"^### `demur ([^`]+)`", PAGE, re.M)} == set(LEAVES)


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_the_examples_parse(path: tuple[str, ...]) -> None:
    epilog = LEAVES[path].epilog or ""
    for example in re.findall(r"demur [^;]+?(?=    |;|$)", epilog.removeprefix("Example: ").removeprefix("Examples: ")):
        words = example.split()[1 : 1 + len(path)]
        assert tuple(words[: len(path)]) == path or path == ("erase",), example
        for option in re.findall(r"--[a-z-]+", example):
            assert any(option in parameter.opts for one in LEAVES.values() for parameter in one.params), option


def test_all_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom click.testing import CliRunner\nfrom demur.cli import main\n"
        f"for path in {[list(path) for path in ALL]!r}:\n"
        "    assert CliRunner().invoke(main, [*path, '--help']).exit_code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["corpus", "build", "--help"], ["erase", "--help"]])
def test_help_is_quick(words: list[str]) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "demur", *words], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS


def test_the_first_screen_names_every_command_once() -> None:
    done = CliRunner().invoke(main, ["--help"], prog_name="demur")
    listed = done.stdout.partition("First look:")[2]
    for name in {path[0] for path in ALL}:
        assert len(re.findall(rf"^  {name} ", listed, re.M)) == 1, name
    assert "Exit codes: 0 done, 1 refused by a rule, 2 wrong use, 3 failed" in done.stdout
