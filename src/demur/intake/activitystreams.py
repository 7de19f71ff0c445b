"""ActivityStreams 2.0 documents: actors, outboxes, single objects and activities; Mastodon's export and API beside.

Who could see an object is said by its recipients (ActivityPub §5.6, §6): the special collection Public in ``to`` is
public, in ``cc`` it is unlisted; a followers collection is followers; any other recipient is direct; nobody named is
unknown, which is never public. Where an activity and its object differ, the narrower counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from demur.errors import InputError
from demur.intake import archive, jsonstream, mastodon
from demur.intake.exports import guarded, profile_items
from demur.intake.fediverse import (
    MOST_MEDIA,
    SERVICE,
    Fault,
    instant,
    language,
    lost_parent,
    media_rows,
    named,
    named_or_none,
    narrowest,
)
from demur.intake.signals import fediverse
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row, Unreadable
from demur.intake.text import plain_text

PUBLIC = frozenset({"https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"})
MAX_DEPTH = 32

_OBJECTS = {
    "Note": "post",
    "Article": "post",
    "Page": "post",
    "Question": "poll",
    "Event": "event",
    "Image": "photo",
    "Video": "video",
    "Audio": "voice",
}
_ACTORS = {
    "Person": "active",
    "Service": "bot",
    "Application": "bot",
    "Group": "organisation",
    "Organization": "organisation",
}
_COLLECTIONS = {"Collection", "OrderedCollection", "CollectionPage", "OrderedCollectionPage"}
_WITHOUT_TEXT = {
    *("Accept", "Add", "Arrive", "Block", "Dislike", "Flag", "Follow", "Ignore", "Invite", "Join", "Leave", "Like"),
    *("Listen", "Move", "Offer", "Read", "Reject", "Remove", "TentativeAccept", "TentativeReject", "Travel", "View"),
}
_KNOWN = {*_OBJECTS, *_ACTORS, *_COLLECTIONS, *_WITHOUT_TEXT, "Create", "Update", "Delete", "Announce", "Undo"}
_QUOTED = ("quote", "quoteUrl", "quoteUri", "_misskey_quote")
"""Properties that name what an object quotes: FEP-044f, and those of servers that came before it."""
_SUFFIXES = (".json", ".jsonld", ".json.gz", ".json.zst")


class ActivityStreams:
    """Reads any ActivityStreams 2.0 JSON."""

    name = "activitystreams"
    suffixes: tuple[str, ...] = _SUFFIXES

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return every document in files, folders (with all below) and zips.

        Raises:
            InputError: a path holds no document.
        """
        found: list[Input] = []
        for path in paths:
            here = [unit for file in _files(path, self.suffixes) for unit in _units(file, path, self.suffixes)]
            if not here:
                raise InputError(f"expected {', '.join(self.suffixes)} in {path.name}, found none")
            found += here
        return found

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one file."""
        member = given.options.get("member")
        with archive.opened(given.path, member) as stream:
            for document in jsonstream.documents(stream, context, member or given.options["_name"]):
                yield from self._rows(document, context)

    def _rows(self, document: Any, context: Context) -> Iterator[Row]:
        yield from _guarded(document, context)


class Mastodon(ActivityStreams):
    """Reads a Mastodon export (actor.json, outbox.json) and replies of its API, also from recorded traffic (VCR)."""

    name = "mastodon"
    suffixes = (*_SUFFIXES, ".yaml", ".yml")

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one file."""
        member = given.options.get("member")
        name = member or given.options["_name"]
        if not name.endswith((".yaml", ".yml")):
            yield from super().read(given, context)
            return
        with archive.opened(given.path, member) as stream:
            for reply in mastodon.recorded(stream, context, name):
                if isinstance(reply, Unreadable):
                    yield reply
                else:
                    yield from self._rows(reply, context)

    def _rows(self, document: Any, context: Context) -> Iterator[Row]:
        found = document if isinstance(document, list) else [document]
        if any(mastodon.is_entity(entry) for entry in found):
            yield from mastodon.entities(found, context)
        else:
            yield from _guarded(document, context, profiles_public=True)


def _files(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(found for found in path.rglob("*") if found.is_file() and found.name.endswith((*suffixes, ".zip")))


def _units(file: Path, root: Path, suffixes: tuple[str, ...]) -> list[Input]:
    name = file.name if file == root else str(file.relative_to(root))
    try:
        members = archive.members(file)
    except (*archive.DAMAGE, archive.BombError):
        members = [None]  # a unit that cannot be read
    if members == [None]:
        return [Input((file,), SERVICE, {"_name": name})]
    return [Input((file,), SERVICE, {"member": found}) for found in members if found and found.endswith(suffixes)]


def _guarded(document: Any, context: Context, *, profiles_public: bool = False) -> Iterator[Row]:
    """Turn a document into rows; what cannot be read is quarantined piece by piece."""
    if isinstance(document, Unreadable):
        yield document
        return
    reading = _Reading(context, profiles_public)
    yield from reading.anything(document, 0)


class _Reading:
    """One document on its way into rows."""

    def __init__(self, context: Context, profiles_public: bool) -> None:
        self._context, self._profiles_public = context, profiles_public

    def anything(self, found: Any, depth: int, within: Mapping[str, Any] | None = None) -> Iterator[Row]:
        """Read a list, collection, activity, object or actor; ``within`` is the activity that carries it."""
        if isinstance(found, list) and depth <= MAX_DEPTH:
            for entry in found:
                yield from self.anything(entry, depth + 1, within)
        elif isinstance(found, dict) and depth <= MAX_DEPTH and _type(found) in _COLLECTIONS:
            yield from self._collection(found, depth)
        else:
            yield from guarded(found, self._context, partial(self._record, depth=depth, within=within))

    def _record(self, found: Any, depth: int, within: Mapping[str, Any] | None) -> Iterator[Row]:
        if depth > MAX_DEPTH:
            raise Fault("too_deep", "documents at most 32 levels deep")
        if not isinstance(found, dict):
            raise Fault("not_content", "an object, activity, actor or collection")
        yield from self._one(found, depth, within)

    def _one(self, found: Mapping[str, Any], depth: int, within: Mapping[str, Any] | None) -> Iterator[Row]:
        kind = _type(found)
        if kind in ("Create", "Update"):
            yield from self._publishing(found, depth)
        elif kind == "Delete":
            yield _deletion(found.get("object"), found)
        elif kind == "Undo" and isinstance(found.get("object"), dict) and _type(found["object"]) == "Announce":
            yield _deletion(found["object"], found)
        elif kind == "Announce":
            yield _reshare(found)
        elif kind in _WITHOUT_TEXT or kind == "Undo":
            self._context.ignore(kind)
        elif kind == "Tombstone":
            yield _deletion(found, found)
        elif kind in _ACTORS:
            yield from _actor(found, kind, public=self._profiles_public)
        elif kind in _OBJECTS:
            yield from _object(found, kind, within or {})
        else:
            raise Fault("not_content" if kind is None else "unknown_kind", "a type that demur knows")

    def _collection(self, found: Mapping[str, Any], depth: int) -> Iterator[Row]:
        for member in ("items", "orderedItems", "first", "next"):
            held = found.get(member)
            if member in ("first", "next") and not isinstance(held, dict):
                continue
            for number, entry in enumerate(held if isinstance(held, list) else [held] if held is not None else []):
                if depth == 0 and isinstance(held, list):
                    self._context.position = f"item {number + 1}"
                if isinstance(entry, str):
                    self._context.ignore("reference without content")
                else:
                    yield from self.anything(entry, depth + 1)

    def _publishing(self, activity: Mapping[str, Any], depth: int) -> Iterator[Row]:
        held = activity.get("object")
        actor = activity.get("actor")
        if isinstance(actor, dict) and named_or_none(actor.get("id")) and _type(actor) in _ACTORS:
            yield from self.anything(actor, depth + 1)
        if isinstance(held, str):
            self._context.ignore("reference without content")
        elif held is None:
            raise Fault("not_content", "an activity with its object")
        else:
            yield from self.anything(held, depth + 1, activity)


def _type(found: Mapping[str, Any]) -> str | None:
    """Return the first type that demur knows, else the first (ActivityStreams 2.0 §4.1: types may be several)."""
    given = found.get("type", found.get("@type"))
    kinds = [kind.rpartition("#")[2].removeprefix("as:") for kind in _several(given) if isinstance(kind, str)]
    return next((kind for kind in kinds if kind in _KNOWN or kind == "Tombstone"), kinds[0] if kinds else None)


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _ids(value: Any) -> list[str]:
    """Return the ids in a property that may be a string, an object or a list of both."""
    found = (entry.get("id", entry.get("href")) if isinstance(entry, dict) else entry for entry in _several(value))
    return [entry for entry in found if isinstance(entry, str)]


def audience_of(found: Mapping[str, Any]) -> str | None:
    """Return who could see something by its recipients; ``None`` where it names none at all.

    >>> audience_of({"to": "as:Public"}), audience_of({"to": "https://a.example/followers", "cc": ["as:Public"]})
    ('public', 'unlisted')
    >>> audience_of({"to": ["https://a.example/users/b"]}), audience_of({})
    ('direct', None)
    """
    to, copied = _ids(found.get("to")), _ids(found.get("cc"))
    others = [name for field in ("bto", "bcc", "audience") for name in _ids(found.get(field))]
    if PUBLIC & set(to):
        return "public"
    if PUBLIC & set(copied):
        return "unlisted"
    everyone = [*to, *copied, *others]
    if not everyone:
        return None
    # Public only among hidden recipients is nothing that a post is published with: nobody can say what was meant
    if PUBLIC & set(others):
        return "unknown"
    return "followers" if any(name.endswith("/followers") for name in everyone) else "direct"


def _audience(found: Mapping[str, Any], within: Mapping[str, Any]) -> str:
    said = [audience for audience in (audience_of(found), audience_of(within)) if audience is not None]
    return narrowest(*said) if said else "unknown"


def _authors(found: Mapping[str, Any], within: Mapping[str, Any]) -> list[str]:
    people = [*_ids(found.get("attributedTo")), *_ids(within.get("actor")), *_ids(found.get("actor"))]
    return list(dict.fromkeys(account for person in people if (account := named_or_none(person))))


def _words(found: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return text and language: title, summary and body in the order in which a reader meets them."""
    parts, tag = [], None
    for field in ("name", "summary", "content"):
        value, spoken = found.get(field), found.get(f"{field}Map")
        if isinstance(spoken, dict) and spoken:
            meant = next((key for key in sorted(spoken) if spoken[key] == value), None)
            key = meant if meant is not None else sorted(spoken)[0] if value is None else None
            if key is not None:
                value, tag = spoken[key], key
        if value is None:
            continue
        if not isinstance(value, str):
            raise Fault("wrong_type", f"text in {field}")
        parts.append(plain_text(value))
    options = (option for option in [*_several(found.get("oneOf")), *_several(found.get("anyOf"))])
    named_options = (option["name"] for option in options if isinstance(option, dict) and option.get("name"))
    parts += [f"- {name}" for name in named_options]
    return "\n\n".join(part for part in parts if part) or None, language(tag)


def _vouched(identifier: Any, authors: Sequence[str]) -> str:
    """Return an item's id, if it is of the server of an author: no server can say anything of another one's items.

    Raises:
        Fault: it is of another server, or no absolute URI.

    Source: ActivityPub §3 (content is to be checked with its origin); Mastodon does the same.
    """
    name = named(identifier)
    hosts = [urlsplit(one.partition(":")[2]).hostname for one in (name, *authors)]
    if authors and hosts[0] is not None and hosts[0] not in hosts[1:]:
        raise Fault("missing_id", "an id on the server of its author")
    return name


def _object(found: Mapping[str, Any], kind: str, within: Mapping[str, Any]) -> Iterator[Row]:
    authors = _authors(found, within)
    text, spoken = _words(found)
    audience = _audience(found, within)
    published = instant(found.get("published")) or instant(within.get("published"))
    renewed = instant(within.get("published")) if _type(within) == "Update" else None
    changed = instant(found.get("updated")) or instant(within.get("updated")) or renewed
    answers, name = bool(found.get("inReplyTo")), _vouched(found.get("id"), authors)
    parent = next((one for given in _ids(found.get("inReplyTo")) if (one := named_or_none(given))), None)
    quoted = next((one for field in _QUOTED for one in _ids(found.get(field))), None)
    mentioned = [tag.get("href") for tag in _several(found.get("tag")) if isinstance(tag, dict)]
    row = ItemRow(
        item_id=name,
        version_at=changed or published,
        kind=_kind(_OBJECTS[kind], audience, answers, quoted),
        account_id=authors[0] if authors else None,
        co_account_ids=authors[1:] or None,
        created_at=published,
        audience=audience,
        parent_id=parent or (lost_parent(name) if answers else None),
        original_id=named_or_none(quoted),
        text=text,
        language=spoken,
        mentions=[account for person in mentioned if (account := named_or_none(person))] or None,
        **fediverse(found, "activitypub").columns(),
    )
    yield row
    edited = changed is not None and changed != published and not found.keys().isdisjoint(("content", "attachment"))
    yield from media_rows(row, _attachments(found), MOST_MEDIA if edited else 0)


def _kind(kind: str, audience: str, answers: bool, quoted: str | None) -> str:
    if audience == "direct":
        return "private_message"
    if quoted is not None:
        return "quote"
    return "reply" if kind == "post" and answers else kind


def _attachments(found: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for attachment in _several(found.get("attachment")):
        if isinstance(attachment, dict):
            url = next(iter(_ids(attachment.get("url"))), None)
            described = attachment.get("name")
            yield {
                "type": attachment.get("mediaType")
                or {"Image": "image", "Video": "video", "Audio": "audio"}.get(_type(attachment) or ""),
                "path": _path(url),
                "description": plain_text(described) if isinstance(described, str) else None,
            }


def _path(url: str | None) -> str | None:
    """Return the path of a file that lies beside the document."""
    try:
        return url.lstrip("/") if url and not urlsplit(url).scheme else None
    except ValueError:
        return None


def _reshare(found: Mapping[str, Any]) -> ItemRow:
    original = next(iter(_ids(found.get("object"))), None)
    published = instant(found.get("published"))
    authors = _authors(found, {})
    return ItemRow(
        item_id=_vouched(found.get("id"), authors),
        version_at=published,
        kind="reshare",
        account_id=authors[0] if authors else None,
        co_account_ids=authors[1:] or None,
        created_at=published,
        audience=_audience(found, {}),
        original_id=named(original),
    )


def _deletion(held: Any, activity: Mapping[str, Any]) -> ItemRow | PersonRow:
    """Return the tombstone of an item, or of an account: where an actor deletes itself, or it was an actor."""
    target = next(iter(_ids(held)), None)
    actor = next(iter(_ids(activity.get("actor"))), None)
    inner = held if isinstance(held, dict) else {}
    at = instant(inner.get("deleted")) or instant(activity.get("published"))
    former = _type({"type": inner.get("formerType", inner.get("type"))}) or ""
    if (target is not None and target == actor) or former in _ACTORS:
        return PersonRow(account_id=named(target), version_at=at, status="deleted")
    return ItemRow(
        item_id=named(target),
        version_at=at,
        state="deleted",
        kind=_OBJECTS.get(former, "post"),
        account_id=named_or_none(actor),
        audience="unknown",
    )


def _actor(found: Mapping[str, Any], kind: str, *, public: bool) -> Iterator[Row]:
    account = named(found.get("id"))
    host = urlsplit(str(found["id"])).hostname
    user, name = found.get("preferredUsername"), found.get("name")
    locked = found.get("manuallyApprovesFollowers")
    created, changed = instant(found.get("published")), instant(found.get("updated"))
    status = "suspended" if found.get("suspended") is True else _ACTORS[kind]
    status = "memorial" if found.get("memorial") is True else status
    person = PersonRow(
        account_id=account,
        version_at=changed or created,
        handle=f"@{user}@{host}" if isinstance(user, str) else None,
        display_name=name if isinstance(name, str) else None,
        status="transferred" if found.get("movedTo") else status,
        private=locked if isinstance(locked, bool) else None,
        created_at=created,
        **fediverse(found, "activitypub").columns(),
    )
    yield person
    texts = {
        kind: plain_text(found[field] or "")
        for kind, field in (("profile_name", "name"), ("bio", "summary"))
        if isinstance(found.get(field, 0), str | None)
    }
    yield from profile_items(person, audience_of(found) or ("public" if public else "unknown"), texts)
