"""A policy as plain JSON values, for stages in child processes and for the verifier's tables."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from demur.clock import iso
from demur.terms.policy import Policy


def policy_facts(policy: Policy) -> dict[str, Any]:
    """Return a policy with sets as sorted lists and instants as ISO 8601."""
    facts: dict[str, Any] = _plain(asdict(policy))
    return facts


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(str(inner) for inner in value)
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return iso(value)
    return value
