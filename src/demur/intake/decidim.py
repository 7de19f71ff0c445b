"""Decidim's open data: a zip or folder of CSV tables: proposals, debates, meetings, blog posts, comments, participants.

The export holds what everybody can see, so the audience is ``public``: private spaces and what moderators have hidden
are not in it. What was withdrawn is a tombstone. An author counts as a person only where the table links a profile;
else it is the organisation, whose numbers are of another table.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from demur.errors import InputError
from demur.intake import archive
from demur.intake.fediverse import Fault, instant, language
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row
from demur.intake.text import plain_text

_TABLE = re.compile(r"(?:.*open-data-|^)([a-z_]+)\.csv(?:\.gz|\.zst)?$")
_KINDS = {"proposals": ("proposal", "post"), "debates": ("debate", "post"), "meetings": ("meeting", "event"),
          "posts": ("post", "post"), "blogs": ("post", "post")}  # fmt: skip
"""Table → word in ids (the last word of Decidim's class, small) and kind."""
_COMMENTS = re.compile(r"(?:[a-z_]+_)?comments")
_FIELD_BYTES = 2**24


class Decidim:
    """Reads the open data export."""

    name = "decidim"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return every table in zips, folders and files.

        Raises:
            InputError: a path holds none.
        """
        found: list[Input] = []
        for path in paths:
            files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())
            here = [
                Input((file,), None, {"member": member, "table": match[1]})
                for file in files
                for member in (archive.members_or_fault(file) if file.suffix in (".zip", ".csv", ".gz", ".zst") else ())
                if (match := _TABLE.match((member or file.name).rpartition("/")[2]))
            ]
            if not here:
                raise InputError(f"expected Decidim's open data (a zip or folder of .csv) in {path.name}, found none")
            found += here
        return found

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one table."""
        table, member = given.options["table"], given.options["member"]
        if table in _KINDS:
            made = _Made(context.service, *_KINDS[table])
        elif _COMMENTS.fullmatch(table):
            made = _Made(context.service, "comment", "comment")
        elif table in ("users", "participants"):
            made = _Made(context.service, "user", "")
        else:
            context.ignore(f"table {table}")
            return
        seen: set[str] = set()
        with archive.opened(given.path, member) as stream:
            for record in _records(stream, context, member or given.path.name):
                if not isinstance(record, dict):
                    yield record
                    continue
                try:
                    yield from list(made.rows(record, seen))
                except Fault as fault:
                    yield context.unreadable(fault.reason, fault.expected, repr(record))


def _records(stream: Any, context: Context, path: str) -> Iterator[Any]:
    """Yield the rows of a table as dictionaries, bad ones as what is quarantined."""
    context.at(path, "row 1")
    csv.field_size_limit(_FIELD_BYTES)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    head = text.readline()
    delimiter = ";" if head.count(";") >= head.count(",") else ","
    names = next(csv.reader([head], delimiter=delimiter), [])
    if "id" not in names:
        yield context.unreadable("not_content", "a table of Decidim's open data with a column id", head)
        return
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        for fields in reader:
            context.at(path, f"line {reader.line_num + 1}")
            if len(fields) == len(names):
                yield dict(zip(names, fields, strict=True))
            elif fields:
                yield context.unreadable("malformed_table", f"{len(names)} fields", repr(fields))
    except csv.Error as error:
        cut = "unexpected end" in str(error)
        yield context.unreadable("truncated" if cut else "malformed_table", "CSV as RFC 4180 describes it")
    finally:
        text.detach()


class _Made:
    """What a table's rows become."""

    def __init__(self, service: str, word: str, kind: str) -> None:
        self._service, self._word, self._kind = service, word, kind

    def rows(self, record: Mapping[str, str], seen: set[str]) -> Iterator[Row]:
        """Return an item with its authors, or a participant."""
        number = record["id"].strip()
        if not number.isdigit():
            raise Fault("missing_id", "an id that is a whole number")
        if self._word == "user":
            yield self._participant(number, record)
            return
        authors = list(self._authors(record))
        for account, handle, name in authors:
            if account not in seen:
                seen.add(account)
                yield PersonRow(account_id=account, handle=handle, display_name=name)
        yield self._item(number, record, [account for account, _, _ in authors])

    def _item(self, number: str, record: Mapping[str, str], authors: list[str]) -> ItemRow:
        created = _at(record, "created_at", "published_at")
        withdrawn = record.get("state") == "withdrawn" or bool(record.get("withdrawn_at"))
        parent = self._parent(record) if self._word == "comment" else None
        text, spoken = _words(record)
        space, url = record.get("participatory_space/id"), record.get("participatory_space/url") or ""
        place = url.rstrip("/").rpartition("/")[0].rpartition("/")[2]
        return ItemRow(
            item_id=f"{self._service}:{self._word}:{number}",
            version_at=_at(record, "withdrawn_at", "updated_at", "published_at", "created_at"),
            state="deleted" if withdrawn else "live",
            kind="reply" if parent is not None and ":comment:" in parent else self._kind,
            account_id=authors[0] if authors else None,
            co_account_ids=authors[1:] or None,
            created_at=created,
            audience="unknown" if withdrawn else "public",
            container_id=f"{self._service}:{place or 'space'}:{space}" if space else None,
            parent_id=parent,
            text=None if withdrawn else text,
            language=spoken,
        )

    def _parent(self, record: Mapping[str, str]) -> str | None:
        kind, number = record.get("commentable_type") or "", record.get("commentable_id") or ""
        return f"{self._service}:{kind.rpartition('::')[2].lower()}:{number}" if kind and number else None

    def _authors(self, record: Mapping[str, str]) -> Iterator[tuple[str, str | None, str | None]]:
        """Yield account, handle and name of each author that is a participant."""
        numbers, names, links = (_split(record.get(f"author/{part}")) for part in ("id", "name", "url"))
        several = len(numbers) > 1
        for place, number in enumerate(numbers):
            link = links[place] if place < len(links) else ""
            if not number.isdigit() or ("author/url" in record and "/profiles/" not in link):
                continue
            handle = link.partition("/profiles/")[2].partition("/")[0].partition("?")[0]
            # a name may hold a comma: of one author the whole field is the name
            name = (names[place] if place < len(names) else "") if several else record.get("author/name") or ""
            yield f"{self._service}:user:{number}", f"@{handle}" if handle else None, name or None

    def _participant(self, number: str, record: Mapping[str, str]) -> PersonRow:
        gone = record.get("deleted", record.get("deleted_at", ""))
        blocked = record.get("blocked", "")
        nickname = record.get("nickname") or ""
        return PersonRow(
            account_id=f"{self._service}:user:{number}",
            handle=f"@{nickname.lstrip('@')}" if nickname else None,
            display_name=record.get("name") or None,
            status="deleted" if gone not in ("", "false") else "suspended" if blocked == "true" else None,
            created_at=_at(record, "created_at"),
            language=language(record.get("locale")),
        )


def _split(field: str | None) -> list[str]:
    return [part.strip() for part in (field or "").split(",")] if field else []


def _at(record: Mapping[str, str], *names: str) -> datetime | None:
    """Return the first instant that some columns give."""
    value = next((record[name] for name in names if record.get(name)), None)
    return instant(value.replace(" UTC", "+00:00").replace(" +", "+")) if value else None


def _words(record: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return text and language: of a text in several languages the first that the table gives."""
    parts, tags = [], []
    for field in ("title", "body", "description"):
        spoken = ((name, record[name]) for name in record if name == field or name.startswith(f"{field}/"))
        name, value = next(((name, value) for name, value in spoken if value.strip()), ("", ""))
        if value:
            parts.append(plain_text(value))
            tags += [name.partition("/")[2]] if "/" in name else []
    tag = tags[0] if len(set(tags)) == 1 else record.get("locale")
    return "\n\n".join(parts) or None, language(tag)
