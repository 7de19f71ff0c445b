"""What somebody's own export of an account, a chat or a workspace has in common: files in a folder or a zip.

An export is cut into parts (posts, comments, messages …); each is a unit of its own, read together with the files that
say whose it is. Nothing here knows a platform. Records that cannot be read are quarantined one by one.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from mimetypes import guess_type
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import orjson

from demur.errors import InputError
from demur.intake import archive
from demur.intake.fediverse import Fault
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row, Unreadable
from demur.intake.text import repaired
from demur.terms.content import Audience

BESIDE_BYTES = 32 * 2**20
"""Files that say whose an export is are small; a longer one says nothing."""
_RAW = 2**20
_PLAIN_STEM = re.compile(r"[a-z][a-z_-]{2,59}")


@dataclass(frozen=True, slots=True)
class Export:
    """The files of one export."""

    place: Path
    """A zip, or the folder or file that the names belong to."""
    prefix: str
    """Folders before the names."""
    names: tuple[str, ...]
    """Names of its files, without the prefix, in byte order; empty where the zip is damaged."""
    packed: bool

    def part(self, what: str, names: Sequence[str], beside: Sequence[str] = (), **options: Any) -> Input:
        """Return some files as one unit.

        Args:
            what: what they hold.
            names: files to read.
            beside: files that they cannot be understood without.
            options: whatever else the rows depend on.
        """
        given = {"what": what, "prefix": self.prefix, "names": list(names), "beside": list(beside), **options}
        given |= {"_packed": self.packed, "_place": str(self.place), "member": what}
        here = (self.place / self.prefix) if self.place.is_dir() else self.place.parent
        files = (self.place,) if self.packed else tuple(here / name for name in [*names, *beside])
        return Input(files, None, given)

    def ending(self, *ends: str) -> list[str]:
        """Return the names that end so."""
        return [name for name in self.names if name.endswith(ends)]


def exports(paths: Sequence[Path], ends: tuple[str, ...], mark: re.Pattern[str], expected: str) -> list[Export]:
    """Return the exports in some files, folders and zips.

    Args:
        paths: each may hold several exports; a zip is always one of its own.
        ends: how the names of files end that matter.
        mark: matches, from some folder on, a name that every such export has; what is before it is the prefix.
        expected: what to tell a caller whose path holds none.

    Raises:
        InputError: a path holds none.
    """
    found: list[Export] = []
    for path in paths:
        here = list(_here(path, ends, mark))
        if not here:
            raise InputError(f"expected {expected} in {path.name}, found none; name another path")
        found += here
    return found


def _here(path: Path, ends: tuple[str, ...], mark: re.Pattern[str]) -> Iterator[Export]:
    zips = [path] if path.is_file() else sorted(file for file in path.rglob("*.zip") if file.is_file())
    if path.is_file() and not zipfile.is_zipfile(path):
        if archive.head(path, 4) == b"PK\x03\x04":
            yield Export(path, "", (), packed=True)
        elif path.name.endswith(ends):
            yield Export(path, "", (path.name,), packed=False)
        return
    if path.is_dir():
        names = sorted(str(file.relative_to(path).as_posix()) for file in path.rglob("*") if file.is_file())
        yield from _grouped(path, [name for name in names if name.endswith(ends)], mark, packed=False)
    for file in zips:
        try:
            members = [name for name in archive.members(file) if name and name.endswith(ends)]
        except (*archive.DAMAGE, archive.BombError):
            yield Export(file, "", (), packed=True)
            continue
        yield from _grouped(file, members, mark, packed=True)


def _grouped(place: Path, names: list[str], mark: re.Pattern[str], *, packed: bool) -> Iterator[Export]:
    """Tell the exports in a folder apart: each begins where a marking file does."""
    roots = sorted({name[: match.start()] for name in names if (match := mark.search(name))}, key=len, reverse=True)
    groups: dict[str, list[str]] = {}
    for name in names:
        root = next((root for root in roots if name.startswith(root)), "")
        groups.setdefault(root, []).append(name.removeprefix(root))
    for root, inner in sorted(groups.items()):
        yield Export(place, root, tuple(inner), packed)


def read(given: Input, context: Context, rows: Callable[[str, BinaryIO], Iterator[Row]]) -> Iterator[Row]:
    """Read the files of a unit one after another; one that cannot be opened costs itself only."""
    names = given.options["names"]
    if not names:
        context.at(given.path.name, "archive")
        yield context.unreadable("unreadable_file", "an archive that can be opened")
    with contextlib.ExitStack() as stack:
        within = _within(given, stack)
        for name in names:
            context.at(name, "start")
            try:
                with _opened(given, name, within) as stream:
                    yield from rows(name, stream)
            except archive.BombError:
                yield context.unreadable("bomb", "no more than the limits allow")
            except _CLOSED:
                yield context.unreadable("unreadable_file", "a file that can be read to its end")


_CLOSED = (*archive.DAMAGE, OSError, RuntimeError)
"""What opening and reading raise: damage, no rights, a password."""


def _within(given: Input, stack: contextlib.ExitStack) -> zipfile.ZipFile | None:
    if not given.options["_packed"]:
        return None
    with contextlib.suppress(*_CLOSED):
        return stack.enter_context(zipfile.ZipFile(given.path))
    return None


def _opened(given: Input, name: str, within: zipfile.ZipFile | None) -> contextlib.AbstractContextManager[BinaryIO]:
    if given.options["_packed"]:
        return archive.opened(given.path, given.options["prefix"] + name, within)
    place = Path(given.options["_place"])
    if not place.is_dir():
        return archive.opened(place.parent / name)
    own = place / given.options["prefix"]
    if not (own / name).resolve().is_relative_to(own.resolve()):  # a link to what is somebody else's
        raise OSError
    return archive.opened(own / name)


def beside(given: Input) -> dict[str, bytes]:
    """Return the contents of the files that a unit cannot be understood without, those that can be read."""
    found: dict[str, bytes] = {}
    with contextlib.ExitStack() as stack:
        within = _within(given, stack)
        for name in given.options["beside"]:
            with contextlib.suppress(archive.BombError, *_CLOSED), _opened(given, name, within) as stream:
                raw = stream.read(BESIDE_BYTES + 1)
                if len(raw) <= BESIDE_BYTES:
                    found[name] = raw
    return found


def parsed(raw: bytes | None) -> Any:
    """Return a small JSON document, ``None`` where it cannot be read."""
    try:
        return orjson.loads(raw.removeprefix(b"\xef\xbb\xbf")) if raw is not None else None
    except orjson.JSONDecodeError:
        return None


def guarded(entry: Any, context: Context, rows: Callable[[Any], Iterable[Row]]) -> Iterator[Row]:
    """Return the rows of one record, or quarantine it whole."""
    if isinstance(entry, Unreadable):
        yield entry
        return
    try:
        found = list(rows(entry))
    except Fault as fault:
        yield context.unreadable(fault.reason, fault.expected, _raw(entry))
    except RecursionError:
        yield context.unreadable("too_deep", "a record at most 32 levels deep")
    except (ArithmeticError, AttributeError, KeyError, IndexError, TypeError, ValueError):
        yield context.unreadable("wrong_type", "a record as this export writes it", _raw(entry))
    else:
        yield from found


def _raw(entry: Any) -> str:
    try:
        return repr(entry)[:_RAW]
    except RecursionError:
        return ""


def other_file(name: str) -> str:
    """Return under which word a file that holds nothing for demur is counted; never a name that a person may have."""
    stem = PurePosixPath(name).stem.lower()
    stem = re.sub(r"[-_]?(part)?\d+$", "", stem)
    folders = PurePosixPath(name).parts[:-1]
    return f"file: {stem}" if len(folders) < 4 and _PLAIN_STEM.fullmatch(stem) else "file: other"


def said(value: Any) -> str | None:
    """Return text as it was meant, ``None`` where there is none.

    Raises:
        Fault: it is no text.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise Fault("wrong_type", "text")
    return repaired(value) or None


def seconds(value: Any, per_second: int = 1) -> datetime | None:
    """Return an instant counted since 1970; nothing and zero are unknown.

    Raises:
        Fault: it is no number, or too great a one.
    """
    if value in (None, "", 0, "0"):
        return None
    if isinstance(value, bool):
        raise Fault("not_a_date", "a number of seconds since 1970")
    try:
        whole, rest = divmod(int(value) if isinstance(value, str) else value, per_second)
        found = datetime.fromtimestamp(int(whole), tz=UTC)
        return found.replace(microsecond=int(rest * 1_000_000 // per_second)) if rest else found
    except (TypeError, ValueError, OverflowError, OSError):
        raise Fault("not_a_date", "a number of seconds since 1970") from None


def iso(value: Any) -> datetime | None:
    """Return an instant as ISO 8601 writes it; without a zone it is in UTC.

    Raises:
        Fault: it is none.
    """
    if value in (None, ""):
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise Fault("not_a_date", "an instant as ISO 8601 writes it") from None


def media(uri: Any, prefix: str = "") -> tuple[str | None, str | None]:
    """Return the path of a file of the export, and its media type; none that leads out of it or into the net."""
    if not isinstance(uri, str) or not uri or "\\" in uri or ":" in uri or "\0" in uri:
        return None, _media_type(uri)
    parts = PurePosixPath(uri).parts
    if uri.startswith("/") or ".." in parts:
        return None, _media_type(uri)
    return prefix + uri, _media_type(uri)


def _media_type(uri: Any) -> str | None:
    name = PurePosixPath(uri).name if isinstance(uri, str) else ""
    try:
        return guess_type(name.partition("?")[0], strict=False)[0]
    except ValueError:
        return None


def digest(*parts: Any) -> str:
    """Return what stands for something that has no id of its own, or whose id names a person."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def declared_public(context: Context, *names: str | None) -> bool:
    """Return whether the operator said that something of this name is public (``public`` in the mapping)."""
    patterns = (context.mapping or {}).get("public") or ()
    return any(fnmatchcase(name, pattern) for name in names if name for pattern in patterns)


class Numbering:
    """Tells things apart that were made in the same second, in the order of the file."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def name(self, base: str) -> str:
        """Return the base, or the base with a number where it came before."""
        count = self._counts[base] = self._counts.get(base, 0) + 1
        return base if count == 1 else f"{base}-{count}"


def private_message(
    item_id: str, created: datetime | None, account: str | None, container: str, *, group: bool
) -> ItemRow:
    """Return a message that nobody but those in the conversation saw: that it was, never what it said (INT-05)."""
    audience = Audience.GROUP.value if group else Audience.DIRECT.value
    return ItemRow(
        item_id=item_id,
        version_at=created,
        kind="private_message",
        account_id=account,
        created_at=created,
        audience=audience,
        container_id=container,
        container_audience=audience,
    )


def profile_items(
    person: PersonRow, audience: str, texts: Mapping[str, str | None], mark: str = "#"
) -> Iterator[ItemRow]:
    """Return the words of a profile as items; a field that is there and empty was emptied: its old words are deleted.

    Args:
        person: the account, with the instants of its profile.
        audience: who could see the profile.
        texts: kind → text; ``None`` = the record does not have the field, and says nothing of it.
        mark: what stands between account and kind in the item's id.
    """
    for kind, text in texts.items():
        if text is None:
            continue
        yield ItemRow(
            item_id=f"{person['account_id']}{mark}{kind}",
            version_at=person.get("version_at"),
            state="live" if text.strip() else "deleted",
            kind=kind,
            account_id=person["account_id"],
            created_at=person.get("created_at"),
            audience=audience,
            text=text if text.strip() else None,
        )
