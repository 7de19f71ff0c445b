"""Words that ActivityPub documents and the Mastodon API share: ids, instants, languages, media. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from demur.intake.source import ItemRow
from demur.terms.content import NARROWNESS

SERVICE = "activitypub"
"""One service for both sources: the same post read from an outbox and from an API is one item."""

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?(?:-[A-Za-z0-9]{5,8})*")
_MEDIA = {"image": "photo", "video": "video", "audio": "voice"}
MOST_MEDIA = 20
"""Files that a post of the Fediverse may carry: of Mastodon 4, of its forks and Misskey 16, of Pixelfed 20."""


class Fault(ValueError):  # noqa: N818  (not an error of the program: a record that goes to quarantine)
    """A record that cannot be taken, with its reason and what was expected."""

    def __init__(self, reason: str, expected: str) -> None:
        self.reason, self.expected = reason, expected
        super().__init__(reason)


def named(identifier: Any) -> str:
    """Return an item's or account's id in demur.

    Raises:
        Fault: it is no absolute URI (ActivityPub §3.1).
    """
    found = named_or_none(identifier)
    if found is None:
        raise Fault("missing_id", "an id that is an absolute URI")
    return found


def named_or_none(identifier: Any) -> str | None:
    """Return the id in demur, or ``None`` where there is none."""
    try:
        return f"{SERVICE}:{identifier}" if isinstance(identifier, str) and urlsplit(identifier).scheme else None
    except ValueError:
        return None


def lost_parent(item_id: str) -> str:
    """Return what stands for the parent of an answer that does not say which one: no item has this name.

    So the audience of the parent is unknown, as it is.
    """
    return f"{item_id}#answered"


def instant(value: Any) -> datetime | None:
    """Return an xsd:dateTime as an instant in UTC.

    Raises:
        Fault: it is none.
    """
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise Fault("not_a_date", "an xsd:dateTime") from None


def language(tag: Any) -> str | None:
    """Return a language tag if it is well-formed as posts use it (RFC 5646 §2.1), else ``None``."""
    return tag if isinstance(tag, str) and _LANGUAGE.fullmatch(tag) else None


def narrowest(*audiences: str) -> str:
    """Return the narrowest of some audiences."""
    return max(audiences, key=NARROWNESS.__getitem__)


def media_rows(item: ItemRow, attachments: Iterable[Mapping[str, Any]], most: int = 0) -> Iterator[ItemRow]:
    """Return a row for each picture, video and voice of an item, and one for each description.

    They hang on the item: its audience, and its deletion, reach them through ``parent_id``.

    Args:
        item: the item that carries them.
        attachments: ``type`` (media type or its first half), ``path`` and ``description`` of each.
        most: of an item that was edited, how many it may have: what an earlier version had and this one has not is
            deleted. 0 = this is the first version, or not all of one.
    """
    found = list(attachments)
    for number in range(max(len(found), most)):
        given = found[number] if number < len(found) else {}
        kind = _MEDIA.get(str(given.get("type") or "").split("/")[0])
        given = given if kind is not None else {}
        row = _hanging(item, f"attachment-{number}", kind or "photo")
        row.update(media_type=given.get("type"), media_path=given.get("path"))
        described = _hanging(item, f"alt-{number}", "alt_text")
        described.update(text=given.get("description") or None, language=item.get("language"))
        for part, there in ((row, kind is not None), (described, described["text"] is not None)):
            if there or most:
                part["state"] = "live" if there else "deleted"
                yield part


def _hanging(item: ItemRow, name: str, kind: str) -> ItemRow:
    shared = ("version_at", "account_id", "co_account_ids", "created_at", "audience", "signal", "signal_origin")
    return ItemRow(
        {column: item.get(column) for column in shared},
        item_id=f"{item['item_id']}#{name}",
        kind="private_message" if item["kind"] == "private_message" else kind,
        parent_id=item["item_id"],
        parent_audience=item["audience"],
    )
