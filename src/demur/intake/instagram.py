"""An Instagram account's own export in JSON, and that of Threads, which comes with it.

The export says whether the account is private; it does not say which posts went to close friends only, so what does
not state its audience is unknown, or the followers' where the account is private, unless the operator declares the
account public. Comments and answers stand under what somebody else posted: unknown. A story was public for a day.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from demur.intake import meta
from demur.intake.exports import (
    Numbering,
    beside,
    exports,
    guarded,
    other_file,
    parsed,
    profile_items,
    read,
    said,
    seconds,
)
from demur.intake.fediverse import Fault
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row
from demur.terms.content import Audience

STORY_HOURS = 24
"""A story leaves the feed after a day (https://help.instagram.com/1729008150678239)."""
_MARK = re.compile(
    r"(?:^|(?<=/))(?:your_instagram_activity|personal_information|media|content|comments|messages|threads)/"
)
_PROFILE = "personal_information.json"
_THREADS = re.compile(r"(?:^|/)threads_and_replies[^/]*\.json$")
_LISTS = {
    "ig_reels_media": "reel",
    "ig_stories": "story",
    "ig_igtv_media": "video",
    "ig_archived_post_media": "archived",
    "ig_recently_deleted_media": "deleted",
    "ig_profile_picture": "profile_picture",
    "text_post_app_text_posts": "thread",
}
_STEMS = (
    *(("posts", "post"), ("reels", "reel"), ("stories", "story"), ("igtv_videos", "video"), ("archived", "archived")),
    *(("recently_deleted", "deleted"), ("profile_photos", "profile_picture"), ("threads_and_replies", "thread")),
)
"""Beginnings of file names: in a file that is very long or cut short, the name of its list is not seen again."""
_HIDDEN = frozenset({"archived", "deleted"})
"""Lists of what is not public any more: a post, or any of these, for the lists do not say what it was."""
_PERHAPS = ("reel", "story", "video")


class Instagram:
    """Reads the export of one account or several, as folders or zips."""

    name = "instagram"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return a unit for each file, and one for all messages.

        Raises:
            InputError: a path holds no export.
        """
        return meta.units(paths, _MARK, _PROFILE, "an Instagram export in JSON")

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one unit."""
        reading = _Reading(self.name, given, context)
        private = given.options["what"] == "messages"
        yield from read(given, context, reading.messages if private else reading.file)


class Threads(Instagram):
    """Reads the threads and replies of an Instagram export."""

    name = "threads"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return a unit for each file of threads, and one for the profile.

        Raises:
            InputError: a path holds none.
        """
        units: list[Input] = []
        for export in exports(paths, (".json",), _MARK, "an Instagram export with threads in JSON"):
            whose = export.ending(_PROFILE)[:1]
            wanted = [name for name in export.names if _THREADS.search(name)] + whose
            units += [export.part(name, [name], whose) for name in wanted]
            units += [] if export.names else [export.part("threads", ())]
        return units


class _Reading:
    """One unit on its way into rows."""

    def __init__(self, service: str, given: Input, context: Context) -> None:
        self._service, self._context, self._prefix = service, context, given.options["prefix"]
        whose = parsed(next(iter(beside(given).values()), None))
        self._owner = _owner(whose, service, context)
        self._numbering = Numbering()

    def messages(self, name: str, stream: BinaryIO) -> Iterator[Row]:
        yield from meta.messages(stream, self._context, name, self._service, self._owner, self._numbering)

    def file(self, name: str, stream: BinaryIO) -> Iterator[Row]:
        for listed, entry in meta.entries(stream, self._context, name):
            yield from guarded(entry, self._context, partial(self._entry, name, listed))

    def _entry(self, name: str, listed: str | None, found: Any) -> Iterator[Row]:
        if not isinstance(found, dict):
            raise Fault("wrong_type", "a record of the export")
        what = _what(name, listed, found)
        if name.endswith(_PROFILE):
            yield from self._profile(found)
        elif "sender_name" in found or "participants" in found:
            raise Fault("not_content", "messages in the folder messages; these were not read")
        elif (what == "thread") != (self._service == "threads") or what is None:
            self._context.ignore(other_file(name))
        elif what == "comment":
            yield self._comment(found)
        else:
            yield from self._post(what, found)

    def _comment(self, found: Mapping[str, Any]) -> ItemRow:
        by_label, unknown = meta.labels(found)
        if "comment" not in by_label:
            raise Fault("unmapped_value" if unknown else "not_content", "a comment under a label of labels.toml")
        created = by_label.get("time") or by_label.get("created") or seconds(found.get("timestamp"))
        return ItemRow(
            item_id=self._numbered("comment", created),
            version_at=created,
            kind="comment",
            account_id=self._owner.account_id,
            created_at=created,
            audience=meta.audience_said(found, by_label) or Audience.UNKNOWN.value,
            text=by_label["comment"],
        )

    def _post(self, what: str, found: Mapping[str, Any]) -> Iterator[Row]:
        by_label, unknown = meta.labels(found)
        files: list[Mapping[str, Any]] = [one for one in found.get("media") or () if isinstance(one, dict)]
        files = files or ([found] if "uri" in found else [])
        first = files[0] if files else {}
        created = (
            seconds(found.get("creation_timestamp"))
            or seconds(first.get("creation_timestamp"))
            or seconds(found.get("timestamp"))
            or by_label.get("created")
        )
        text = said(found.get("title")) or by_label.get("text") or said(first.get("title"))
        if text is None and unknown:
            raise Fault("unmapped_value", "labels in a language that labels.toml knows")
        reply = what == "thread" and any((one.get("text_app_post") or {}).get("is_reply") for one in (found, *files))
        own_page = what in ("post", "reel", "video", "thread", "profile_picture") and not reply and not unknown
        row = ItemRow(
            item_id=self._numbered("post" if what in _HIDDEN else what, created),
            # when it was deleted nobody says: a deletion without an instant always counts
            version_at=None if what == "deleted" else created,
            state="deleted" if what == "deleted" else "live",
            kind={"thread": "reply" if reply else "post", "archived": "post", "deleted": "post"}.get(what, what),
            account_id=self._owner.account_id,
            created_at=created,
            audience=self._audience(what, meta.audience_said(found, by_label), here=own_page),
        )
        if what in _HIDDEN:
            yield from self._perhaps(row)
        if what in ("reel", "story", "video", "profile_picture") and files:
            row["expires_at"] = created + timedelta(hours=STORY_HOURS) if what == "story" and created else None
            yield from meta.alone(row, {**first, "title": found.get("title") or first.get("title")}, self._prefix)
            return
        row["text"] = None if what == "deleted" else text
        yield from meta.hang(row, files, self._prefix)

    def _perhaps(self, row: ItemRow) -> Iterator[ItemRow]:
        """Return the tombstones of what else of that instant is hidden now."""
        for kind in _PERHAPS:
            yield ItemRow(
                item_id=self._numbered(kind, row["created_at"]),
                state="deleted",
                kind=kind,
                account_id=row["account_id"],
                created_at=row["created_at"],
                audience=Audience.UNKNOWN.value,
            )

    def _audience(self, what: str, stated: str | None, *, here: bool) -> str:
        """Return who could see a record; ``here`` = the account's own posts, for which the operator's word counts."""
        if what in _HIDDEN:
            return (Audience.DIRECT if what == "archived" else Audience.UNKNOWN).value
        audience = self._owner.audience(stated)
        return audience if here or stated is not None or self._owner.private else Audience.UNKNOWN.value

    def _profile(self, found: Mapping[str, Any]) -> Iterator[Row]:
        by_label, unknown = meta.labels(found)
        if not isinstance(by_label.get("username"), str):
            raise Fault("unmapped_value" if unknown else "missing_id", "a username under a label of labels.toml")
        born = meta.day(by_label.get("birth"))
        person = PersonRow(
            account_id=f"{self._service}:{by_label['username']}",
            person_hint=f"instagram:{by_label['username']}",
            handle=f"@{by_label['username']}",
            display_name=by_label.get("name"),
            contact=by_label.get("email"),
            born_on=born,
            age_source="declared" if born else None,
            status="active",
            private=meta.flag(by_label.get("private")),
        )
        yield person
        words = {"profile_name": by_label.get("name"), "bio": by_label.get("bio")}
        yield from profile_items(person, self._owner.audience(None), words)

    def _numbered(self, what: str, created: Any) -> str:
        base = f"{self._service}:{(self._owner.account_id or 'unknown').partition(':')[2] or 'unknown'}"
        return self._numbering.name(f"{base}/{what}/{meta.moment(created)}")


def _what(name: str, listed: str | None, found: Mapping[str, Any]) -> str | None:
    """Return what a record is: by the list that holds it, else by its shape in a file of a known name."""
    if listed in _LISTS:
        return _LISTS[listed]
    if listed is not None and listed.startswith("comments_"):
        return "comment"
    stem = name.rpartition("/")[2]
    if "comments" in stem:
        return "comment"
    if "media" in found or "uri" in found:
        return next((what for begin, what in _STEMS if stem.startswith(begin)), None)
    return None


def _owner(found: Any, service: str, context: Context) -> meta.Owner:
    """Return whose export it is; nobody's where the profile cannot be read."""
    try:
        entry = next(iter(found["profile_user"]))
        by_label, _ = meta.labels(entry)
    except (Fault, AttributeError, KeyError, TypeError, StopIteration):
        return meta.Owner(None)
    username, name = by_label.get("username"), by_label.get("name")
    account = f"{service}:{username}" if isinstance(username, str) else None
    return meta.owner_of(
        account, context, name=name if isinstance(name, str) else None, private=meta.flag(by_label.get("private"))
    )
