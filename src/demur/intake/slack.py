"""A Slack workspace's export: channels.json, users.json, and a folder of days for each conversation.

Even a workspace's open channels are seen by its members only: every message is private and without its words, but
those of a channel of channels.json that the operator declares public (``public`` in the mapping, by name or id).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from demur.intake import jsonstream
from demur.intake.exports import (
    Export,
    beside,
    declared_public,
    digest,
    exports,
    guarded,
    other_file,
    parsed,
    private_message,
    read,
    seconds,
)
from demur.intake.fediverse import Fault, media_rows
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row

_MARK = re.compile(r"(?:^|(?<=/))(?:channels|users|groups|dms|mpims)\.json$")
_LISTS = ("channels.json", "groups.json", "dms.json", "mpims.json")
_DAY = re.compile(r"^([^/]+)/\d{4}-\d\d-\d\d\.json$")
_SAID = frozenset({None, "thread_broadcast", "me_message", "file_share", "bot_message", "file_comment"})
_GONE = frozenset({"tombstone", "message_deleted"})
_STAMP = re.compile(r"\d{1,12}\.\d{1,9}")
_MARKS = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")


class Slack:
    """Reads exports of workspaces, as folders or zips."""

    name = "slack"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return a unit for the people, and one for each conversation.

        Raises:
            InputError: a path holds no export.
        """
        found = exports(paths, (".json",), _MARK, "an export of a Slack workspace (channels.json, users.json)")
        return [unit for export in found for unit in _units(export)]

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one unit."""
        reading = _Reading(given, context)
        yield from read(given, context, reading.people if given.options["what"] == "people" else reading.file)


def _units(export: Export) -> Iterator[Input]:
    lists = [name for name in export.names if name in _LISTS]
    conversations: dict[str, list[str]] = {}
    for name in export.names:
        day = _DAY.match(name)
        if name == "users.json":
            yield export.part("people", [name])
        elif day:
            conversations.setdefault(day.group(1), []).append(name)
        elif name not in lists:
            yield export.part(name, [name])
    for conversation, names in conversations.items():
        yield export.part(conversation, names, lists, conversation=conversation)
    if not export.names:
        yield export.part("workspace", ())


class _Reading:
    """One unit on its way into rows."""

    def __init__(self, given: Input, context: Context) -> None:
        self._context, self._service = context, context.service
        named = given.options.get("conversation")
        where, entry = _listed({name: parsed(raw) for name, raw in beside(given).items()}, named)
        own = entry.get("id") if isinstance(entry.get("id"), str) else None
        self._public = where == "channels.json" and declared_public(context, named, own)
        self._group = where in ("channels.json", "groups.json", "mpims.json")
        self._container = f"{self._service}:{own or digest(named)}"

    def people(self, name: str, stream: BinaryIO) -> Iterator[Row]:
        for found in _several(stream, self._context, name):
            yield from guarded(found, self._context, self._person)

    def file(self, name: str, stream: BinaryIO) -> Iterator[Row]:
        if not _DAY.match(name):
            self._context.ignore(other_file(name))
            return
        for found in _several(stream, self._context, name):
            yield from guarded(found, self._context, self._message)

    def _person(self, found: Any) -> Iterator[Row]:
        profile = found.get("profile") or {}
        deleted, bot = found.get("deleted") is True, found.get("is_bot") is True
        yield PersonRow(
            account_id=f"{self._service}:{_name(found['id'])}",
            version_at=seconds(found.get("updated")),
            handle=f"@{found['name']}" if found.get("name") else None,
            display_name=profile.get("real_name") or found.get("real_name"),
            contact=profile.get("email"),
            status="deactivated" if deleted else "bot" if bot else "active",
            private=False,
        )

    def _message(self, found: Any) -> Iterator[Row]:
        if not isinstance(found, dict) or found.get("type") != "message":
            raise Fault("not_content", "a message of Slack")
        kind = found.get("subtype")
        if kind not in _SAID and kind not in _GONE:
            self._context.ignore("event of a conversation")
            return
        stamp = found.get("ts")
        if not isinstance(stamp, str) or not _STAMP.fullmatch(stamp):
            raise Fault("missing_id", "a message with its ts")
        created = seconds(float(stamp))
        author = found.get("user")
        account = f"{self._service}:{_name(author)}" if author else None
        item_id = f"{self._container}/{stamp}"
        if not self._public:
            yield private_message(item_id, created, account, self._container, group=self._group)
            return
        yield from self._public_rows(found, item_id, account)

    def _public_rows(self, found: Mapping[str, Any], item_id: str, account: str | None) -> Iterator[Row]:
        stamp, thread, gone = found["ts"], found.get("thread_ts"), found.get("subtype") in _GONE
        edited = (found.get("edited") or {}).get("ts")
        text, mentioned = (None, None) if gone else _words(found.get("text"), self._service)
        row = ItemRow(
            item_id=item_id,
            # when it was deleted nobody says: a deletion without an instant always counts
            version_at=None if gone else seconds(float(edited or stamp)),
            state="deleted" if gone else "live",
            kind="channel_activity",
            account_id=account,
            created_at=seconds(float(stamp)),
            audience="public",
            container_id=self._container,
            container_audience="public",
            parent_id=f"{self._container}/{thread}" if isinstance(thread, str) and thread != stamp else None,
            text=text,
            mentions=mentioned,
        )
        yield row
        files = found.get("files") or () if not gone else ()
        yield from media_rows(row, ({"type": one.get("mimetype")} for one in files if isinstance(one, dict)))


def _listed(lists: Mapping[str, Any], named: Any) -> tuple[str | None, Mapping[str, Any]]:
    """Return which list names a conversation, and its entry; one that several lists name is nobody's."""
    found = [
        (name, entry)
        for name, entries in lists.items()
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and named is not None and named in (entry.get("name"), entry.get("id"))
    ]
    return found[0] if len(found) == 1 else (None, {})


def _several(stream: BinaryIO, context: Context, name: str) -> Iterator[Any]:
    for document in jsonstream.documents(stream, context, name):
        if not isinstance(document, list):
            yield document
            continue
        for number, one in enumerate(document, start=1):
            context.position = f"entry {number}"
            yield one


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise Fault("missing_id", "a user with an id")
    return value


def _words(text: Any, service: str) -> tuple[str | None, list[str] | None]:
    """Return text without Slack's marks, and whom it mentions.

    >>> _words("<@U1> see <https://a.example|this> &amp; <#C2|general>", "slack")
    ('@U1 see this & #general', ['slack:U1'])
    """
    if text is None:
        return None, None
    if not isinstance(text, str):
        raise Fault("wrong_type", "text")
    named = [f"{service}:{match.group(2)}" for match in _MARKS.finditer(text) if match.group(1) == "@"]

    def plain(match: re.Match[str]) -> str:
        sign, name, label = match.groups()
        return f"{sign if sign in '@#' else ''}{label or name}"

    return html.unescape(_MARKS.sub(plain, text)).strip() or None, list(dict.fromkeys(named)) or None
