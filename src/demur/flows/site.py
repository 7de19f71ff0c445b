"""Reads ``site.toml``: who runs this installation, where its pages stand, and which relay carries its mail."""

from __future__ import annotations

import os
import tomllib
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

from demur.errors import ConfigError
from demur.store import Workspace
from demur.terms.site import OidcProvider, OpenLineage, Relay, Retention, Schedule, Site

_TABLES: dict[str, type[Any]] = {
    "relay": Relay,
    "members": OidcProvider,
    "staff": OidcProvider,
    "retention": Retention,
    "schedule": Schedule,
    "openlineage": OpenLineage,
}


def read_site(workspace: Workspace) -> Site:
    """Return what ``site.toml`` in the workspace says; the defaults when there is none.

    A value ``env:NAME`` is read from the environment, so that secrets need not stand in the file.

    Raises:
        ConfigError: the file cannot be read or says something unknown; all faults are listed.
    """
    path = workspace.root / "site.toml"
    if not path.exists():
        return Site()
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"expected TOML in {path}, found something else ({error}); see docs/serve.md") from error
    faults: list[str] = []
    plain = _members(Site, told, faults)
    for name, kind in _TABLES.items():
        if name in plain:
            plain[name] = _table(kind, plain[name], name, faults)
    if "languages" in plain:
        plain["languages"] = {country: tuple(tags) for country, tags in plain["languages"].items()}
    if not faults and urlsplit(plain.get("origin", Site().origin)).scheme not in {"http", "https"}:
        faults.append("origin: expected a URL such as https://privacy.example.org")
    if faults:
        raise ConfigError(f"{path} says what demur does not understand; see docs/serve.md", faults)
    return Site(**plain)


def _table(kind: type[Any], told: Any, name: str, faults: list[str]) -> Any:
    if not isinstance(told, dict):
        faults.append(f"{name}: expected a table")
        return None
    try:
        return kind(**_members(kind, told, faults))
    except TypeError:
        faults.append(f"{name}: expected {', '.join(field.name for field in fields(kind))}")
        return None


def _members(kind: type[Any], told: dict[str, Any], faults: list[str]) -> dict[str, Any]:
    known = {field.name: field for field in fields(kind)}
    found: dict[str, Any] = {}
    for name, value in told.items():
        if name not in known:
            faults.append(f"{name}: unknown; expected one of {', '.join(known)}")
            continue
        given = _given(value)
        found[name] = tuple(given) if isinstance(given, list) else given
    return found


def _given(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith("env:"):
        return value
    name = value.removeprefix("env:")
    if name not in os.environ:
        raise ConfigError(f"expected the environment variable {name} that site.toml names, found none; set it")
    return os.environ[name]
