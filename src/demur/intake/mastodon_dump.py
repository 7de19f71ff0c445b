"""A Mastodon database as a dump or CSV tables: accounts, users, statuses with their edits, media, mentions.

Ids are the ActivityPub URIs that the database holds, so a status meets itself from an outbox or the API. The tables
are joined in a temporary database on disk: memory stays flat. ``visibility`` is a number (0 public, 1 unlisted,
2 followers, 3 direct, 4 limited to some); any other one is quarantined.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from demur.errors import InputError
from demur.intake.exports import guarded, profile_items
from demur.intake.fediverse import MOST_MEDIA, SERVICE, Fault, instant, language, lost_parent, media_rows, named
from demur.intake.mastodon_tables import records
from demur.intake.signals import fediverse
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row, Unreadable
from demur.intake.text import plain_text

WANTED: Mapping[str, tuple[str, ...]] = {
    "accounts": ("id", "username", "domain", "uri", "display_name", "note", "created_at", "updated_at", "locked",
                 "suspended_at", "memorial", "moved_to_account_id", "actor_type", "discoverable", "indexable"),
    "users": ("id", "account_id", "email", "locale", "confirmed_at", "approved", "disabled", "current_sign_in_at",
              "settings"),
    "statuses": ("id", "uri", "text", "spoiler_text", "created_at", "edited_at", "deleted_at", "in_reply_to_id",
                 "in_reply_to_account_id", "reply", "reblog_of_id", "visibility", "language", "local", "account_id",
                 "poll_id", "ordered_media_attachment_ids"),
    "status_edits": ("id", "status_id", "text", "spoiler_text", "created_at"),
    "media_attachments": ("id", "status_id", "type", "description", "file_content_type"),
    "mentions": ("id", "status_id", "account_id"),
    "polls": ("id", "options"),
}  # fmt: skip
_AUDIENCES = {"0": "public", "1": "unlisted", "2": "followers", "3": "direct", "4": "direct"}
_MEDIA = {"0": "image", "1": "video", "2": "video", "4": "audio"}
"""MediaAttachment.types: image, gifv, video, unknown, audio."""
_ACTORS = {"Service": "bot", "Application": "bot", "Group": "organisation", "Organization": "organisation"}
_ENDINGS = tuple(f"{kind}{packed}" for kind in (".sql", ".dump", ".csv") for packed in ("", ".gz", ".zst"))
_PROFILE = (("profile_name", "display_name"), ("bio", "note"))
_BATCH = 10_000
_INDEXED = (("statuses", "account_id"), ("status_edits", "status_id"), ("media_attachments", "status_id"),
            ("mentions", "status_id"), ("users", "account_id"))  # fmt: skip


class MastodonDump:
    """Reads a dump, or a folder of tables."""

    name = "mastodon_dump"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return each dump, and all tables of a folder together: none of them can be understood alone.

        Raises:
            InputError: a path holds none.
        """
        found: list[Input] = []
        for path in paths:
            files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.name.endswith(_ENDINGS))
            tables = tuple(file for file in files if ".csv" in file.suffixes)
            dumps = [file for file in files if file not in tables]
            if not files:
                raise InputError(f"expected a dump (.sql) or tables (.csv) of Mastodon in {path.name}, found none")
            found += [Input((dump,), None) for dump in dumps]
            names = {"tables": [file.name for file in tables]}
            found += [Input(tables, None, names)] if tables else []
        return found

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one database."""
        with tempfile.TemporaryDirectory(prefix="demur-", dir=context.spill) as folder, contextlib.closing(
            sqlite3.connect(Path(folder) / "tables.db", isolation_level=None)
        ) as database:  # fmt: skip
            database.row_factory = sqlite3.Row
            present: dict[str, frozenset[str]] = {}
            yield from _staged(given.files, database, context, present)
            yield from _Joined(database, context, present).rows()


def _staged(
    files: Sequence[Path], database: sqlite3.Connection, context: Context, present: dict[str, frozenset[str]]
) -> Iterator[Unreadable]:
    """Copy the tables, and note which columns they have; what cannot be read is quarantined."""
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-65536"):
        database.execute(f"PRAGMA {pragma}")
    for table, columns in WANTED.items():
        database.execute(f"CREATE TABLE {table} (place TEXT, {', '.join(columns)})")
    waiting: dict[str, list[tuple[str | None, ...]]] = {table: [] for table in WANTED}
    for found in itertools.chain.from_iterable(records(file, WANTED, context) for file in files):
        if isinstance(found, Unreadable):
            yield found
            continue
        table, record = found
        present.setdefault(table, frozenset(record))
        waiting[table].append((context.position, *(record.get(column) for column in WANTED[table])))
        if len(waiting[table]) >= _BATCH:
            _insert(database, table, waiting[table])
    for table, rows in waiting.items():
        _insert(database, table, rows)
        database.execute(f"CREATE INDEX {table}_id ON {table} (id)")
    for table, column in _INDEXED:
        database.execute(f"CREATE INDEX {table}_{column} ON {table} ({column})")


def _insert(database: sqlite3.Connection, table: str, rows: list[tuple[str | None, ...]]) -> None:
    marks = ", ".join("?" * (len(WANTED[table]) + 1))
    database.execute("BEGIN")
    database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608  (names of our own)
    database.execute("COMMIT")
    rows.clear()


_ACCOUNTS = """SELECT a.*, u.email, u.locale, u.confirmed_at, u.approved, u.disabled, u.current_sign_in_at, u.settings,
 u.id AS user_id, m.uri AS moved, (SELECT uri FROM statuses s WHERE s.account_id = a.id AND s.uri LIKE
 '%/statuses/%' LIMIT 1) AS status_uri
 FROM accounts a LEFT JOIN users u ON u.account_id = a.id LEFT JOIN accounts m ON m.id = a.moved_to_account_id
 ORDER BY a.rowid"""
_STATUSES = """SELECT s.*, a.uri AS author_uri, a.domain, a.username, p.uri AS parent_uri, p.visibility AS
 parent_visibility, o.uri AS original_uri, l.options
 FROM statuses s LEFT JOIN accounts a ON a.id = s.account_id LEFT JOIN statuses p ON p.id = s.in_reply_to_id
 LEFT JOIN statuses o ON o.id = s.reblog_of_id LEFT JOIN polls l ON l.id = s.poll_id ORDER BY s.rowid"""
_EDITS = "SELECT text, spoiler_text, created_at FROM status_edits WHERE status_id = ? ORDER BY created_at"
_HELD = (
    "SELECT id, type, description, file_content_type FROM media_attachments WHERE status_id = ?"
    " ORDER BY CAST(id AS INT)"
)
_MENTIONED = """SELECT a.uri, a.username, a.domain FROM mentions m JOIN accounts a ON a.id = m.account_id
 WHERE m.status_id = ? ORDER BY CAST(a.id AS INT)"""


_Record = Mapping[str, Any]


class _Joined:
    """The staged tables on their way into rows."""

    def __init__(self, database: sqlite3.Connection, context: Context, present: Mapping[str, frozenset[str]]) -> None:
        self._database, self._context, self._present = database, context, present
        self._host = self._own_host()

    def _own_host(self) -> str | None:
        """Return the instance's own host: that of its own statuses, else the service that the caller named."""
        row = self._database.execute("SELECT min(uri) FROM statuses WHERE local = 't' AND uri <> ''").fetchone()
        named_host = self._context.service if "." in self._context.service else None
        return urlsplit(row[0]).hostname if row[0] else named_host

    def rows(self) -> Iterator[Row]:
        """Yield accounts, then statuses."""
        for query, make in ((_ACCOUNTS, self._account), (_STATUSES, self._status)):
            for record in self._database.execute(query):
                self._context.position = record["place"]
                for row in guarded(dict(record), self._context, make):
                    if isinstance(row, ItemRow | PersonRow):
                        row["service"] = SERVICE
                    yield row

    def _author(self, uri: str | None, username: str | None, domain: str | None, status: str | None) -> str | None:
        """Return an account's id; the database keeps no URI of its own accounts, but those of their statuses."""
        if uri:
            return named(uri)
        if domain or not username:
            return None
        if status and "/statuses/" in status:
            return named(status.partition("/statuses/")[0])
        return named(f"https://{self._host}/users/{username}") if self._host else None

    def _account(self, a: _Record) -> Iterator[ItemRow | PersonRow]:
        account = self._author(a["uri"], a["username"], a["domain"], a["status_uri"])
        if account is None:
            raise Fault("missing_id", "an account's URI; name the instance's own host with --service")
        host = a["domain"] or self._host
        created, changed, seen = _at(a["created_at"]), _at(a["updated_at"]), _at(a["current_sign_in_at"])
        wishes = {name: _flag(a[name]) for name in ("indexable", "discoverable")}
        wishes["noindex"] = _setting(a["settings"], "noindex")
        person = PersonRow(
            account_id=account,
            version_at=max((at for at in (changed, seen, created) if at is not None), default=None),
            handle=f"@{a['username']}@{host}" if host else None,
            display_name=a["display_name"] or None,
            contact=a["email"],
            status=_status(a),
            private=_flag(a["locked"]),
            created_at=created,
            last_active_at=seen,
            language=language(a["locale"]),
            **fediverse(wishes, "mastodon").columns(),
        )
        yield person
        about = a["note"] or ""
        texts = {"display_name": a["display_name"] or "", "note": plain_text(about) if a["domain"] else about}
        texts = {kind: texts[name] for kind, name in _PROFILE if name in self._present["accounts"]}
        yield from profile_items(PersonRow(person, version_at=changed or created), "public", texts)

    def _status(self, s: _Record) -> Iterator[ItemRow]:
        audience = _AUDIENCES.get(str(s["visibility"]))
        if audience is None:
            raise Fault("unknown_audience", "a visibility of 0 to 4")
        gone, edited, created = _at(s["deleted_at"]), _at(s["edited_at"]), _at(s["created_at"])
        row = ItemRow(
            item_id=self._uri(s),
            version_at=gone or edited or created,
            state="live" if gone is None else "deleted",
            kind=_kind(s, audience),
            account_id=self._author(s["author_uri"], s["username"], s["domain"], s["uri"]),
            created_at=created,
            audience=audience if gone is None else "unknown",
            parent_id=self._other(s["in_reply_to_id"], s["parent_uri"]) or self._lost(s),
            parent_audience=_AUDIENCES.get(str(s["parent_visibility"])),
            original_id=self._other(s["reblog_of_id"], s["original_uri"]),
            text=None if gone is not None or s["reblog_of_id"] else _text(s, s["options"], own=_flag(s["local"])),
            language=language(s["language"]),
            mentions=[account for m in self._database.execute(_MENTIONED, (s["id"],))
                      if (account := self._author(m["uri"], m["username"], m["domain"], None))] or None,
        )  # fmt: skip
        yield from self._edits(row, s, created)
        yield row
        whole = edited is not None and "media_attachments" in self._present
        if gone is None:
            yield from media_rows(row, self._media(s), MOST_MEDIA if whole else 0)

    def _media(self, s: _Record) -> Iterator[Mapping[str, Any]]:
        """Yield the files of a status: the table keeps what an edit took out, and the status says what is left."""
        held = {str(m["id"]): m for m in self._database.execute(_HELD, (s["id"],))}
        order = s["ordered_media_attachment_ids"]
        for number in held if order is None else order.strip("{}").split(","):
            if number in held:
                m = held[number]
                kind = m["file_content_type"] or _MEDIA.get(str(m["type"]))
                yield {"type": kind, "path": None, "description": m["description"]}

    def _edits(self, row: ItemRow, s: _Record, created: Any) -> Iterator[ItemRow]:
        """Yield the texts before the present one; the newest edit is the present text."""
        edits = self._database.execute(_EDITS, (s["id"],)).fetchall()
        for edit in edits[:-1]:
            if row["state"] == "live":
                yield ItemRow(
                    row, version_at=_at(edit["created_at"]) or created, text=_text(edit, None, own=_flag(s["local"]))
                )

    def _uri(self, s: _Record) -> str:
        if s["uri"]:
            return named(s["uri"])
        author = self._author(s["author_uri"], s["username"], s["domain"], None)
        if author is None or _flag(s["local"]) is not True:
            raise Fault("missing_id", "a status's URI; name the instance's own host with --service")
        return f"{author}/statuses/{s['id']}"

    def _other(self, number: str | None, uri: str | None) -> str | None:
        """Return another status's id; one that is not in the database is unknown, and never public by mistake."""
        if not number:
            return None
        return named(uri) if uri else f"{SERVICE}:{self._host}/statuses/{number}"

    def _lost(self, s: _Record) -> str | None:
        """Return what stands for a parent that was deleted: its number is gone, that the status answers is not."""
        return lost_parent(self._uri(s)) if _answers(s) else None


def _at(value: str | None) -> Any:
    """Return an instant as PostgreSQL prints it; without a zone it is UTC, as Rails keeps it."""
    return instant(value.replace(" ", "T", 1)) if value else None


def _flag(value: str | None) -> bool | None:
    return {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}.get(str(value))


def _setting(settings: str | None, name: str) -> Any:
    try:
        found = orjson.loads(settings or "null")
    except orjson.JSONDecodeError:
        return None
    return found.get(name) if isinstance(found, dict) else None


def _status(a: _Record) -> str | None:
    if a["suspended_at"]:
        return "suspended"
    if _flag(a["memorial"]):
        return "memorial"
    if a["moved_to_account_id"]:
        return "transferred"
    if a["user_id"] is not None and _flag(a["disabled"]):
        return "deactivated"
    if a["user_id"] is not None and (not a["confirmed_at"] or _flag(a["approved"]) is False):
        return None  # never began
    return _ACTORS.get(a["actor_type"] or "", "active")


def _answers(s: _Record) -> bool:
    return bool(s["in_reply_to_id"] or s["in_reply_to_account_id"] or _flag(s["reply"]))


def _kind(s: _Record, audience: str) -> str:
    if audience == "direct":
        return "private_message"
    if s["reblog_of_id"]:
        return "reshare"
    return "poll" if s["poll_id"] else "reply" if _answers(s) else "post"


def _text(s: _Record | sqlite3.Row, options: str | None, *, own: bool | None) -> str | None:
    """Return a text: of the instance's own members it is kept as they wrote it, of all others as HTML."""
    body = s["text"] or ""
    parts = (s["spoiler_text"] or "", body.strip() if own else plain_text(body), _listed(options or ""))
    return "\n\n".join(part for part in parts if part) or None


def _listed(options: str) -> str:
    """Return the options of a poll (an array as PostgreSQL prints it) as lines."""
    words = next(csv.reader([options[1:-1]], escapechar="\\", doublequote=False), []) if options else []
    return "\n".join(f"- {word}" for word in words)
