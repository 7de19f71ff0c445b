"""docs/serve.md names every member of site.toml, and no other."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from demur.terms.site import OidcProvider, Relay, Site
from demur.web.guard import Limits

PAGE = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("head", "kind"),
    [("member", Site), ("member of `relay`", Relay), ("member of `members` and `staff`", OidcProvider)],
)
def test_every_member_is_documented(head: str, kind: type[Any]) -> None:
    table = PAGE.split(f"| {head} | meaning |\n|---|---|\n")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == [field.name for field in fields(kind)]


def test_the_limits_are_documented() -> None:
    told = [tuple(map(float, found)) for found in re.findall(r"\| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)]
    limits = Limits()
    assert told == [(one.burst, one.per_second) for one in (limits.read, limits.write, limits.login, limits.link)]
    assert f"{limits.buckets:,}" in PAGE
