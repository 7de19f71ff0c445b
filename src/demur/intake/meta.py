"""Shapes that the exports of Facebook, Instagram and Threads share: their text, labels, media, messages, audiences.

These exports write UTF-8 as if it were Latin-1, and name things in the language of the account. Known labels are data
(labels.toml); an unknown one is never guessed. Most records do not say who could see them; those are ``unknown``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO

from demur.intake import jsonstream
from demur.intake.exports import (
    Numbering,
    declared_public,
    digest,
    exports,
    guarded,
    media,
    private_message,
    said,
    seconds,
)
from demur.intake.fediverse import Fault, media_rows
from demur.intake.source import Context, Input, ItemRow, Row
from demur.terms.content import Audience

ANY_ARRAY = re.compile(r'\A\s*\[|"[A-Za-z0-9_]+"\s*:\s*\[(?=\s*[{\]])')
"""How the array of a long file begins: the whole file, or the first list of objects in it."""
_MENTION = re.compile(r"@\[(\d{1,20}):\d{1,10}:([^\]\[]{1,200})\]")
_PRIVATE = re.compile(r"(?:^|/)messages/|(?:^|/)message_\d+\.json$")
_KINDS = {"image": "photo", "video": "video", "audio": "voice"}


def units(paths: Sequence[Path], mark: re.Pattern[str], profile: str, expected: str) -> list[Input]:
    """Return a unit for each file of some exports, and one for all messages.

    Args:
        paths: files, folders and zips.
        mark: matches a name that every such export has.
        profile: end of the name of the file that says whose it is.
        expected: what to tell a caller whose path holds no export.

    Raises:
        InputError: a path holds none.
    """
    found: list[Input] = []
    for export in exports(paths, (".json",), mark, expected):
        whose = export.ending(profile)[:1]
        private = [name for name in export.names if _PRIVATE.search(name)]
        found += [export.part("messages", private, whose)] if private or not export.names else []
        found += [export.part(name, [name], whose) for name in export.names if name not in set(private)]
    return found


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads((resources.files("demur.intake") / "labels.toml").read_text("utf-8"))


@cache
def _words(*path: str) -> Mapping[str, str]:
    found = _table()
    for name in path:
        found = found[name]
    return {theirs: ours for ours, several in found.items() for theirs in several}


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose export it is."""

    account_id: str | None
    name: str | None = None
    private: bool | None = None
    """The export says that the account is private, or is not; ``None`` = it does not say."""
    public: bool = False
    """The operator says that what does not say otherwise is public."""

    def audience(self, said_here: str | None) -> str:
        """Return who could see a record: what it says itself, narrowed by the account; unknown is never public."""
        if self.private and said_here in (None, Audience.PUBLIC.value):
            return Audience.FOLLOWERS.value
        return said_here or (Audience.PUBLIC.value if self.public else Audience.UNKNOWN.value)


def owner_of(account_id: str | None, context: Context, *, name: str | None, private: bool | None) -> Owner:
    """Return the owner of an export, with what the operator said about the account."""
    return Owner(account_id, name, private, declared_public(context, account_id))


def entries(stream: BinaryIO, context: Context, path: str) -> Iterator[tuple[str | None, Any]]:
    """Return the records of a file, each with the name of the list that holds it (``None`` = the file is the list)."""
    yield from entries_of(jsonstream.documents(stream, context, path, ANY_ARRAY), context)


def entries_of(documents: Iterator[Any], context: Context) -> Iterator[tuple[str | None, Any]]:
    """Return the records of some documents; a whole file is one document, an item of a long one another."""
    for found in documents:
        place = context.position
        for number, (name, entry) in enumerate(_several(found), start=1):
            context.position = f"entry {number}" if place == "document" else place
            yield name, entry


def _several(found: Any) -> Iterator[tuple[str | None, Any]]:
    if isinstance(found, list):
        yield from ((None, entry) for entry in found)
        return
    lists = [(n, v) for n, v in found.items() if isinstance(v, list)] if isinstance(found, dict) else []
    if lists and not _is_record(found):
        yield from ((name, entry) for name, value in lists for entry in value)
    else:
        yield None, found


def _is_record(found: Mapping[str, Any]) -> bool:
    return not _OF_A_RECORD.isdisjoint(found) or any(
        name.startswith("profile") and isinstance(value, dict) for name, value in found.items()
    )


_OF_A_RECORD = frozenset({"timestamp", "creation_timestamp", "string_map_data", "label_values", "media", "sender_name"})


def labels(entry: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return what a record says by label, under our words, and whether some label with text is unknown to us.

    Both shapes are read: ``string_map_data`` (label → value or timestamp) and ``label_values`` (a list of them). A
    value that is only an instant is the time, whatever it is called.
    """
    found: dict[str, Any] = {}
    unknown = False
    known = _words("labels")
    for label, value in _labelled(entry):
        text, stamp = said(value.get("value")), value.get("timestamp") or value.get("timestamp_value")
        word = known.get(label.strip().lower())
        if word is None and text is None and stamp:
            word = "time"
        if word is None:
            unknown = unknown or text is not None
        elif text is not None or stamp:
            found.setdefault(word, text if text is not None else seconds(stamp))
    return found, unknown


def _labelled(entry: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for label, value in (entry.get("string_map_data") or {}).items():
        if isinstance(value, dict):
            yield said(label) or "", value
    for value in entry.get("label_values") or ():
        if isinstance(value, dict) and isinstance(value.get("label"), str):
            yield said(value["label"]) or "", value


def audience_said(entry: Mapping[str, Any], by_label: Mapping[str, Any]) -> str | None:
    """Return the audience that a record states, ``None`` where it states none.

    Raises:
        Fault: it states one that demur does not know.
    """
    values = [entry.get(name) for name in ("audience", "privacy", "visibility")] + [by_label.get("audience")]
    stated = [value.get("value", value) if isinstance(value, dict) else value for value in values if value is not None]
    if not stated:
        return None
    words = _words("values", "audience")
    found = [words.get(value_.strip().lower()) for value in stated if (value_ := said(value)) is not None]
    if not found or None in found:
        raise Fault("unknown_audience", "an audience that labels.toml names")
    return max((one for one in found if one), key=lambda one: tuple(Audience).index(Audience(one)))


def flag(value: Any) -> bool | None:
    """Return a yes or no in any language that demur knows, ``None`` for anything else."""
    word = _words("values", "private").get(value.strip().lower()) if isinstance(value, str) else None
    return value if isinstance(value, bool) else None if word is None else word == "yes"


def day(value: Any) -> date | None:
    """Return a birth date, ``None`` where it is not one whole date."""
    try:
        if isinstance(value, dict):
            return date(int(value["year"]), int(value["month"]), int(value["day"]))
        return date.fromisoformat(value) if isinstance(value, str) else None
    except (KeyError, TypeError, ValueError):
        return None


def mentions(text: str | None, service: str) -> tuple[str | None, list[str] | None]:
    """Return text whose mentions are names, and the accounts mentioned.

    >>> mentions("hi @[12:2048:Ann B]", "facebook")
    ('hi Ann B', ['facebook:12'])
    """
    if text is None or "@[" not in text:
        return text, None
    found = [f"{service}:{match.group(1)}" for match in _MENTION.finditer(text)]
    return _MENTION.sub(r"\2", text), list(dict.fromkeys(found)) or None


def hang(row: ItemRow, found: Sequence[Mapping[str, Any]], prefix: str, most: int = 0) -> Iterator[ItemRow]:
    """Return a row with the pictures, videos and voices that hang on it, each with its caption.

    Args:
        row: the post.
        found: what hangs on it.
        prefix: of the files' paths.
        most: of a post that was edited, how many it may have had: those that it has not any more are deleted.
    """
    yield row
    if row.get("state") == "deleted":
        return
    yield from _parts(row, found, prefix, most)
    if most:
        yield _caption(row, "")


def _parts(row: ItemRow, found: Sequence[Mapping[str, Any]], prefix: str, most: int) -> Iterator[ItemRow]:
    attached = (_attachment(one, row, prefix) for one in found)
    for part in media_rows(row, (one for one in attached if one["type"]), most):
        if part["kind"] == "alt_text":
            part["kind"] = "caption"
        yield part


def _attachment(found: Mapping[str, Any], row: ItemRow, prefix: str) -> Mapping[str, Any]:
    path, kind = media(found.get("uri"), prefix)
    words = [said(found.get(name)) for name in ("title", "description")]
    described = "\n\n".join(dict.fromkeys(word for word in words if word))
    return {"type": kind, "path": path, "description": described if described != row.get("text") else None}


def alone(row: ItemRow, found: Mapping[str, Any], prefix: str, most: int = 0) -> Iterator[ItemRow]:
    """Return a row that is a picture or video itself, with its file, and its caption; ``most`` as in ``hang``."""
    row["media_path"], row["media_type"] = media(found.get("uri"), prefix)
    yield row
    if row.get("state") == "deleted":
        return
    yield from _parts(row, (), prefix, most)
    words = "\n\n".join(dict.fromkeys(part for name in ("title", "description") if (part := said(found.get(name)))))
    if words or most:
        yield _caption(row, words)


def _caption(row: ItemRow, words: str) -> ItemRow:
    """Return the caption of a row that is a picture itself; without words it was taken away."""
    caption = ItemRow({name: value for name, value in row.items() if not name.startswith("media_")})
    caption["item_id"], caption["kind"], caption["text"] = f"{row['item_id']}#caption-0", "caption", words or None
    caption["parent_id"], caption["parent_audience"] = row["item_id"], row["audience"]
    caption["state"] = "live" if words else "deleted"
    return caption


def kind_of(found: Mapping[str, Any]) -> str:
    """Return the kind of a picture, video or voice by its file; without a file that says so, a post."""
    media_type = media(found.get("uri"))[1] or ""
    return _KINDS.get(media_type.split("/")[0], "post")


def messages(
    stream: BinaryIO, context: Context, path: str, service: str, owner: Owner, numbering: Numbering
) -> Iterator[Row]:
    """Return that there were private messages, each without a word of it (INT-05).

    A conversation's folder is named after people, so its id is a digest.
    """
    base = f"{service}:message:{digest(path.rpartition('/')[0])}"
    found: Any
    for found in jsonstream.documents(stream, context, path, _MESSAGES):
        whole = isinstance(found, dict) and isinstance(found.get("messages"), list)
        people = found.get("participants") if whole else None
        group = isinstance(people, list) and len(people) > 2
        several = found["messages"] if whole else found if isinstance(found, list) else [found]
        place = context.position
        for number, message in enumerate(several, start=1):
            context.position = f"message {number}" if place == "document" else place
            yield from guarded(message, context, partial(_message, base, owner, numbering, group))


_MESSAGES = re.compile(r'"messages"\s*:\s*\[|\A\s*\[')


def _message(base: str, owner: Owner, numbering: Numbering, group: bool, found: Any) -> list[ItemRow]:
    if not isinstance(found, dict) or not ({"timestamp_ms", "timestamp"} & found.keys()):
        raise Fault("not_content", "a message with its time")
    created = seconds(found.get("timestamp_ms"), 1000) or seconds(found.get("timestamp"))
    mine = owner.name is not None and said(found.get("sender_name") or found.get("senderName")) == owner.name
    name = numbering.name(f"{base}/{moment(created)}")
    return [private_message(name, created, owner.account_id if mine else None, base, group=group)]


def moment(created: datetime | None) -> str:
    """Return an instant as it stands in an id, in milliseconds."""
    return "undated" if created is None else str(int(created.timestamp() * 1000))
