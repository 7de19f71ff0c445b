"""Words that ActivityPub documents and the Mastodon API share: ids, instants, languages, media. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from demur.intake.source import ItemRow
from demur.terms.content import NARROWNESS

SERVICE = "activitypub"
"""One service for both sources: the same post read from an outbox and from an API is one item."""

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?(?:-[A-Za-z0-9]{5,8})*")
_MEDIA = {"image": "photo", "video": "video", "audio": "voice"}


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
    if not isinstance(identifier, str) or not urlsplit(identifier).scheme:
        raise Fault("missing_id", "an id that is an absolute URI")
    return f"{SERVICE}:{identifier}"


def named_or_none(identifier: Any) -> str | None:
    """Return the id in demur, or ``None`` where there is none."""
    return named(identifier) if isinstance(identifier, str) and urlsplit(identifier).scheme else None


def instant(value: Any) -> datetime | None:
    """Return an xsd:dateTime as an instant in UTC.

    Raises:
        Fault: it is none.
    """
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Fault("not_a_date", "an xsd:dateTime") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def language(tag: Any) -> str | None:
    """Return a language tag if it is well-formed as posts use it (RFC 5646 §2.1), else ``None``."""
    return tag if isinstance(tag, str) and _LANGUAGE.fullmatch(tag) else None


def narrowest(*audiences: str) -> str:
    """Return the narrowest of some audiences."""
    return max(audiences, key=NARROWNESS.__getitem__)


def media_rows(item: ItemRow, attachments: Iterator[Mapping[str, Any]]) -> Iterator[ItemRow]:
    """Return a row for each picture, video and voice of an item, and one for each description.

    They hang on the item: its audience, and its deletion, reach them through ``parent_id``.

    Args:
        item: the item that carries them.
        attachments: ``type`` (media type or its first half), ``path`` and ``description`` of each.
    """
    shared = ("version_at", "account_id", "co_account_ids", "created_at", "audience", "signal", "signal_origin")
    for number, attachment in enumerate(attachments):
        kind = _MEDIA.get(str(attachment.get("type") or "").split("/")[0])
        if kind is None:
            continue
        row = ItemRow({name: item.get(name) for name in shared})
        row.update(
            item_id=f"{item['item_id']}#attachment-{number}",
            kind="private_message" if item["kind"] == "private_message" else kind,
            parent_id=item["item_id"],
            parent_audience=item["audience"],
            media_type=attachment.get("type"),
            media_path=attachment.get("path"),
        )
        yield row
        if attachment.get("description"):
            described = ItemRow(row)
            described.update(
                item_id=f"{item['item_id']}#alt-{number}",
                kind="private_message" if item["kind"] == "private_message" else "alt_text",
                text=attachment["description"],
                language=item.get("language"),
                media_type=None,
                media_path=None,
            )
            yield described
