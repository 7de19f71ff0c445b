"""A terminal without a terminal: runs commands in one workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from demur.cli import main

INSTANT = "2026-09-01"


@dataclass(frozen=True)
class Terminal:
    """Runs commands in one workspace, without a terminal."""

    home: Path

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["--home", str(self.home), *arguments], prog_name="demur")

    def done(self, *arguments: str) -> Result:
        found = self(*arguments)
        assert found.exit_code == 0, (arguments, found.output)
        return found
