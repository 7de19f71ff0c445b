"""Why an item is used or not: the decision with every reason, its sentence, the facts, the terms and the sources.

Reads single rows from the files on demand. This module does *not* decide; ``judge.py`` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from demur.clock import iso, parse
from demur.errors import InputError
from demur.i18n import sentence
from demur.policy.holds import in_force
from demur.policy.judge import AuthorView, Judge
from demur.policy.reading import DEFAULT_POLICY, read
from demur.policy.rules import Rulebook, rulebook
from demur.terms.policy import Policy
from demur.terms.reasons import Reason, reasons_of


class FileRows:
    """Rows about single items, read from a snapshot and an exported standing when asked for.

    Args:
        items: Parquet parts of the snapshot.
        standing: folder of the exported standing.
    """

    def __init__(self, items: Sequence[Path], standing: Path) -> None:
        self._items = items
        self._standing = standing
        self._kept = cache(self._rows)

    def item(self, item_id: str) -> Mapping[str, Any] | None:
        """Return the row of ITEMS."""
        for part in self._items:
            if found := self._kept(part, "item_id", item_id):
                return found[0]
        return None

    def epochs(self, account_id: str) -> Iterable[Mapping[str, Any]]:
        """Return the rows of ACCOUNTS."""
        return self._kept(self._standing / "accounts.parquet", "account_id", account_id)

    def standing(self, person_id: str) -> Mapping[str, Any] | None:
        """Return the row of STANDING."""
        found = self._kept(self._standing / "standing.parquet", "person_id", person_id)
        return found[0] if found else None

    def residence(self, person_id: str) -> Iterable[Mapping[str, Any]]:
        """Return the rows of RESIDENCE."""
        return self._kept(self._standing / "residence.parquet", "person_id", person_id)

    def suppressed(self, item_id: str) -> bool:
        """Return whether the item stands in SUPPRESSED."""
        return bool(self._kept(self._standing / "suppressed.parquet", "item_id", item_id))

    def holds(self) -> list[dict[str, Any]]:
        """Return the events of HOLDS."""
        rows: list[dict[str, Any]] = pq.read_table(self._standing / "holds.parquet").to_pylist()
        return rows

    @staticmethod
    def _rows(path: Path, column: str, value: str) -> tuple[dict[str, Any], ...]:
        try:
            return tuple(pq.read_table(path, filters=[(column, "=", value)]).to_pylist())
        except FileNotFoundError as error:
            raise InputError(f"expected {path.name} in {path.parent}, found none; export it again") from error


def explain(
    item_id: str,
    *,
    items: Sequence[str | Path],
    standing: str | Path,
    policy: str | Policy = DEFAULT_POLICY,
    as_of: str | datetime,
    known_at: str | datetime | None = None,
    language: str = "en",
) -> dict[str, Any]:
    """Return the decision about one item and all that led to it, in plain values (TRA-08).

    Args:
        item_id: an item of the snapshot.
        items: Parquet parts of the snapshot.
        standing: folder of the exported standing.
        policy: path or name of a policy, or a policy.
        as_of: instant of the decision.
        known_at: instant up to which restrictions count; ``None`` = ``as_of``.
        language: language of the sentences.

    Raises:
        InputError: the item is not in the snapshot.
    """
    rows = FileRows([Path(part) for part in items], Path(standing))
    instant = parse(as_of) if isinstance(as_of, str) else as_of
    known = parse(known_at) if isinstance(known_at, str) else known_at or instant
    checked = policy if isinstance(policy, Policy) else read(policy)
    book = rulebook(checked, as_of=instant, holds=in_force(rows.holds(), as_of=instant, known_at=known))
    try:
        judged = Judge(rows, book).judge(item_id)
    except KeyError as error:
        raise InputError(
            f"expected the id of an item in the snapshot, found no item {item_id}; check the id"
        ) from error
    return {
        "item_id": item_id,
        "allowed": judged.mask == 0,
        "reasons": [_reason(reason, book, language) for reason in reasons_of(judged.mask)],
        "kind": judged.kind,
        "audience": judged.audience,
        "person_id": judged.person_id,
        "authors": [_author(view) for view in judged.authors],
        "policy": {"name": checked.name, "version": checked.version, "digest": checked.digest},
        "as_of": iso(instant),
        "known_at": iso(known),
    }


def _reason(reason: Reason, book: Rulebook, language: str) -> dict[str, Any]:
    rule = book.rule(reason)
    return {
        "code": reason.value,
        "sentence": sentence(reason.value, language),
        "facts": sorted(rule.fields) if rule else [],
        "sources": list(rule.sources) if rule else [],
    }


def _author(view: AuthorView) -> dict[str, Any]:
    facts = {each.name: _plain(getattr(view.facts, each.name)) for each in fields(view.facts)}
    resolution = view.resolution
    return {
        "account_id": view.account_id,
        "reasons": [reason.value for reason in view.reasons],
        "facts": {name: value for name, value in facts.items() if value is not None},
        "unknown": sorted(name for name, value in facts.items() if value is None),
        "jurisdictions": list(resolution.jurisdictions) if resolution else [],
        "sources": list(resolution.sources) if resolution else [],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(str(each) for each in value)
    if isinstance(value, datetime):
        return iso(value)
    return value.value if isinstance(value, Enum) else value
