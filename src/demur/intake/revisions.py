"""Joins posts with the history of their texts, in bounded memory: bucket files on disk, one bucket at a time."""

from __future__ import annotations

import contextlib
import marshal
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

BUCKETS = 128
_HELD = 64
"""Entries of a bucket that wait in memory; posts have at most 30,000 characters."""


class Post(NamedTuple):
    """A post as the dump has it now."""

    number: str
    kind: str
    owner: str | None
    parent: str | None
    created: datetime | None
    edited: datetime | None
    editor: str | None
    title: str
    body: str


class Event(NamedTuple):
    """One line of a post's history that changes its text or its being there."""

    post: str
    number: int
    kind: str
    at: datetime | None
    user: str | None
    text: str


_TITLE, _BODY, _DELETED, _UNDELETED = {"1", "4", "7"}, {"2", "5", "8"}, "12", "13"


class Spill:
    """Bucket files in a temporary folder that is gone afterwards; they are written and read by us alone."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._files: dict[int, BinaryIO] = {}
        self._held: dict[int, list[tuple[Any, ...]]] = {}
        self._folder = Path()
        self.empty = True

    def __enter__(self) -> Spill:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="demur-intake-")))
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()
        self._stack.close()

    def event(self, event: Event) -> None:
        """Keep an event for its post."""
        self.empty = False
        self._put(event.post, None, event)

    def post(self, post: Post, place: str) -> None:
        """Keep a post, with the place where it was read."""
        self._put(post.number, place, post)

    def _put(self, key: str, place: str | None, entry: tuple[Any, ...]) -> None:
        bucket = zlib.crc32(key.encode()) % BUCKETS
        held = self._held.setdefault(bucket, [])
        # marshal knows no instants, but is several times as fast as pickle
        held.append((place, *(_plain(value) for value in entry)))
        if len(held) >= _HELD:
            self._write(bucket)

    def _write(self, bucket: int) -> None:
        if bucket not in self._files:
            self._files[bucket] = (self._folder / str(bucket)).open("w+b")
        marshal.dump(self._held.pop(bucket), self._files[bucket])

    def joined(self) -> Iterator[tuple[str, Post | None, list[Event]]]:
        """Return each post with its events in order; ``None`` where history knows a post that the dump has not."""
        for bucket in sorted(self._held):
            self._write(bucket)
        for bucket in sorted(self._files):
            posts: dict[str, tuple[str, Post]] = {}
            events: dict[str, list[Event]] = {}
            again: list[tuple[str, Post]] = []
            for place, entry in _entries(self._files[bucket]):
                if place is None:
                    event = Event(*entry)
                    events.setdefault(event.post, []).append(event)
                elif entry[0] in posts:
                    again.append((place, Post(*entry)))  # the same id twice: both are kept as versions
                else:
                    posts[entry[0]] = (place, Post(*entry))
            for number in sorted({*posts, *events}):
                place, post = posts.get(number, ("history", None))
                yield place, post, sorted(events.get(number, []), key=lambda event: event.number)
            for place, post in again:
                yield place, post, []


def _plain(value: Any) -> Any:
    return (value.timestamp(),) if isinstance(value, datetime) else value


def _meant(value: Any) -> Any:
    return datetime.fromtimestamp(value[0], tz=UTC) if isinstance(value, tuple) else value


def _entries(file: BinaryIO) -> Iterator[tuple[str | None, tuple[Any, ...]]]:
    file.seek(0)
    while True:
        try:
            held = marshal.load(file)  # noqa: S302  (our own file in our own temporary folder)
        except EOFError:
            return
        for place, *entry in held:
            yield place, tuple(_meant(value) for value in entry)


def versions(post: Post, events: Sequence[Event]) -> Iterator[dict[str, Any]]:
    """Return the versions of a post, oldest first, the present text last.

    Several events of one instant are one version. The last text of the history is the present one, which the post
    itself holds, so it is not given twice; the present version begins at the last change that anyone knows.
    """
    known = [event for event in events if event.at is not None]
    moments = sorted({event.at for event in known if event.at is not None})
    last_text = max((event.at for event in known if event.at and event.kind in _TITLE | _BODY), default=None)
    title = body = ""
    editors: set[str] = set()
    gone = False
    for moment in moments:
        changed = False
        for event in (event for event in known if event.at == moment):
            title, body = (event.text if event.kind in _TITLE else title), (event.text if event.kind in _BODY else body)
            gone = (gone or event.kind == _DELETED) and event.kind != _UNDELETED
            changed = changed or event.kind in _TITLE | _BODY
            if event.kind in _TITLE | _BODY and _another(event.user, post.owner):
                editors.add(str(event.user))
        if moment != last_text and (changed or gone):
            yield _version(post, moment, title, body, editors, gone=gone)
    if _another(post.editor, post.owner):
        editors.add(str(post.editor))
    begins = max((at for at in (post.created, post.edited, last_text) if at is not None), default=None)
    yield _version(post, begins, post.title, post.body, editors, gone=False)


def _another(user: str | None, owner: str | None) -> bool:
    """Return whether an edit makes somebody a co-author; accounts below 0 are the site's own programs."""
    return user is not None and user != owner and not user.startswith("-")


def _version(
    post: Post, at: datetime | None, title: str, body: str, editors: set[str], *, gone: bool
) -> dict[str, Any]:
    text = f"{title}\n\n{body}" if title and body else title or body
    return {
        "post": post.number,
        "at": at,
        "state": "deleted" if gone else "live",
        "kind": post.kind,
        "owner": post.owner,
        "editors": tuple(editors),
        "created": post.created,
        "parent": post.parent,
        "text": text.replace("\r\n", "\n"),
    }
