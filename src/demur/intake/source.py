"""What a source plugin is: it lists its inputs and reads each of them as a stream of rows. Writes nothing itself.

A source in five lines::

    class Mine:
        name = "mine"

        def inputs(self, paths):
            return [Input((path,)) for path in paths]

        def read(self, given, context):
            yield ItemRow(item_id="mine:1", state="live", service="mine", kind="post", audience="public", text="…")

Register it in the entry-point group ``demur.sources``; the built-in ones do the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from demur.errors import InputError

GROUP = "demur.sources"
_PLAIN = re.compile(r"[ -~]{1,80}")
_MOST_WORDS = 1_000


class ItemRow(dict[str, Any]):
    """One version of an item: columns of ITEMS by name; a missing column is null, that is unknown.

    ``version_id``, ``imported_at`` and ``source`` are filled in by the writer; ``state`` defaults to ``live`` and
    ``service`` to the one of the input. Instants are aware datetimes. A missing ``audience`` means ``unknown``.
    """

    __slots__ = ()


class PersonRow(dict[str, Any]):
    """What one record says about one account: columns of PEOPLE by name; a missing column is not said, not "no"."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that cannot be read: it is quarantined, counted and shown, and never stops an import (INT-02)."""

    path: str
    """File, as the source names it."""
    position: str
    """Line, row, byte or member inside the file."""
    reason: str
    """Stable code, one of ``demur.intake.quarantine.REASONS``."""
    expected: str
    """What was expected there; never what was found."""
    digest: str
    """SHA-256 of the record's bytes, which are not kept."""


@dataclass(frozen=True, slots=True)
class ItemBatch:
    """Many versions of items at once, column by column: the same as that many ``ItemRow``, only quicker to take in.

    A column is a list, or for instants an array of ``datetime64[us]`` in UTC with ``NaT`` for null. Any other value
    stands for every row. ``item_id`` and ``audience`` are never null here.
    """

    columns: Mapping[str, Any]
    places: Sequence[tuple[str, str]]
    """File and position of each row."""

    def __len__(self) -> int:
        return len(self.places)

    def rows(self) -> Iterator[ItemRow]:
        """Return the same as rows."""
        for at in range(len(self)):
            yield ItemRow({name: _value_at(column, at) for name, column in self.columns.items()})


def _value_at(column: Any, at: int) -> Any:
    if isinstance(column, list):
        return column[at]
    if not isinstance(column, np.ndarray):
        return column
    instant = column[at].item()
    return None if instant is None else instant.replace(tzinfo=UTC)


Row = ItemRow | PersonRow | ItemBatch | Unreadable


@dataclass(frozen=True, slots=True)
class Input:
    """One unit of reading and of resuming: a file, with the files that it cannot be understood without."""

    files: tuple[Path, ...]
    """The first one names the unit; what is read depends on the bytes of all, and on ``service``."""
    service: str | None = None
    """Prefix of ids; ``None`` = what the caller gave, else the source's name."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the rows depend on (JSON values); a unit with other options is another unit."""

    @property
    def path(self) -> Path:
        """The file that names the unit."""
        return self.files[0]


@dataclass(slots=True)
class Context:
    """What a source may know while it reads, and where it tells how far it is."""

    service: str
    """Prefix of ids."""
    imported_at: datetime
    """Instant of the import (sources never ask the clock)."""
    mapping: Mapping[str, Any] | None = None
    """Checked mapping of the ``table`` source."""
    spill: Path | None = None
    """Where a source puts what it cannot hold in memory, in a folder that it removes; ``None`` = the system's place."""
    path: str = ""
    position: str = ""
    ignored: dict[str, int] = field(default_factory=dict)
    """What was skipped on purpose (kind of record → count): nothing is dropped silently."""

    def at(self, path: Path | str, position: object) -> None:
        """Say where the next row comes from; the writer names this place when it must quarantine the row."""
        self.path, self.position = str(path), str(position)

    def ignore(self, what: str) -> None:
        """Count a record that holds nothing for demur; a word of the record's own may be odd, or one of too many."""
        if what not in self.ignored and (len(self.ignored) >= _MOST_WORDS or not _PLAIN.fullmatch(what)):
            what = "other"
        self.ignored[what] = self.ignored.get(what, 0) + 1

    def unreadable(self, reason: str, expected: str, raw: bytes | str = b"") -> Unreadable:
        """Return the current place as a quarantine entry."""
        content = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
        return Unreadable(self.path, self.position, reason, expected, hashlib.sha256(content).hexdigest())


@runtime_checkable
class Source(Protocol):
    """A way to read one kind of export, feed or table."""

    name: str
    """Name on the command line and in the column ``source``."""

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return the units that lie under some paths, files or folders, in a fixed order.

        Raises:
            InputError: a path holds nothing that this source reads.
        """
        ...

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one unit as a stream. The rows depend on the unit alone, never on what was read before."""
        ...


def sources() -> dict[str, type[Source]]:
    """Return every registered source by name; nothing is imported but its module."""
    return {point.name: point.load() for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def source_named(name: str) -> Source:
    """Return a new source of that name.

    Raises:
        InputError: no such source is installed.
    """
    known = {point.name: point for point in entry_points(group=GROUP)}
    if name not in known:
        raise InputError(
            f"expected one of the sources {', '.join(sorted(known))}, found {name!r}; install its plugin or correct it"
        )
    made: Source = known[name].load()()
    return made
