"""Entities of Mastodon's API (status, account, conversation, notification), also from recorded traffic (VCR YAML).

``visibility`` says who could see a status: public, unlisted, private (followers) or direct. Any other word is
quarantined. A status's ``uri`` is its ActivityPub id, so it meets the same status from an outbox.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import orjson
import yaml

from demur.intake.exports import guarded, profile_items
from demur.intake.fediverse import (
    MOST_MEDIA,
    Fault,
    instant,
    language,
    lost_parent,
    media_rows,
    named,
    named_or_none,
)
from demur.intake.signals import fediverse
from demur.intake.source import Context, ItemRow, PersonRow, Row
from demur.intake.text import plain_text

_AUDIENCES = {"public": "public", "unlisted": "unlisted", "private": "followers", "direct": "direct"}
_YAML_BYTES = 64 * 2**20
_ENTITY = {"visibility", "acct", "last_status", "group_key", "spoiler_text"}


def recorded(stream: BinaryIO, context: Context, path: str) -> Iterator[Any]:
    """Return the JSON bodies of the replies in a VCR cassette."""
    context.at(path, "document")
    raw = stream.read(_YAML_BYTES + 1)
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        cassette: Any = yaml.load(raw, loader) if len(raw) <= _YAML_BYTES else None  # noqa: S506  (a safe loader)
        interactions = list(cassette["interactions"])
    except (yaml.YAMLError, ValueError, TypeError, KeyError, RecursionError):
        yield context.unreadable("malformed_json", "a VCR cassette with interactions, at most 64 MiB", raw)
        return
    for number, interaction in enumerate(interactions):
        context.at(path, f"interaction {number + 1}")
        try:
            reply = orjson.loads(interaction["response"]["body"].get("string") or b"")
        except (AttributeError, KeyError, TypeError, ValueError):
            # aliases make a short file endless when it is written out: the digest is of the file and the number
            reply = context.unreadable("malformed_json", "a reply in JSON", b"%d:%b" % (number + 1, raw))
        yield reply


def is_entity(found: Any) -> bool:
    """Return whether something is an entity of the API rather than an ActivityStreams document."""
    return isinstance(found, dict) and "@context" not in found and not _ENTITY.isdisjoint(found)


def entities(found: Sequence[Any], context: Context) -> Iterator[Row]:
    """Return the rows of some entities; each that cannot be read is quarantined alone."""
    place = context.position
    for number, entity in enumerate(found):
        context.position = place if len(found) == 1 else f"{place}, entry {number + 1}"
        yield from guarded(entity, context, partial(_entity, depth=0))


def _entity(entity: Any, depth: int) -> Iterator[Row]:
    if depth > 8:
        raise Fault("too_deep", "statuses at most 8 levels deep")
    if not isinstance(entity, dict):
        raise Fault("not_content", "an entity of Mastodon's API")
    if "visibility" in entity:
        yield from _status(entity, depth)
    elif "acct" in entity:
        yield from _account(entity)
    elif "last_status" in entity or "status" in entity or "account" in entity:
        held = [*(entity.get("accounts") or []), entity.get("account"), entity.get("last_status"), entity.get("status")]
        if "content" in entity:
            raise Fault("missing_id", "a status with its uri; an edit alone does not say which status it is of")
        for part in held:
            if part is not None:
                yield from _entity(part, depth + 1)
    else:
        raise Fault("not_content", "a status, account, conversation or notification")


def _status(status: Mapping[str, Any], depth: int) -> Iterator[Row]:
    audience = _AUDIENCES.get(str(status["visibility"]))
    if audience is None:
        raise Fault("unknown_audience", "a visibility of public, unlisted, private or direct")
    account = status.get("account") or {}
    if account:
        yield from _account(account)
    created, edited = instant(status.get("created_at")), instant(status.get("edited_at"))
    boosted, quoted = status.get("reblog"), (status.get("quote") or {}).get("quoted_status")
    original = boosted or quoted
    name = named(status.get("uri"))
    row = ItemRow(
        item_id=name,
        version_at=edited or created,
        kind=_kind(status, audience),
        account_id=_account_id(account),
        created_at=created,
        audience=audience,
        parent_id=_parent(status, name) if _answers(status) else None,
        original_id=None if not original else named(original.get("uri")),
        text=None if boosted else _text(status),
        language=language(status.get("language")),
        mentions=[f"@{person['acct']}" for person in status.get("mentions") or () if person.get("acct")] or None,
        **fediverse(status, "mastodon").columns(),
    )
    yield row
    media = [] if boosted else status.get("media_attachments") or []
    most = MOST_MEDIA if edited is not None and "media_attachments" in status else 0
    held = ({"type": _media(m), "path": None, "description": m.get("description")} for m in media)
    yield from media_rows(row, held, most)
    if isinstance(original, dict) and original:
        yield from _entity(original, depth + 1)


def _kind(status: Mapping[str, Any], audience: str) -> str:
    if audience == "direct":
        return "private_message"
    if status.get("reblog"):
        return "reshare"
    if status.get("quote"):
        return "quote"
    if status.get("poll"):
        return "poll"
    return "reply" if _answers(status) else "post"


def _answers(status: Mapping[str, Any]) -> bool:
    """Return whether a status answers another; of one whose parent was deleted only the author's number is left."""
    return any(status.get(name) is not None for name in ("in_reply_to_id", "in_reply_to_account_id"))


def _parent(status: Mapping[str, Any], name: str) -> str:
    """Return the parent as the API names it, by a number of the asking server.

    Unless that status is known, its audience is not; of a status that is gone there is no number.
    """
    answered = status.get("in_reply_to_id")
    host = urlsplit(str(status["uri"])).hostname
    return lost_parent(name) if answered is None else f"activitypub:{host}/statuses/{answered}"


def _text(status: Mapping[str, Any]) -> str | None:
    content, warning = status.get("content") or "", status.get("spoiler_text") or ""
    if not isinstance(content, str) or not isinstance(warning, str):
        raise Fault("wrong_type", "text in content and spoiler_text")
    options = [f"- {option['title']}" for option in (status.get("poll") or {}).get("options") or ()]
    return "\n\n".join(part for part in (warning, plain_text(content), "\n".join(options)) if part) or None


def _media(attachment: Mapping[str, Any]) -> str | None:
    return {"image": "image", "gifv": "video", "video": "video", "audio": "audio"}.get(str(attachment.get("type")))


def _account_id(account: Mapping[str, Any]) -> str | None:
    return named_or_none(account.get("uri") or account.get("url"))


_STATUSES = (("suspended", "suspended"), ("memorial", "memorial"), ("moved", "transferred"))


def _account(account: Mapping[str, Any]) -> Iterator[Row]:
    name = _account_id(account)
    if name is None:
        raise Fault("missing_id", "an account with its uri")
    host = urlsplit(name.partition(":")[2]).hostname
    status = next((word for field, word in _STATUSES if account.get(field)), None)
    automatic = "organisation" if account.get("group") else "bot" if account.get("bot") else "active"
    seen = instant(account.get("last_status_at"))
    created = instant(account.get("created_at"))
    person = PersonRow(
        account_id=name,
        version_at=seen or created,
        handle=f"@{account.get('username')}@{host}",
        display_name=account.get("display_name") or None,
        status=status or automatic,
        private=account.get("locked") if isinstance(account.get("locked"), bool) else None,
        created_at=created,
        last_active_at=seen,
        **fediverse(account, "mastodon").columns(),
    )
    yield person
    texts = {"profile_name": account.get("display_name")}
    texts["bio"] = plain_text(account["note"] or "") if "note" in account else None
    yield from profile_items(person, "public", texts)
