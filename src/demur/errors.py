"""Every error that demur raises, by who can act.

    DemurError
    ├── InputError      the caller: a file, an argument, a record          exit 2
    ├── ConfigError     the operator: a policy, a setting, a database URL   exit 2
    ├── RefusedError    nobody: a rule says no, and that is its job         exit 1
    ├── OutsideError    something beyond us: disk, database, a library      exit 3
    └── BrokenError     our own invariant; always a bug or tampering        exit 3

A message says what was expected, what was found (never personal data) and what to do.
Faults are collected and raised together: ``faults`` holds one sentence each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class DemurError(Exception):
    """Base of all errors; carries every fault found, not only the first.

    Args:
        message: one sentence: expected, found, what to do.
        faults: all single faults, when there is more than one.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join([message, *(f"  - {fault}" for fault in self.faults)]))


class InputError(DemurError):
    """The caller gave something that cannot be used."""

    exit_code = 2


class ConfigError(DemurError):
    """The operator configured something that cannot work."""

    exit_code = 2


class RefusedError(DemurError):
    """A rule says no. Working as meant."""

    exit_code = 1


class OutsideError(DemurError):
    """Something beyond demur failed (disk full, database away)."""

    exit_code = 3


class BrokenError(DemurError):
    """An invariant does not hold: a bug, a damaged file, or tampering."""

    exit_code = 3
