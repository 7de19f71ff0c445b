"""Stack Exchange rows as columns: comments, posts and their history, where every row of a block is an ordinary one.

Ordinary: numbers for ids, instants written as the dumps write them. Of any other block these functions return
``None``, and its rows go one by one through stackexchange.py, which tells faults. Both ways give the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from demur.intake.revisions import RawEvent, RawPost, RawVersion
from demur.intake.source import ItemBatch
from demur.intake.xmlblocks import Plain, Raw, resolved

SERVICE = "stackexchange"
COMMENT = ("Id", "PostId", "UserId", "CreationDate", "Text")
POST = (
    *("Id", "PostTypeId", "OwnerUserId", "ParentId", "CreationDate", "LastEditDate", "LastEditorUserId"),
    *("Title", "Body"),
)
EVENT = ("PostId", "Id", "PostHistoryTypeId", "CreationDate", "UserId", "Text")

_NUMBER_LENGTH = 18
_WRITTEN = b"0000-00-00T00:00:00.000"
"""How dumps write an instant; its digits may be any."""
_NONE = b"1990-01-01T00:00:00.000"
_EARLIEST = np.datetime64("1990-01-01", "us")

_FORM = np.frombuffer(_WRITTEN, np.uint8)
_DIGITS = ord("0") == _FORM


def comments(plain: Plain, site: str) -> ItemBatch | None:
    """Return comments."""
    ids, posts, users, dates, texts = plain.columns
    created = instants(dates)
    if created is None or None in dates or not (_numbers(ids) and _numbers(posts, True) and _numbers(users, True)):
        return None
    columns = {
        "item_id": _prefixed(f"{SERVICE}:{site}:comment:", ids),
        "version_at": created,
        "kind": "comment",
        "account_id": _prefixed(f"{SERVICE}:{site}:user:", users),
        "created_at": created,
        "audience": "public",
        "parent_id": _prefixed(f"{SERVICE}:{site}:post:", posts),
        "parent_audience": "public",
        "text": [resolved(text).decode() if text else None for text in texts],
    }
    return ItemBatch(columns, _Places(plain))


class _Places(Sequence[tuple[str, str]]):
    """Where the rows of a block stand; told only when somebody asks."""

    def __init__(self, plain: Plain) -> None:
        self._path, self._first, self._rows = plain.path, plain.first, len(plain.lines)

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, at: Any) -> Any:
        if not 0 <= at < self._rows:
            raise IndexError(at)
        return self._path, f"line {self._first + at}"


def posts(plain: Plain, kinds: dict[str, str]) -> list[RawPost] | None:
    """Return posts as they are written."""
    ids, types, owners, parents, created, edited, editors, titles, bodies = plain.columns
    named = {kind.encode(): name for kind, name in kinds.items()}
    good = _numbers(ids) and _numbers(owners, True) and _numbers(parents, True) and _numbers(editors, True)
    if not good or not set(types) <= named.keys() or instants(created) is None or instants(edited) is None:
        return None
    meant = [named[kind] for kind in types if kind is not None]
    texts = [title or b"" for title in titles], [body or b"" for body in bodies]
    return list(zip(ids, meant, owners, parents, created, edited, editors, *texts, strict=True))


def events(plain: Plain, kinds: set[bytes], ignore: Callable[[str], None]) -> list[RawEvent] | None:
    """Return what changed posts, as it is written; other lines of the history are ignored."""
    numbers_of_posts, ids, types, dates, users, texts = plain.columns
    good = None not in types and None not in dates and instants(dates) is not None
    if not good or not (_numbers(numbers_of_posts) and _numbers(ids) and _numbers(users, True)):
        return None
    found = []
    for post, number, kind, at, user, text in zip(numbers_of_posts, ids, types, dates, users, texts, strict=True):
        if kind in kinds:
            found.append((post, int(number or b""), kind, at, user, text or b""))
        else:
            ignore(f"history type {(kind or b'')[:3].decode()}")
    return found


def items(versions: Sequence[tuple[RawVersion, tuple[str, str]]], site: str) -> ItemBatch:
    """Return versions of posts."""
    number, at, gone, kind, owner, editors, created, parent, text = zip(*(found for found, _ in versions), strict=True)
    account, post = f"{SERVICE}:{site}:user:", f"{SERVICE}:{site}:post:"
    columns = {
        "item_id": _prefixed(post, number),
        "version_at": instants(at),
        "state": ["deleted" if value else "live" for value in gone],
        "kind": list(kind),
        "account_id": _prefixed(account, owner),
        "co_account_ids": [sorted(account + user.decode() for user in users) if users else None for users in editors],
        "created_at": instants(created),
        "audience": ["unknown" if value else "public" for value in gone],
        "parent_id": _prefixed(post, parent),
        "parent_audience": [None if value is None else "public" for value in parent],
        "text": [value or None for value in text],
    }
    return ItemBatch(columns, [place for _, place in versions])


def _numbers(values: Iterable[Raw], absent: bool = False) -> bool:
    """Return whether all are numbers (the site's own programs have some below 0), where ``absent`` or not there."""
    found: list[Any] = [value for value in values if value is not None] if absent else list(values)
    if not found:
        return True
    if None in found or b"" in found or max(map(len, found)) > _NUMBER_LENGTH:
        return False
    joined = b"".join(found)
    return (joined.replace(b"-", b"") if absent else joined).isdigit()


def _prefixed(prefix: str, values: Iterable[Raw]) -> list[str | None]:
    return [None if value is None else prefix + value.decode() for value in values]


def instants(values: Sequence[Raw]) -> Any:
    """Return instants as ``datetime64[us]``, ``NaT`` where there is none; ``None`` if not all are written plainly."""
    missing = None in values
    found: list[Any] = [_NONE if value is None else value for value in values] if missing else list(values)
    content = np.frombuffer(b"".join(found), np.uint8)
    if set(map(len, found)) != {len(_WRITTEN)}:
        return None
    written = content.reshape(-1, len(_WRITTEN))
    digits = written[:, _DIGITS] - ord("0")
    if digits.max() > 9 or not (written[:, ~_DIGITS] == _FORM[~_DIGITS]).all():
        return None
    try:
        result = content.view(f"S{len(_WRITTEN)}").astype("datetime64[us]")
    except ValueError:
        return None
    if result.min() < _EARLIEST:
        return None
    if missing:
        result[[value is None for value in values]] = np.datetime64("NaT")
    return result
