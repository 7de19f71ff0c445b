"""Joins posts with the history of their texts, in bounded memory: bucket files on disk, one bucket at a time."""

from __future__ import annotations

import contextlib
import marshal
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from demur.intake.markup import written_text
from demur.intake.text import plain_text
from demur.intake.xmlblocks import resolved

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


RawPost = tuple[Any, str, Any, Any, Any, Any, Any, bytes, bytes]
"""The fields of ``Post`` as the dump writes them (bytes), the kind apart."""
RawEvent = tuple[Any, int, Any, Any, Any, bytes]
"""The fields of ``Event`` as the dump writes them."""
RawVersion = tuple[Any, Any, bool, str, Any, tuple[bytes, ...], Any, Any, str]
"""Post, begin, whether it is gone, kind, owner, editors, creation, parent, text."""
Found = Post | RawPost | None

_TITLE, _BODY, _DELETED, _UNDELETED = {"1", "4", "7"}, {"2", "5", "8"}, "12", "13"
_RAW_TITLE, _RAW_BODY, _RAW_DELETED, _RAW_UNDELETED = {b"1", b"4", b"7"}, {b"2", b"5", b"8"}, b"12", b"13"


class Spill:
    """Bucket files in a temporary folder that is gone afterwards; they are written and read by us alone.

    Args:
        home: where that folder is made; ``None`` = where the system makes such.
    """

    def __init__(self, home: Path | None) -> None:
        self._home = home
        self._stack = contextlib.ExitStack()
        self._files: dict[int, BinaryIO] = {}
        self._held: dict[int, list[tuple[Any, ...]]] = {}
        self._folder = Path()
        self.empty = True

    def __enter__(self) -> Spill:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="demur-", dir=self._home)))
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()
        self._stack.close()

    def event(self, event: Event | RawEvent) -> None:
        """Keep an event for its post."""
        self.empty = False
        self._put(None, event)

    def post(self, post: Post | RawPost, place: str) -> None:
        """Keep a post, with the place where it was read."""
        self._put(place, post)

    def _put(self, place: str | None, entry: tuple[Any, ...]) -> None:
        key = entry[0]
        if isinstance(key, str):
            # marshal knows no instants, but is several times as fast as pickle
            key, entry = key.encode(), tuple(_plain(value) for value in entry)
        bucket = zlib.crc32(key) % BUCKETS
        held = self._held.setdefault(bucket, [])
        held.append((place, key, entry))
        if len(held) >= _HELD:
            self._write(bucket)

    def _write(self, bucket: int) -> None:
        if bucket not in self._files:
            self._files[bucket] = (self._folder / str(bucket)).open("w+b")
        frame = marshal.dumps(self._held.pop(bucket))
        self._files[bucket].write(len(frame).to_bytes(_FRAME, "little") + frame)

    def joined(self) -> Iterator[tuple[str, Found, list[Any]]]:
        """Return each post with its events in order; ``None`` where history knows a post that the dump has not.

        A post and its events are raw, all of them, or none is.
        """
        for bucket in sorted(self._held):
            self._write(bucket)
        for bucket in sorted(self._files):
            posts: dict[bytes, tuple[str, Any]] = {}
            events: dict[bytes, list[Any]] = {}
            again: list[tuple[str, Any]] = []
            for place, key, entry in _entries(self._files[bucket]):
                if place is None:
                    events.setdefault(key, []).append(entry)
                elif key in posts:
                    again.append((place, entry))  # the same id twice: both are kept as versions
                else:
                    posts[key] = (place, entry)
            for number in sorted({*posts, *events}):
                place, post = posts.get(number, ("history", None))
                yield place, *_alike(post, sorted(events.get(number, ()), key=_NUMBER))
            for place, post in again:
                yield place, *_alike(post, [])


_FRAME = 8
_NUMBER = itemgetter(1)


def _alike(post: Any, events: list[Any]) -> tuple[Found, list[Any]]:
    """Return a post and its events as they are if all are raw, else all of them read."""
    if post is not None and type(post[0]) is bytes and all(type(event[0]) is bytes for event in events):
        return post, events
    read = None if post is None else Post(*_read(post, post[1]))
    return read, [Event(*_read(event, event[1])) for event in events]


def _read(entry: tuple[Any, ...], second: Any) -> list[Any]:
    """Return the fields of a post or event; instants are the only fields of a raw one that look like one."""
    if type(entry[0]) is not bytes:
        return [_meant(value) for value in entry]
    texts: list[Any] = [
        value if value is None or not isinstance(value, bytes) else resolved(value).decode() for value in entry
    ]
    texts[1] = second
    for at in _INSTANTS[len(entry)]:
        texts[at] = None if texts[at] is None else datetime.fromisoformat(texts[at]).replace(tzinfo=UTC)
    if len(entry) == len(Post._fields):
        texts[-1] = plain_text(texts[-1])
    return texts


_INSTANTS = {len(Post._fields): (4, 5), len(Event._fields): (3,)}


def _plain(value: Any) -> Any:
    return (value.timestamp(),) if isinstance(value, datetime) else value


def _meant(value: Any) -> Any:
    return datetime.fromtimestamp(value[0], tz=UTC) if isinstance(value, tuple) else value


def _entries(file: BinaryIO) -> Iterator[tuple[str | None, bytes, tuple[Any, ...]]]:
    file.seek(0)
    while size := file.read(_FRAME):
        # our own file in our own temporary folder
        yield from marshal.loads(file.read(int.from_bytes(size, "little")))  # noqa: S302


def raw_versions(post: RawPost, events: Sequence[RawEvent]) -> Iterator[RawVersion]:
    """Return what ``versions`` returns, of a raw post; texts are read only where a version has them."""
    number, kind, owner, parent, created, edited, editor, post_title, post_body = post
    editors: set[bytes] = set()
    begins = max(at for at in (created, edited, b"") if at is not None)
    if events:
        last_text = max((event[3] for event in events if event[2] in _RAW_TEXTS), default=b"")
        title = body = b""
        gone = changed = False
        ordered = sorted(events, key=_AT)
        for place, (_, _, what, at, user, text) in enumerate(ordered, 1):
            if what in _RAW_TEXTS:
                title, body = (text, body) if what in _RAW_TITLE else (title, text)
                changed = True
                if user is not None and user != owner and not user.startswith(b"-"):
                    editors.add(user)
            else:
                gone = (gone or what == _RAW_DELETED) and what != _RAW_UNDELETED
            if place < len(ordered) and ordered[place][3] == at:
                continue
            if at != last_text and (changed or gone):
                old = _old_text(title, body)
                yield number, at, gone, kind, owner, tuple(editors), created, parent, old
            changed = False
        begins = max(begins, last_text)
    if editor is not None and editor != owner and not editor.startswith(b"-"):
        editors.add(editor)
    now = _joined(resolved(post_title).decode(), written_text(post_body))
    yield number, begins or None, False, kind, owner, tuple(editors), created, parent, now


_AT = itemgetter(3)
_RAW_TEXTS = _RAW_TITLE | _RAW_BODY


def _old_text(title: bytes, body: bytes) -> str:
    raw = title + b"\n\n" + body if title and body else title or body
    short = raw.replace(b"&#xD;&#xA;", b"\n")
    # a carriage return that stands elsewhere may meet a line end that does too: that takes the two steps
    return resolved(short).decode() if b"&#xD;" not in short else resolved(raw).replace(b"\r\n", b"\n").decode()


def _joined(title: str, body: str) -> str:
    text = f"{title}\n\n{body}" if title and body else title or body
    return text.replace("\r\n", "\n")


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
    return {
        "post": post.number,
        "at": at,
        "state": "deleted" if gone else "live",
        "kind": post.kind,
        "owner": post.owner,
        "editors": tuple(editors),
        "created": post.created,
        "parent": post.parent,
        "text": _joined(title, body),
    }
