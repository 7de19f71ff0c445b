"""Bluesky: Jetstream's events (JSON lines), repositories (CAR) and the firehose's frames, all as the same events.

A version's time is one that all three know: of a new record the TID that is its key, of a change the ``rev`` of its
commit, so the same post from any of them is one version. Records of the AT protocol are public by nature: there are no
private repositories. Deletes are tombstones. The repository's owner may declare what it wants: a record of
``org.user-intents.declaration`` is a signal (REQUIREMENTS §5.8) of the whole account.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from demur.errors import InputError
from demur.intake import archive, atproto, jsonstream
from demur.intake.exports import guarded
from demur.intake.fediverse import Fault, instant, language, media_rows
from demur.intake.signals import at_declaration, combined
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row

SERVICE = "bluesky"
_POST, _REPOST, _PROFILE = "app.bsky.feed.post", "app.bsky.feed.repost", "app.bsky.actor.profile"
_INTENTS = "org.user-intents.declaration"
_KINDS = {_POST: "post", _REPOST: "reshare"}
_READERS = {".jsonl": jsonstream.lines, ".ndjson": jsonstream.lines, ".car": atproto.repository, ".bin": atproto.frames}
_ENDINGS = tuple(f"{kind}{packed}" for kind in _READERS for packed in ("", ".gz", ".zst"))
_STATUSES = {
    "takendown": "suspended",
    "suspended": "suspended",
    "deleted": "deleted",
    "deactivated": "deactivated",
}
_EMBEDDED = {"app.bsky.embed.images": ("images", "image"), "app.bsky.embed.video": ("video", "video")}
_MOST_MEDIA = 4
"""Pictures of a post (app.bsky.embed.images, maxLength)."""


class Bluesky:
    """Reads files of events, repositories and frames."""

    name = "bluesky"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return the files; in a folder, those that end in .jsonl, .ndjson, .car or .bin, compressed or not.

        Raises:
            InputError: a path holds none.
        """
        found = []
        for path in paths:
            files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.name.endswith(_ENDINGS))
            if not files:
                raise InputError(
                    f"expected events (.jsonl), repositories (.car) or frames (.bin) in {path.name}, found none"
                )
            found += [Input((file,), SERVICE, {"format": _format(file.name)}) for file in files]
        return found

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one file."""
        read = _READERS[given.options["format"]]
        with archive.opened(given.path) as stream:
            for event in read(stream, context, given.path.name):
                yield from guarded(event, context, partial(_event, context=context))


def _format(name: str) -> str:
    """Return the ending that says how a file is read; a file without one is lines."""
    return next((end for end in _READERS if name.removesuffix(".gz").removesuffix(".zst").endswith(end)), ".jsonl")


def _event(event: Mapping[str, Any], context: Context) -> Iterator[Row]:
    kind = event.get("kind")
    account = f"{SERVICE}:{event['did']}"
    if kind == "commit":
        commit = event["commit"]
        yield from _commit(event["did"], commit, _began(commit) or _microseconds(event.get("time_us")), context)
        return
    # what the relay says is the same everywhere; when Jetstream passed it on is Jetstream's own
    at = instant((event.get(str(kind)) or {}).get("time")) or _microseconds(event.get("time_us"))
    if kind == "identity":
        handle = event["identity"].get("handle")
        yield PersonRow(account_id=account, version_at=at, handle=f"@{handle}" if handle else None)
    elif kind == "account":
        found = event["account"]
        # an account that is not active for a reason that demur does not know is out like a suspended one
        status = "active" if found["active"] is True else _STATUSES.get(found.get("status"), "suspended")
        yield PersonRow(account_id=account, version_at=at, status=status, private=False)
    else:
        raise Fault("not_content", "an event of kind commit, identity or account")


def _began(commit: Mapping[str, Any]) -> datetime | None:
    """Return when a version began by the repository's own clock; ``None`` = the commit has no ``rev``.

    A key is chosen by the author's program, so it is believed only up to the commit, which relays hold to the present.
    """
    committed = atproto.tid_instant(commit.get("rev"))
    made = atproto.tid_instant(commit.get("rkey")) if commit.get("operation") == "create" else None
    return min(made, committed) if made is not None and committed is not None else committed


def _microseconds(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        return datetime.fromtimestamp(value / 1e6, tz=UTC).replace(microsecond=value % 1_000_000)
    except (TypeError, ValueError, OverflowError, OSError):
        raise Fault("not_a_date", "microseconds since 1970 in time_us") from None


def _commit(did: str, commit: Mapping[str, Any], at: datetime | None, context: Context) -> Iterator[Row]:
    collection, operation = commit["collection"], commit["operation"]
    if collection == _INTENTS:
        yield _declared(did, commit, at)
    elif collection == _PROFILE:
        yield from _profile(did, commit, at)
    elif collection not in _KINDS:
        context.ignore(collection)
    elif operation == "delete":
        yield ItemRow(
            item_id=_uri(did, commit),
            version_at=at,
            state="deleted",
            kind=_KINDS[collection],
            account_id=f"{SERVICE}:{did}",
            audience="unknown",
        )
    elif operation in ("create", "update"):
        yield from _item(did, commit, at)
    else:
        raise Fault("unknown_value", "an operation of create, update or delete")


def _uri(did: str, commit: Mapping[str, Any]) -> str:
    return f"{SERVICE}:at://{did}/{commit['collection']}/{commit['rkey']}"


def _item(did: str, commit: Mapping[str, Any], at: datetime | None) -> Iterator[Row]:
    record = commit["record"]
    quoted = _quoted(record.get("embed"))
    reply = (record.get("reply") or {}).get("parent", {}).get("uri")
    kind = _KINDS[commit["collection"]]
    subject = record["subject"]["uri"] if kind == "reshare" else quoted
    tags = [language(tag) for tag in record.get("langs") or ()]
    if kind == "post":
        kind = "quote" if quoted else "reply" if reply else "post"
    text = record.get("text")
    if text is not None and not isinstance(text, str):
        raise Fault("wrong_type", "text in text")
    row = ItemRow(
        item_id=_uri(did, commit),
        # createdAt is what the author's program claims; the order of versions needs the repository's own clock
        version_at=at,
        kind=kind,
        account_id=f"{SERVICE}:{did}",
        created_at=instant(record.get("createdAt")),
        audience="public",
        parent_id=f"{SERVICE}:{reply}" if reply else None,
        parent_audience="public" if reply else None,
        original_id=f"{SERVICE}:{subject}" if subject else None,
        text=text or None,
        language=tags[0] if len(tags) == 1 else None,
        mentions=_mentioned(record) or None,
    )
    yield row
    edited = commit["operation"] == "update"
    yield from media_rows(row, _media(record.get("embed")), _MOST_MEDIA if edited else 0)


def _quoted(embed: Any) -> str | None:
    if not isinstance(embed, dict):
        return None
    record = embed.get("record") or {}
    uri = (record.get("record") or record).get("uri")
    return uri if isinstance(uri, str) else None


def _mentioned(record: Mapping[str, Any]) -> list[str]:
    features = (feature for facet in record.get("facets") or () for feature in facet.get("features") or ())
    return [f"{SERVICE}:{feature['did']}" for feature in features if feature.get("did")]


def _media(embed: Any) -> Iterator[Mapping[str, Any]]:
    embed = (embed or {}).get("media", embed) or {}
    member, blob = _EMBEDDED.get(embed.get("$type"), ("", ""))
    for picture in (embed.get(member) if member == "images" else [embed] if member else None) or ():
        yield {"type": (picture.get(blob) or {}).get("mimeType") or blob, "description": picture.get("alt")}


def _profile(did: str, commit: Mapping[str, Any], at: datetime | None) -> Iterator[Row]:
    account = f"{SERVICE}:{did}"
    record = commit.get("record") or {}
    deleted = commit["operation"] == "delete"
    created = instant(record.get("createdAt"))
    if not deleted:
        yield PersonRow(account_id=account, version_at=at, display_name=record.get("displayName") or None)
    for kind, field in (("profile_name", "displayName"), ("bio", "description")):
        text = record.get(field)
        yield ItemRow(
            item_id=f"{account}#{kind}",
            version_at=at,
            state="live" if text else "deleted",
            kind=kind,
            account_id=account,
            created_at=created or at,
            audience="public",
            text=text or None,
        )


def _declared(did: str, commit: Mapping[str, Any], at: datetime | None) -> PersonRow:
    """Return what a declaration says about generating content; one that is taken back says nothing."""
    record = commit.get("record") if commit["operation"] != "delete" else None
    return PersonRow(account_id=f"{SERVICE}:{did}", version_at=at, **combined(at_declaration(record)).columns())
