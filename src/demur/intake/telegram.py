"""Telegram Desktop's export (result.json): one chat, or all of an account.

Everything is private, and no word of it is kept, but what was said in a channel or supergroup that the export calls
public and that the operator declares public too, by its number (``public`` in the mapping).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from demur.intake import jsonstream
from demur.intake.exports import declared_public, exports, guarded, iso, media, parsed, private_message, read, seconds
from demur.intake.fediverse import Fault, media_rows
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row

_MARK = re.compile(r"(?:^|(?<=/))result\.json$")
_MESSAGES = re.compile(r'"messages"\s*:\s*\[')
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}]', re.DOTALL)
_PUBLIC = {"public_channel": "channel_activity", "public_supergroup": "group_activity"}
_ALONE = frozenset({"personal_chat", "bot_chat", "saved_messages"})
_SENDER = re.compile(r"(?:user|channel)\d{1,20}")
_FILES = ("photo", "file")
_FORWARDED = frozenset({"forwarded_from", "forwarded_from_id"})


class Telegram:
    """Reads exports of chats, as files, folders or zips."""

    name = "telegram"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return a unit for each ``result.json``.

        Raises:
            InputError: a path holds none.
        """
        found = exports(paths, (".json",), _MARK, "an export of Telegram (result.json)")
        units = [export.part(name, [name]) for export in found for name in export.names]
        return units + [export.part("chats", ()) for export in found if not export.names]

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one file; chats of any length are read as a stream."""
        yield from read(given, context, _Reading(given.options["prefix"], context).file)


class _Reading:
    """One file on its way into rows."""

    def __init__(self, prefix: str, context: Context) -> None:
        self._context, self._service, self._prefix = context, context.service, prefix
        self._people: set[str] = set()

    def file(self, name: str, stream: BinaryIO) -> Iterator[Row]:
        head: str | None = None
        chat = ("", "")
        for before, message in jsonstream.arrays(stream, self._context, name, _MESSAGES):
            if before is not head:
                head, chat = before, _chat(before)
            yield from guarded(message, self._context, partial(self._message, chat))

    def _message(self, chat: tuple[str, str], found: Any) -> Iterator[Row]:
        kind, number = chat
        if not isinstance(found, dict) or not isinstance(found.get("id"), int):
            raise Fault("not_content", "a message with its number")
        if found.get("type") != "message":
            self._context.ignore("event of a conversation")
            return
        if not number:
            raise Fault("missing_id", "a chat with its number before its messages")
        sender = found.get("from_id") or (f"channel{number}" if kind == "public_channel" else None)
        known = isinstance(sender, str) and _SENDER.fullmatch(sender) is not None
        account = f"{self._service}:{sender}" if known else None
        container = f"{self._service}:chat{number}"
        created = seconds(found.get("date_unixtime")) or iso(found.get("date"))
        item_id = f"{container}/{found['id']}"
        if kind not in _PUBLIC or not declared_public(self._context, number):
            yield private_message(item_id, created, account, container, group=kind not in _ALONE)
            return
        if account is not None and account not in self._people:
            self._people.add(account)
            yield PersonRow(account_id=account, display_name=_name(found.get("from")), private=False)
        edited = seconds(found.get("edited_unixtime")) or (iso(found["edited"]) if found.get("edited") else None)
        yield from self._public(found, _Place(_PUBLIC[kind], item_id, container, account, created, edited))

    def _public(self, found: Mapping[str, Any], place: _Place) -> Iterator[Row]:
        text, mentioned = _words(found.get("text"), self._service)
        answered = found.get("reply_to_message_id")
        # where the account that it comes from is gone, the name is there and null
        forwarded = not _FORWARDED.isdisjoint(found)
        row = ItemRow(
            item_id=place.item_id,
            version_at=place.edited or place.created,
            kind="reshare" if forwarded else place.kind,
            account_id=place.account,
            created_at=place.created,
            audience="public",
            container_id=place.container,
            container_audience="public",
            parent_id=f"{place.container}/{answered}" if isinstance(answered, int) else None,
            text=None if forwarded else text,
            mentions=mentioned,
        )
        yield row
        if not forwarded:
            paths = (media(found.get(name), self._prefix) for name in _FILES)
            mime = found.get("mime_type") if isinstance(found.get("mime_type"), str) else None
            yield from media_rows(row, ({"type": mime or kind, "path": path} for path, kind in paths if path))


class _Place:
    """Where a public message stands."""

    __slots__ = ("account", "container", "created", "edited", "item_id", "kind")

    def __init__(
        self,
        kind: str,
        item_id: str,
        container: str,
        account: str | None,
        created: datetime | None,
        edited: datetime | None,
    ) -> None:
        self.kind, self.item_id, self.container = kind, item_id, container
        self.account, self.created, self.edited = account, created, edited


def _chat(before: str) -> tuple[str, str]:
    """Return type and number of the chat whose messages begin after this text; nothing where it does not say.

    Read is the beginning of the innermost object that is still open, as JSON: a name can never pass for a type.
    """
    opened: list[int] = []
    for token in _TOKENS.finditer(before):
        if token.group() == "{":
            opened.append(token.start())
        elif token.group() == "}" and opened:
            opened.pop()
    head = parsed((before[opened[-1] :].rstrip().rstrip(",") + "}").encode()) if opened else None
    kind, number = (head.get("type"), head.get("id")) if isinstance(head, dict) else (None, None)
    if not isinstance(kind, str) or not isinstance(number, int) or isinstance(number, bool):
        return "", ""
    return kind, str(number)


def _words(value: Any, service: str) -> tuple[str | None, list[str] | None]:
    """Return the text of a message, which may be cut into pieces, and whom it mentions."""
    pieces = value if isinstance(value, list) else [value]
    texts, named = [], []
    for piece in pieces:
        text = piece.get("text") if isinstance(piece, dict) else piece
        if text is not None and not isinstance(text, str):
            raise Fault("wrong_type", "text in pieces")
        texts.append(text or "")
        if isinstance(piece, dict) and piece.get("type") == "mention":
            named.append(text or "")
        elif isinstance(piece, dict) and piece.get("type") == "mention_name" and isinstance(piece.get("user_id"), int):
            named.append(f"{service}:user{piece['user_id']}")
    return "".join(texts).strip() or None, [name for name in dict.fromkeys(named) if name] or None


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
