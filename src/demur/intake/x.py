"""An X (Twitter) account's own archive: ``data/*.js``, each ``window.YTD.<name>.partN = [...]``.

Whether the account was protected is told for the last six months only (protected-history.js); an archive that tells
nothing leaves every post unknown, unless the operator declares the account public. Direct messages are private. Chats
with the platform's AI are ``ai_chat``: the person's turns, and the answers to them. Reads nothing that others wrote.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from demur.intake import jsonstream, meta
from demur.intake.exports import (
    Export,
    Numbering,
    beside,
    declared_public,
    exports,
    guarded,
    iso,
    media,
    other_file,
    parsed,
    private_message,
    profile_items,
    read,
)
from demur.intake.fediverse import Fault, language, media_rows
from demur.intake.places import country_of
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row
from demur.terms.content import Audience

SERVICE = "x"
EPOCH_MS = 1_288_834_974_657
"""An id holds its date: ``(id >> 22)`` milliseconds after this instant …"""
FIRST_DATED_ID = 29_700_859_247
"""… from this id on (November 2010)."""
_MARK = re.compile(r"(?:^|(?<=/))data/")
_PART = re.compile(r"(?:-part\d+)?\.js$")
_ASSIGNED = b"="
_HEAD_BYTES = 256
_ACCOUNT = ("account", "profile", "ageinfo", "protected-history", "screen-name-change", "account-suspension")
_MESSAGES = re.compile(r"(?:^|/)direct-messages?(?:-group)?(?:-part\d+)?\.js$")
_POSTS = {
    "tweets": "tweets",
    "tweet": "tweets",
    "community-tweet": "community",
    "twitter-circle-tweet": "circle",
    "deleted-tweets": "deleted",
    "deleted-tweet": "deleted",
    "note-tweet": "notes",
    "grok-chat-item": "grok",
}
_STATUS = re.compile(r"https?://(?:www\.|mobile\.)?(?:twitter|x)\.com/[^/?#]+/status/(\d+)")
_PLACES = {"community": "community_tweet_media", "tweets": "tweets_media", "deleted": "deleted_tweets_media"}
_MOST_MEDIA = 4
"""Pictures and films that a post may have."""
_NOT_LANGUAGES = frozenset({"und", "zxx", "art", "qam", "qct", "qht", "qme", "qst"})


class X:
    """Reads the archive of one account or several, as folders or zips."""

    name = "x"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return a unit for the account, one for all messages, and one for every other file.

        Raises:
            InputError: a path holds no archive.
        """
        return [
            unit for export in exports(paths, (".js",), _MARK, "an archive of X (data/*.js)") for unit in _units(export)
        ]

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one unit."""
        reading = _Reading(given, context)
        what = given.options["what"]
        known = {"account": reading.account, "messages": reading.messages}
        yield from read(given, context, known.get(what, reading.file))


def _units(export: Export) -> Iterator[Input]:
    stems = {name: _stem(name) for name in export.names}
    whose = [name for name, stem in stems.items() if stem in ("account", "protected-history")]
    about = [name for name, stem in stems.items() if stem in _ACCOUNT]
    notes = [name for name, stem in stems.items() if stem == "note-tweet"]
    private = [name for name in export.names if _MESSAGES.search(name)]
    if about or not export.names:
        yield export.part("account", about, whose)
    if private:
        yield export.part("messages", private, whose)
    for name, stem in stems.items():
        if name not in set(about) | set(private):
            yield export.part(name, [name], [*whose, *(notes if _POSTS.get(stem) == "tweets" else ())])


def _stem(name: str) -> str:
    return _PART.sub("", name.rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class _Audiences:
    """When the account was protected, as far as the archive tells."""

    changes: tuple[tuple[datetime, bool], ...] | None
    """(instant, protected from then on), in order; ``None`` = they cannot be read."""
    declared: bool

    @property
    def private(self) -> bool | None:
        """Whether the account is protected now; ``None`` = not told."""
        return self.changes[-1][1] if self.changes else None

    def of(self, created: datetime | None) -> tuple[str, datetime | None]:
        """Return who can see a post now, and since when if it is public since later than its creation."""
        if self.changes is None or created is None:
            return Audience.UNKNOWN.value, None
        if not self.changes:
            return (Audience.PUBLIC if self.declared else Audience.UNKNOWN).value, None
        before = next((protected for at, protected in reversed(self.changes) if at <= created), None)
        # before the first change it was the contrary of what it became
        was_protected = not self.changes[0][1] if before is None else before
        if self.private or was_protected:
            return Audience.FOLLOWERS.value, None
        opened = max((at for at, protected in self.changes if not protected), default=created)
        return Audience.PUBLIC.value, opened if opened > created else None


class _Reading:
    """One unit on its way into rows."""

    def __init__(self, given: Input, context: Context) -> None:
        self._context, self._prefix = context, given.options["prefix"]
        texts = {_stem(name): raw for name, raw in beside(given).items() if _stem(name) != "note-tweet"}
        notes = [_json(raw) for name, raw in beside(given).items() if _stem(name) == "note-tweet"]
        self._registration = _first(_json(texts.get("account")), "account")
        account = self._registration.get("accountId")
        self._account = f"{SERVICE}:{account}" if isinstance(account, str) and account else None
        told = any(_stem(name) == "protected-history" for name in given.options["beside"])
        history = _changes(_json(texts.get("protected-history"))) if told else ()
        self._audiences = _Audiences(history, declared_public(context, self._account))
        self._long = dict(_long_texts(notes))
        self._numbering = Numbering()

    def _entries(self, name: str, stream: BinaryIO) -> Iterator[Any]:
        _skip_assignment(stream)
        for _, entry in meta.entries_of(jsonstream.documents(stream, self._context, name), self._context):
            yield entry

    def file(self, name: str, stream: BinaryIO) -> Iterator[Row]:
        what = _POSTS.get(_stem(name))
        if what is None:
            self._context.ignore(other_file(name))
            return
        rows = {"notes": self._note, "grok": self._turn}.get(what, partial(self._post, what))
        for entry in self._entries(name, stream):
            yield from guarded(entry, self._context, rows)

    def messages(self, name: str, stream: BinaryIO) -> Iterator[Row]:
        for entry in self._entries(name, stream):
            yield from guarded(entry, self._context, partial(self._conversation, "group" in name))

    def account(self, name: str, stream: BinaryIO) -> Iterator[Row]:
        for entry in self._entries(name, stream):
            yield from guarded(entry, self._context, self._person)

    def _post(self, what: str, entry: Mapping[str, Any]) -> Iterator[Row]:
        found = entry.get("tweet", entry)
        own, first = _id(found.get("id_str") or found.get("id")), _id(_first_version(found))
        made = _dated(own) or _created(found.get("created_at"))
        created = _dated(first) or made
        audience, since = self._audiences.of(created)
        reposted = _text(found).startswith("RT @") or isinstance(found.get("retweeted_status"), dict)
        quoted = None if reposted else _quoted(found)
        community = found.get("community_id_str") or found.get("community_id")
        gone = what == "deleted"
        row = ItemRow(
            item_id=f"{SERVICE}:{first}",
            version_at=(_created(found.get("deleted_at")) or made) if gone else made,
            state="deleted" if gone else "live",
            kind=_kind(found, reposted, quoted),
            account_id=self._account,
            created_at=created,
            audience={"circle": Audience.GROUP.value, "deleted": Audience.UNKNOWN.value}.get(what, audience),
            public_since=since if what in ("tweets", "community") else None,
            container_id=f"{SERVICE}:community:{community or 'unnamed'}" if what == "community" else None,
            container_audience=Audience.UNKNOWN.value if what == "community" else None,
            parent_id=_named(found.get("in_reply_to_status_id_str")),
            original_id=_original(found) if reposted else quoted,
            text=None if gone or reposted else self._long.get(own) or _text(found) or None,
            language=None if found.get("lang") in _NOT_LANGUAGES else language(found.get("lang")),
            mentions=None if gone else _mentions(found),
        )
        yield row
        if not gone and not reposted:
            folder = f"{self._prefix}data/{_PLACES.get(what, 'tweets_media')}/{own}-"
            most = 0 if own == first else _MOST_MEDIA
            yield from media_rows(row, (_attachment(one, folder) for one in _media(found)), most)

    def _note(self, entry: Mapping[str, Any]) -> Iterator[Row]:
        """A long post: where it names its post, that post has its text already; else it stands alone."""
        found = entry.get("noteTweet", entry)
        if found.get("tweetId"):
            self._context.ignore("long text, read with its post")
            return
        created = iso(found.get("createdAt"))
        audience, since = self._audiences.of(created)
        yield ItemRow(
            item_id=f"{SERVICE}:note:{_id(found.get('noteTweetId'))}",
            version_at=created,
            kind="post",
            account_id=self._account,
            created_at=created,
            audience=audience,
            public_since=since,
            text=_note_text(found),
        )

    def _turn(self, entry: Mapping[str, Any]) -> Iterator[Row]:
        """A turn to the platform's AI or its answer; both belong to the person whose chat it is (INT-06)."""
        found = entry.get("grokChatItem", entry)
        sender = found["sender"]
        said_by = str(
            (sender.get("originalName") or sender.get("name")) if isinstance(sender, dict) else sender
        ).lower()
        if said_by not in ("user", "agent", "assistant", "grok"):
            raise Fault("not_content", "a turn by the user or by the AI")
        created = iso(found.get("createdAt"))
        chat = f"{SERVICE}:grok:{_id(found.get('chatId'))}"
        account = found.get("accountId")
        who = "turn" if said_by == "user" else "answer"
        message = found.get("message")
        if message is not None and not isinstance(message, str):
            raise Fault("wrong_type", "text in message")
        yield ItemRow(
            item_id=self._numbering.name(f"{chat}/{meta.moment(created)}#{who}"),
            version_at=created,
            kind="ai_chat",
            account_id=f"{SERVICE}:{_id(account)}" if account else self._account,
            created_at=created,
            audience=Audience.DIRECT.value,
            container_id=chat,
            container_audience=Audience.DIRECT.value,
            addressed_to_ai=True,
            text=message or None,
        )

    def _conversation(self, group: bool, entry: Mapping[str, Any]) -> Iterator[Row]:
        found = entry.get("dmConversation", entry)
        container = f"{SERVICE}:message:{found['conversationId']}"
        for event in found["messages"]:
            message = event.get("messageCreate")
            if message is None:
                self._context.ignore("event of a conversation")
                continue
            created = iso(message.get("createdAt")) or _dated(_id(message.get("id")))
            sender = message.get("senderId")
            account = f"{SERVICE}:{_id(sender)}" if sender else None
            yield private_message(f"{SERVICE}:{_id(message.get('id'))}", created, account, container, group=group)

    def _person(self, entry: Mapping[str, Any]) -> Iterator[Row]:
        if self._account is None:
            raise Fault("missing_id", "account.js with the accountId")
        name, found = next(iter(entry.items()))
        if name == "account":
            yield from self._account_rows(found)
        elif name == "profile":
            yield from self._profile_rows(found.get("description") or {})
        elif name == "ageMeta":
            born = meta.day((found.get("ageInfo") or {}).get("birthDate"))
            source = "declared" if born else "estimated" if found.get("inferredAgeInfo") else None
            yield PersonRow(account_id=self._account, born_on=born, age_source=source)
        elif name == "screenNameChange":
            change = found.get("screenNameChange", found)
            yield PersonRow(
                account_id=self._account,
                version_at=iso(change.get("changedAt")),
                former_handles=[f"@{change['changedFrom']}"],
            )
        elif name == "accountSuspension":
            yield PersonRow(account_id=self._account, version_at=iso(found.get("timeStamp")), status="suspended")
        elif name == "protectedHistory":
            self._context.ignore("protected or not, read with the posts")
        else:
            raise Fault("not_content", "a record about the account")

    def _account_rows(self, found: Mapping[str, Any]) -> Iterator[Row]:
        person = PersonRow(
            account_id=self._account,
            handle=f"@{found['username']}" if found.get("username") else None,
            display_name=found.get("accountDisplayName"),
            contact=found.get("email"),
            status="active",
            private=self._audiences.private,
            created_at=iso(found.get("createdAt")),
        )
        yield person
        audience, _ = self._audiences.of(person["created_at"])
        yield from profile_items(person, audience, {"profile_name": found.get("accountDisplayName")})

    def _profile_rows(self, found: Mapping[str, Any]) -> Iterator[Row]:
        place = found.get("location") or None
        country = country_of(place)[0]
        yield PersonRow(
            account_id=self._account,
            place=place,
            country=country,
            residence_source="place_text" if country else None,
        )
        audience = Audience.FOLLOWERS.value if self._audiences.private else Audience.UNKNOWN.value
        if self._audiences.private is False or (self._audiences.private is None and self._audiences.declared):
            audience = Audience.PUBLIC.value
        # the words of a profile have no date: the registration counts, the earliest reading
        since = PersonRow(account_id=self._account, created_at=iso(self._registration.get("createdAt")))
        yield from profile_items(since, audience, {"bio": found.get("bio")})


def _skip_assignment(stream: Any) -> None:
    """Go behind the ``=`` of the script that a file is; without one, stay."""
    at = stream.peek(_HEAD_BYTES)[:_HEAD_BYTES].find(_ASSIGNED)
    if at >= 0:
        stream.read(at + 1)


def _json(raw: bytes | None) -> Any:
    if raw is None:
        return None
    at = raw[:_HEAD_BYTES].find(_ASSIGNED)
    return parsed(raw[at + 1 :].strip().removesuffix(b";"))


def _first(found: Any, name: str) -> Mapping[str, Any]:
    entry = found[0] if isinstance(found, list) and found else {}
    inner = entry.get(name) if isinstance(entry, dict) else None
    return inner if isinstance(inner, dict) else {}


def _changes(found: Any) -> tuple[tuple[datetime, bool], ...] | None:
    """Return the changes of protection in order; ``None`` where any of them cannot be read."""
    changes = []
    try:
        for entry in found:
            change = entry["protectedHistory"]
            at = iso(change["protectedAt"])
            if at is None or not isinstance(change["action"], str):
                return None
            # any word but "unprotect" counts as protected
            changes.append((at, not change["action"].lower().startswith("unprotect")))
    except (Fault, AttributeError, KeyError, TypeError):
        return None
    return tuple(sorted(changes))


def _long_texts(notes: Sequence[Any]) -> Iterator[tuple[str, str]]:
    for found in notes:
        for entry in found if isinstance(found, list) else ():
            note = entry.get("noteTweet") if isinstance(entry, dict) else None
            if isinstance(note, dict) and isinstance(note.get("tweetId"), str) and (text := _note_text(note)):
                yield note["tweetId"], text


def _note_text(note: Mapping[str, Any]) -> str | None:
    held = note.get("core") or note.get("noteTweetResults") or {}
    text = held.get("text") if isinstance(held, dict) else None
    return text if isinstance(text, str) and text else None


def _id(value: Any) -> str:
    name = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(name, str) or not re.fullmatch(r"[0-9]{1,20}", name):
        raise Fault("missing_id", "an id of digits")
    return name


def _named(value: Any) -> str | None:
    return f"{SERVICE}:{_id(value)}" if value else None


def _dated(name: str) -> datetime | None:
    """Return the instant that an id holds, ``None`` for ids that are older than that."""
    if int(name) < FIRST_DATED_ID:
        return None
    whole, milliseconds = divmod((int(name) >> 22) + EPOCH_MS, 1000)
    return datetime.fromtimestamp(whole, tz=UTC).replace(microsecond=milliseconds * 1000)


def _created(value: Any) -> datetime | None:
    if not value:
        return None
    try:
        return datetime.strptime(value, "%a %b %d %H:%M:%S %z %Y").astimezone(UTC)
    except (TypeError, ValueError):
        return iso(value)


def _text(found: Mapping[str, Any]) -> str:
    text = found.get("full_text") or found.get("text") or ""
    if not isinstance(text, str):
        raise Fault("wrong_type", "text in full_text")
    return html.unescape(text)


def _first_version(found: Mapping[str, Any]) -> Any:
    """Return the id of a post's first version: the first one and an edited one say it in different places."""
    info = found.get("edit_info") or {}
    edit = info.get("edit") or {}
    held = info.get("initial") or edit.get("editControlInitial") or {}
    listed = held.get("editTweetIds") or [None]
    return edit.get("initialTweetId") or listed[0] or found.get("id_str") or found.get("id")


def _kind(found: Mapping[str, Any], reposted: bool, quoted: str | None) -> str:
    if reposted:
        return "reshare"
    if quoted is not None:
        return "quote"
    return "reply" if found.get("in_reply_to_status_id_str") else "post"


def _quoted(found: Mapping[str, Any]) -> str | None:
    """Return the post that a post shows: the one named, else the last one that it links to."""
    if found.get("quoted_status_id_str"):
        return _named(found["quoted_status_id_str"])
    links = [one.get("expanded_url") for one in (found.get("entities") or {}).get("urls") or ()]
    shown = [match.group(1) for link in links if isinstance(link, str) and (match := _STATUS.match(link))]
    return _named(shown[-1]) if shown else None


def _original(found: Mapping[str, Any]) -> str | None:
    """Return the post that was reposted, where the archive names it: itself, or as the origin of its pictures."""
    inner = found.get("retweeted_status")
    if isinstance(inner, dict):
        return _named(inner.get("id_str"))
    return next((_named(one["source_status_id_str"]) for one in _media(found) if one.get("source_status_id_str")), None)


def _mentions(found: Mapping[str, Any]) -> list[str] | None:
    marked = (found.get("entities") or {}).get("user_mentions") or ()
    named = (
        f"{SERVICE}:{one['id_str']}" if str(one.get("id_str", "-1")).isdigit() else f"@{one['screen_name']}"
        for one in marked
    )
    return list(dict.fromkeys(named)) or None


def _media(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    several = (found.get("extended_entities") or {}).get("media") or (found.get("entities") or {}).get("media") or []
    return [one for one in several if isinstance(one, dict)]


def _attachment(found: Mapping[str, Any], folder: str) -> Mapping[str, Any]:
    variants = (found.get("video_info") or {}).get("variants") or ()
    best: Mapping[str, Any] = max(variants, key=lambda one: int(one.get("bitrate") or 0), default={})
    url = best.get("url") or found.get("media_url_https") or found.get("media_url")
    name = urlsplit(url).path.rpartition("/")[2] if isinstance(url, str) else ""
    path, kind = media(f"{folder}{name}" if name else None)
    return {
        "type": kind or {"photo": "image", "video": "video", "animated_gif": "video"}.get(str(found.get("type"))),
        "path": path,
        "description": found.get("ext_alt_text"),
    }
