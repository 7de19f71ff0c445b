"""A Facebook account's own export in JSON: posts, photos, comments, what was written in groups, profile, messages.

Messages are private: each is an item without a word in it. Hardly any record says who could see it; what says nothing
is of unknown audience unless the operator declares the account public, and a comment always is, for its post is
somebody else's. Reads no HTML export.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

from demur.intake import meta
from demur.intake.exports import (
    Numbering,
    beside,
    digest,
    guarded,
    other_file,
    parsed,
    profile_items,
    read,
    said,
    seconds,
)
from demur.intake.fediverse import Fault
from demur.intake.places import country_of
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row

SERVICE = "facebook"
_MARK = re.compile(
    r"(?:^|(?<=/))(?:your_facebook_activity|posts|comments_and_reactions|comments|groups|messages"
    r"|profile_information|personal_information)/"
)
_PROFILE = "profile_information.json"
_POSTS = re.compile(
    r"(?:^|/)(?:your_posts[^/]*|your_photos|your_videos|your_uncategorized_photos)\.json$|/album/[^/]*$"
)
_MOST_MEDIA = 100
"""More pictures than hang on a post of one's own; what has more is an album."""
_GONE = re.compile(r"trash|deleted|archive", re.IGNORECASE)


class Facebook:
    """Reads the export of one account or several, as folders or zips."""

    name = "facebook"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return a unit for each file, and one for all messages.

        Raises:
            InputError: a path holds no export.
        """
        return meta.units(paths, _MARK, _PROFILE, "a Facebook export in JSON")

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one unit."""
        whose = next(iter(beside(given).values()), None)
        reading = _Reading(_owner(parsed(whose), context), context, given.options["prefix"])
        private = given.options["what"] == "messages"
        yield from read(given, context, reading.messages if private else reading.file)


class _Reading:
    """One unit on its way into rows."""

    def __init__(self, owner: meta.Owner, context: Context, prefix: str) -> None:
        self._owner, self._context, self._prefix = owner, context, prefix
        self._numbering = Numbering()

    def messages(self, name: str, stream: BinaryIO) -> Iterator[Row]:
        yield from meta.messages(stream, self._context, name, SERVICE, self._owner, self._numbering)

    def file(self, name: str, stream: BinaryIO) -> Iterator[Row]:
        if "/album/" in f"/{name}":
            self._context.ignore("title of an album")
        for _, entry in meta.entries(stream, self._context, name):
            yield from guarded(entry, self._context, partial(self._entry, name))

    def _entry(self, name: str, found: Any) -> Iterator[Row]:
        if not isinstance(found, dict):
            raise Fault("wrong_type", "a record of the export")
        unknown = meta.labels(found)[1]
        inner = [one for one in found.get("data") or () if isinstance(one, dict)]
        comment = next((one["comment"] for one in inner if isinstance(one.get("comment"), dict)), None)
        if name.endswith(_PROFILE) or "profile_v2" in found:
            yield from _profile(found, self._owner)
        elif "sender_name" in found or ("participants" in found and "messages" in found):
            raise Fault("not_content", "messages in the folder messages; these were not read")
        elif comment is not None:
            yield self._comment(comment, found)
        elif any("post" in one for one in inner) or _POSTS.search(name) or _like_a_post(name, found):
            yield from self._post(found, inner, name)
        elif unknown:
            raise Fault("unmapped_value", "labels in a language that labels.toml knows")
        else:
            self._context.ignore(other_file(name))

    def _post(self, found: Mapping[str, Any], inner: Sequence[Mapping[str, Any]], name: str) -> Iterator[Row]:
        by_label, unknown = meta.labels(found)
        created = (
            seconds(found.get("timestamp"))
            or seconds(found.get("creation_timestamp"))
            or by_label.get("created")
            or by_label.get("time")
        )
        text = "\n\n".join(part for one in inner if (part := said(one.get("post")))) or by_label.get("text")
        words, mentioned = meta.mentions(text, SERVICE)
        changed = next((at for one in inner if (at := seconds(one.get("update_timestamp")))), None)
        group = _group(found, inner, by_label) or ("unnamed" if "group" in name.lower() else None)
        gone = _GONE.search(name) is not None
        files = list(_files(found))
        if words is None and unknown:
            raise Fault("unmapped_value", "labels in a language that labels.toml knows")
        if words is None and not files and not gone:
            self._context.ignore("post without words of its own")
            return
        most = 0 if changed in (None, created) else _MOST_MEDIA
        own = found.get("fbid")
        base = f"{SERVICE}:{self._owner.account_id or 'unknown'}/{'group-post' if group else 'post'}"
        row = ItemRow(
            item_id=f"{SERVICE}:{own}" if isinstance(own, str) and own else self._numbered(base, created),
            # when it was thrown away nobody says: a deletion without an instant always counts
            version_at=None if gone else changed or created,
            state="deleted" if gone else "live",
            kind="group_activity" if group else "post" if words or len(files) != 1 else meta.kind_of(files[0]),
            account_id=self._owner.account_id,
            created_at=created,
            audience="unknown" if gone else self._audience(found, by_label, here=group is None and not unknown),
            container_id=_container(group),
            container_audience="unknown" if group else None,
            text=None if gone else words,
            mentions=None if gone else mentioned,
        )
        if row["kind"] in ("photo", "video", "voice"):
            row["text"] = None
            yield from meta.alone(row, files[0], self._prefix, most)
        else:
            yield from meta.hang(row, files, self._prefix, most)

    def _comment(self, comment: Mapping[str, Any], found: Mapping[str, Any]) -> ItemRow:
        created = seconds(comment.get("timestamp")) or seconds(found.get("timestamp"))
        words, mentioned = meta.mentions(said(comment.get("comment")), SERVICE)
        group, author = said(comment.get("group")), said(comment.get("author"))
        mine = author is None or self._owner.name is None or author == self._owner.name
        base = f"{SERVICE}:{self._owner.account_id or 'unknown'}/{'group-comment' if group else 'comment'}"
        return ItemRow(
            item_id=self._numbered(base, created),
            version_at=created,
            kind="group_activity" if group else "comment",
            account_id=self._owner.account_id if mine else None,
            created_at=created,
            audience=self._audience(found, {}, here=False),
            container_id=_container(group),
            container_audience="unknown" if group else None,
            text=words,
            mentions=mentioned,
        )

    def _audience(self, found: Mapping[str, Any], by_label: Mapping[str, Any], *, here: bool) -> str:
        """Return who could see a record; ``here`` = on the account's own page, where the operator's word counts."""
        stated = meta.audience_said(found, by_label)
        return self._owner.audience(stated) if here or stated is not None else "unknown"

    def _numbered(self, base: str, created: Any) -> str:
        return self._numbering.name(f"{base}/{meta.moment(created)}")


def _like_a_post(name: str, found: Mapping[str, Any]) -> bool:
    """Return whether a record is a post although its file has a name in another language."""
    return "/posts/" in f"/{name}" and ("media" in found or "attachments" in found)


def _files(found: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Return the media of a record: attached, listed (albums), or the record itself."""
    for attachment in found.get("attachments") or ():
        for one in attachment.get("data") or ():
            if isinstance(one, dict) and isinstance(one.get("media"), dict):
                yield one["media"]
    for listed in ("photos", "media"):
        yield from (one for one in found.get(listed) or () if isinstance(one, dict) and "uri" in one)
    if "uri" in found:
        yield found


def _group(found: Mapping[str, Any], inner: Sequence[Mapping[str, Any]], by_label: Mapping[str, Any]) -> str | None:
    held = [one.get("group") for one in (found, *inner)] + [by_label.get("group")]
    named = [one.get("name") if isinstance(one, dict) else one for one in held]
    return next((said(one) for one in named if isinstance(one, str) and one), None)


def _container(group: str | None) -> str | None:
    return f"{SERVICE}:group:{digest(group)}" if group else None


def _profile_of(found: Any) -> Mapping[str, Any]:
    inner = next((v for k, v in found.items() if k.startswith("profile")), found) if isinstance(found, dict) else {}
    return inner if isinstance(inner, dict) else {}


def _account(profile: Mapping[str, Any]) -> str | None:
    """Return the account's id: its username, the id in its address, else a digest of name and registration."""
    username, address = said(profile.get("username")), profile.get("profile_uri")
    if username:
        return f"{SERVICE}:{username}"
    if isinstance(address, str):
        parts = urlsplit(address)
        number = parse_qs(parts.query).get("id", [""])[0]
        if number or parts.path.strip("/"):
            return f"{SERVICE}:{number or parts.path.strip('/')}"
    registered, name = profile.get("registration_timestamp"), _name(profile)
    return f"{SERVICE}:unnamed-{digest(name, registered)}" if registered and name else None


def _name(profile: Mapping[str, Any]) -> str | None:
    name = profile.get("name")
    return said(name.get("full_name") if isinstance(name, dict) else name)


def _owner(found: Any, context: Context) -> meta.Owner:
    try:
        profile = _profile_of(found)
        return meta.owner_of(_account(profile), context, name=_name(profile), private=None)
    except (Fault, ValueError, TypeError, AttributeError):
        return meta.Owner(None)


def _profile(found: Mapping[str, Any], owner: meta.Owner) -> Iterator[Row]:
    profile = _profile_of(found)
    account = _account(profile)
    if account is None:
        raise Fault("missing_id", "a profile with a username, an address, or name and registration")
    mails = (profile.get("emails") or {}).get("emails") or []
    place = said((profile.get("current_city") or {}).get("name"))
    country = country_of(place)[0] if place else None
    born = meta.day(profile.get("birthday"))
    person = PersonRow(
        account_id=account,
        handle=f"@{profile['username']}" if profile.get("username") else None,
        display_name=_name(profile),
        contact=said(mails[0]) if mails else None,
        place=place,
        country=country,
        residence_source="place_text" if country else None,
        born_on=born,
        age_source="declared" if born else None,
        status="active",
        created_at=seconds(profile.get("registration_timestamp")),
    )
    yield person
    yield from profile_items(
        person, owner.audience(None), {"profile_name": _name(profile), "bio": _bio(profile.get("intro_bio"))}
    )


def _bio(value: Any) -> str | None:
    """Return the words about oneself; one that is there and empty was emptied."""
    return "" if value == "" else said(value)
