"""Submissions and comments as Reddit's API writes them, one JSON object a line (the shape of the Pushshift dumps).

A community says what it is (``subreddit_type``); one that does not is of unknown audience unless the operator declares
it public. ``[deleted]`` and ``[removed]`` are tombstones; an author who left is unknown. Asks no network.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from demur.errors import InputError
from demur.intake import archive, jsonstream
from demur.intake.exports import declared_public, guarded, seconds
from demur.intake.fediverse import Fault, media_rows
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row
from demur.terms.content import Audience

SERVICE = "reddit"
_FILES = re.compile(r"(?:\.(?:jsonl|ndjson)|(?:^|_)(?:submissions|comments)|^R[SC]_\d{4}-\d\d)(?:\.(?:gz|zst))?$")
_COMMUNITIES = {
    "public": Audience.PUBLIC.value,
    "archived": Audience.PUBLIC.value,
    "user": Audience.PUBLIC.value,
    # anyone may look in, but demur takes a community that chooses its writers as one that chose its circle
    "restricted": Audience.GROUP.value,
    "private": Audience.GROUP.value,
    "gold_restricted": Audience.GROUP.value,
    "gold_only": Audience.GROUP.value,
    "employees_only": Audience.GROUP.value,
}
_GONE = frozenset({"[deleted]", "[removed]", "[ Removed by Reddit ]", "[deleted by user]"})
_NAMES = re.compile(r"(?<![A-Za-z0-9_/-])/?u/([A-Za-z0-9_-]{3,20})(?![A-Za-z0-9_-])")
_ID = re.compile(r"[a-z0-9]{1,13}")
_THING = re.compile(r"t[1-6]_[a-z0-9]{1,13}")
_SEEN = 100_000
"""People whose record was just given are not given again; the list of them starts anew at this length."""


class Reddit:
    """Reads files of submissions and comments."""

    name = "reddit"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return the files; in a folder, JSON lines and those named like the dumps (RS_2020-01.zst).

        Raises:
            InputError: a path holds none.
        """
        found = []
        for path in paths:
            files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if _FILES.search(f.name))
            if not files:
                raise InputError(f"expected files of submissions or comments (.jsonl, .zst) in {path.name}, found none")
            found += [Input((file,), SERVICE) for file in files]
        return found

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one file."""
        reading = _Reading(context)
        context.at(given.path.name, "start")
        try:
            with archive.opened(given.path) as stream:
                for found in jsonstream.lines(stream, context, given.path.name):
                    yield from guarded(found, context, reading.rows)
        except (*archive.DAMAGE, OSError):
            # the dumps are packed with a window of 2 GiB; what a reader does not take must be unpacked before
            yield context.unreadable(
                "unreadable_file", "a file that can be unpacked to its end (zstd --long=27 at most)"
            )


class _Reading:
    """One file on its way into rows."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen: set[tuple[str, str | None]] = set()

    def rows(self, found: Any) -> Iterator[Row]:
        """Return the rows of one submission or comment."""
        if not isinstance(found, dict):
            raise Fault("wrong_type", "an object a line")
        comment = "body" in found and "link_id" in found
        if not comment and "title" not in found:
            raise Fault("not_content", "a submission with its title, or a comment with its body")
        author = found.get("author")
        account = None if author in (None, *_GONE) else f"{SERVICE}:u/{_name(author)}"
        row = self._item(found, account, comment=comment)
        if account is not None:
            yield from self._person(found, account, row)
        yield row
        if not comment and row["state"] == "live":
            shown = "video" if found.get("is_video") is True else "image" if found.get("post_hint") == "image" else None
            yield from media_rows(row, iter([{"type": shown}]))

    def _item(self, found: Mapping[str, Any], account: str | None, *, comment: bool) -> ItemRow:
        created, edited = seconds(found.get("created_utc")), found.get("edited")
        if not isinstance(found.get("id"), str) or not _ID.fullmatch(found["id"]):
            raise Fault("missing_id", "an id of letters and digits")
        body = found.get("body") if comment else found.get("selftext")
        gone = body in _GONE or bool(found.get("removed_by_category")) or found.get("title") in _GONE
        shared = found.get("crosspost_parent")
        text = (
            None
            if gone
            else _words(found.get("title"), None if comment else body, found)
            if not comment
            else _text(body)
        )
        audience = self._community(found)
        return ItemRow(
            item_id=f"{SERVICE}:{'t1' if comment else 't3'}_{found['id']}",
            # when it was deleted nobody says: a deletion without an instant always counts
            version_at=None if gone else (seconds(edited) if edited is not True else None) or created,
            state="deleted" if gone else "live",
            kind="comment" if comment else "reshare" if shared else "post",
            account_id=account,
            created_at=created,
            audience=audience,
            container_id=f"{SERVICE}:r/{found['subreddit']}" if isinstance(found.get("subreddit"), str) else None,
            container_audience=audience,
            parent_id=_thing(found.get("parent_id")) if comment else None,
            parent_audience=audience if comment else None,
            original_id=_thing(shared),
            text=text,
            mentions=[f"{SERVICE}:u/{name}" for name in dict.fromkeys(_NAMES.findall(text))] or None if text else None,
            special_category=True if found.get("over_18") is True else None,
        )

    def _community(self, found: Mapping[str, Any]) -> str:
        kind = found.get("subreddit_type")
        if kind is None:
            named = found.get("subreddit")
            public = isinstance(named, str) and declared_public(self._context, named, f"r/{named}")
            return (Audience.PUBLIC if public else Audience.UNKNOWN).value
        if not isinstance(kind, str) or kind not in _COMMUNITIES:
            raise Fault("unknown_audience", "a subreddit_type that demur knows")
        audience = _COMMUNITIES[kind]
        return Audience.UNLISTED.value if audience == "public" and found.get("quarantine") is True else audience

    def _person(self, found: Mapping[str, Any], account: str, row: ItemRow) -> Iterator[Row]:
        flair = found.get("author_flair_text")
        flair = html.unescape(flair).strip() if isinstance(flair, str) else None
        if len(self._seen) > _SEEN:
            self._seen.clear()
        if (account, None) not in self._seen:
            self._seen.add((account, None))
            yield PersonRow(
                account_id=account,
                handle=account.partition(":")[2],
                private=False,
                created_at=seconds(found.get("author_created_utc")),
            )
        key = (account, f"{row['container_id']} {flair}")
        if flair and key not in self._seen:
            self._seen.add(key)
            yield ItemRow(
                item_id=f"{account}#flair-{row['container_id']}",
                version_at=row["created_at"],
                kind="metadata",
                account_id=account,
                created_at=row["created_at"],
                audience=row["audience"],
                container_id=row["container_id"],
                container_audience=row["audience"],
                text=flair,
            )


def _words(title: Any, body: Any, found: Mapping[str, Any]) -> str | None:
    """Return title and body; of a crosspost only a title of its own."""
    origin: Mapping[str, Any] = next(iter(found.get("crosspost_parent_list") or ()), {})
    title = None if found.get("crosspost_parent") and origin.get("title") in (title, None) else title
    body = None if found.get("crosspost_parent") else body
    return "\n\n".join(part for part in (_text(title), _text(body)) if part) or None


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise Fault("wrong_type", "text")
    return html.unescape(value).strip() or None


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise Fault("wrong_type", "the name of an author")
    return value


def _thing(value: Any) -> str | None:
    return f"{SERVICE}:{value}" if isinstance(value, str) and _THING.fullmatch(value) else None
