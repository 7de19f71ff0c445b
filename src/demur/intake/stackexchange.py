"""Stack Exchange dumps: Users, Posts with their history, Comments. Votes, badges, links and tags hold no text.

Everything on these sites is public by nature; a private site never has a dump. Old texts come from PostHistory, which
is sorted by event and not by post, so posts and events are first spread over bucket files on disk and joined bucket
by bucket: memory stays bounded however large the site.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from demur.errors import InputError
from demur.intake import archive, stackcolumns
from demur.intake.exports import profile_items
from demur.intake.fediverse import instant
from demur.intake.places import country_of
from demur.intake.revisions import Event, Post, RawVersion, Spill, raw_versions, versions
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row, Unreadable
from demur.intake.text import plain_text
from demur.intake.xmlblocks import Plain
from demur.intake.xmlrows import Attributes, attributes, pieces, rows

SERVICE = "stackexchange"
_READ = {"users.xml": "users", "posts.xml": "posts", "comments.xml": "comments"}
_WITHOUT_TEXT = {"badges.xml", "votes.xml", "postlinks.xml", "tags.xml"}
_HISTORY = "posthistory.xml"

_KINDS = {"1": "post", "2": "reply", "4": "post", "5": "post", "6": "post"}
"""PostTypeId → kind: question, answer, tag wiki excerpt, tag wiki, election nomination."""
_EVENTS = {"1", "2", "4", "5", "7", "8", "12", "13"}
_RAW_EVENTS = {kind.encode() for kind in _EVENTS}
"""PostHistoryTypeId: initial, edited, rolled back title and body; deleted, undeleted."""
_TOGETHER = 1024
"""Versions of posts that are handed on at once."""


class StackExchange:
    """Reads the folder (or zip) of one site's dump."""

    name = "stackexchange"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return Users, Posts (with PostHistory beside it) and Comments of each site.

        Raises:
            InputError: a path holds no file of a dump.
        """
        found: list[Input] = []
        for path in paths:
            here = _units_of(path)
            if not here:
                raise InputError(f"expected Users.xml, Posts.xml or Comments.xml in {path.name}, found none of them")
            found += here
        return found

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one of the files."""
        what, site = given.options["what"], given.options["site"]
        if what == "ignored":
            yield from _counted(given, context)
            return
        if what != "users":
            yield from (_comments if what == "comments" else _posts)(given, context, site)
            return
        member = given.options.get("member")
        with archive.opened(given.path, member) as stream:
            for row in rows(stream, context, member or given.path.name):
                if isinstance(row, Unreadable):
                    yield row
                else:
                    yield from _user(row, context, site)


def _units_of(path: Path) -> list[Input]:
    if path.is_dir():
        files = {found.name.lower().removesuffix(".gz").removesuffix(".zst"): found for found in sorted(path.iterdir())}
        return _site(path.name, {name: (file, None) for name, file in files.items()})
    members = archive.members_or_fault(path)
    if members != [None]:
        return _site(path.stem, {Path(name).name.lower(): (path, name) for name in members if name})
    plain = path.name.lower().removesuffix(".gz").removesuffix(".zst")
    return _site(path.resolve().parent.name, {plain: (path, None)})


def _site(site: str, files: dict[str, tuple[Path, str | None]]) -> list[Input]:
    units = []
    history = files.get(_HISTORY)
    for name in sorted({*_READ, *_WITHOUT_TEXT} & files.keys()):
        path, member = files[name]
        options: dict[str, Any] = {"what": _READ.get(name, "ignored"), "site": site, "member": member}
        beside: tuple[Path, ...] = ()
        if name == "posts.xml" and history is not None:
            beside, options["history_member"] = (history[0],), history[1]
        units.append(Input((path, *beside), SERVICE, options))
    return units


def _counted(given: Input, context: Context) -> Iterator[Row]:
    """Count the rows of a file that holds no text of people."""
    member = given.options.get("member")
    name = member or given.path.name
    with archive.opened(given.path, member) as stream:
        for row in rows(stream, context, name):
            if isinstance(row, Unreadable):
                yield row
            else:
                context.ignore(Path(name).stem.lower())


def _account(site: str, user: str | None) -> str | None:
    return None if user is None else f"{SERVICE}:{site}:user:{user}"


def _user(row: Attributes, context: Context, site: str) -> Iterator[Row]:
    try:
        created, seen = instant(row.get("CreationDate")), instant(row.get("LastAccessDate"))
    except ValueError:
        yield context.unreadable("not_a_date", "ISO 8601 in CreationDate and LastAccessDate", str(row))
        return
    number = row.get("Id")
    account = _account(site, number)
    if account is None:
        yield context.unreadable("missing_id", "an Id", str(row))
        return
    place = row.get("Location") or None
    country, why = country_of(place)
    automatic = number is not None and number.startswith("-")
    person = PersonRow(
        account_id=account,
        version_at=seen or created,
        person_hint=row.get("AccountId"),
        handle=row.get("DisplayName"),
        display_name=row.get("DisplayName"),
        place=place,
        country=country,
        residence_source="place_text" if country else None,
        status="bot" if automatic else "active",
        private=False,
        created_at=created,
        last_active_at=seen,
    )
    yield person
    context.ignore(f"place:{why}") if country is None else None
    # when a profile was written is not in a dump: the registration is the earliest, most protective reading
    texts = {"profile_name": row.get("DisplayName"), "bio": plain_text(row["AboutMe"]) if "AboutMe" in row else None}
    yield from profile_items(person, "public", texts, mark=":")


def _comment(row: Attributes, context: Context, site: str) -> Row:
    try:
        created = instant(row.get("CreationDate"))
    except ValueError:
        return context.unreadable("not_a_date", "ISO 8601 in CreationDate", str(row))
    if "Id" not in row:
        return context.unreadable("missing_id", "an Id", str(row))
    post = row.get("PostId")
    return ItemRow(
        item_id=f"{SERVICE}:{site}:comment:{row['Id']}",
        version_at=created,
        kind="comment",
        account_id=_account(site, row.get("UserId")),
        created_at=created,
        audience="public",
        parent_id=None if post is None else f"{SERVICE}:{site}:post:{post}",
        parent_audience="public",
        text=row.get("Text") or None,
    )


def _comments(given: Input, context: Context, site: str) -> Iterator[Row]:
    for found in _pieces(given.path, given.options.get("member"), context, stackcolumns.COMMENT):
        if isinstance(found, Unreadable):
            yield found
            continue
        batch = stackcolumns.comments(found, site) if isinstance(found, Plain) else None
        if batch is not None:
            yield batch
            continue
        for row in _each(found, context):
            yield _comment(row, context, site)


def _pieces(
    path: Path, member: str | None, context: Context, wanted: Sequence[str]
) -> Iterator[Plain | Attributes | Unreadable]:
    with archive.opened(path, member) as stream:
        yield from pieces(stream, context, member or path.name, wanted)


def _each(found: Plain | Attributes, context: Context) -> Iterator[Attributes]:
    """Return the rows of a block that is plain but not ordinary, or the one row."""
    if not isinstance(found, Plain):
        yield found
        return
    for at, line in enumerate(found.lines):
        context.at(*found.place(at))
        row = attributes(line.strip(), context)
        assert isinstance(row, dict), "a plain line has attributes"
        yield row


def _posts(given: Input, context: Context, site: str) -> Iterator[Row]:
    with Spill(context.spill) as spill:
        if len(given.files) > 1:
            yield from _spill_events(given, context, spill)
        yield from _spill_posts(given, context, spill, site)
        ready: list[tuple[RawVersion, tuple[str, str]]] = []
        for place, found, events in spill.joined():
            if found is not None and not isinstance(found, Post):
                ready += [(version, (given.path.name, place)) for version in raw_versions(found, events)]
                if len(ready) >= _TOGETHER:
                    yield stackcolumns.items(ready, site)
                    ready = []
                continue
            context.at(given.path.name, place)
            if found is None:
                # the post itself is gone from the dump: only its author's site knows it; old texts never come in
                context.ignore("history of posts that are not in the dump")
                yield _gone(events, site)
            else:
                yield from (_item(version, site) for version in versions(found, events))
        if ready:
            yield stackcolumns.items(ready, site)


def _spill_posts(given: Input, context: Context, spill: Spill, site: str) -> Iterator[Row]:
    for found in _pieces(given.path, given.options.get("member"), context, stackcolumns.POST):
        if isinstance(found, Unreadable):
            yield found
            continue
        raw = stackcolumns.posts(found, _KINDS) if isinstance(found, Plain) else None
        if raw is not None and isinstance(found, Plain):
            if spill.empty:
                alone = [
                    (version, found.place(at)) for at, post in enumerate(raw) for version in raw_versions(post, [])
                ]
                yield stackcolumns.items(alone, site)
                continue
            for at, post in enumerate(raw):
                spill.post(post, " ".join(found.place(at)))
            continue
        for row in _each(found, context):
            read = _post(row, context)
            if isinstance(read, Unreadable):
                yield read
            elif spill.empty:
                yield from (_item(version, site) for version in versions(read, []))
            else:
                spill.post(read, f"{context.path} {context.position}")


def _spill_events(given: Input, context: Context, spill: Spill) -> Iterator[Row]:
    for found in _pieces(given.files[1], given.options.get("history_member"), context, stackcolumns.EVENT):
        if isinstance(found, Unreadable):
            yield found
            continue
        raw = stackcolumns.events(found, _RAW_EVENTS, context.ignore) if isinstance(found, Plain) else None
        if raw is not None:
            for event in raw:
                spill.event(event)
            continue
        for row in _each(found, context):
            read = _event(row, context)
            if isinstance(read, Unreadable):
                yield read
            elif read is not None:
                spill.event(read)


def _event(row: Attributes, context: Context) -> Event | Unreadable | None:
    kind = row.get("PostHistoryTypeId", "")
    if kind not in _EVENTS:
        context.ignore(f"history type {kind[:3]}")
        return None
    try:
        at = instant(row.get("CreationDate"))
        number = int(row["Id"])
    except (ValueError, KeyError):
        return context.unreadable("not_a_date", "an Id and an instant in CreationDate", str(row))
    return Event(row.get("PostId", ""), number, kind, at, row.get("UserId"), row.get("Text") or "")


def _post(row: Attributes, context: Context) -> Post | Unreadable:
    if not row.get("Id"):
        return context.unreadable("missing_id", "an Id", str(row))
    kind = _KINDS.get(row.get("PostTypeId", ""))
    if kind is None:
        return context.unreadable("unknown_kind", "a PostTypeId that is a question, an answer or a wiki", str(row))
    try:
        created, edited = instant(row.get("CreationDate")), instant(row.get("LastEditDate"))
    except ValueError:
        return context.unreadable("not_a_date", "ISO 8601 in CreationDate and LastEditDate", str(row))
    body = plain_text(row.get("Body") or "")
    return Post(
        row["Id"],
        kind,
        row.get("OwnerUserId"),
        row.get("ParentId"),
        created,
        edited,
        row.get("LastEditorUserId"),
        row.get("Title") or "",
        body,
    )


def _item(version: dict[str, Any], site: str) -> ItemRow:
    editors = sorted(account for user in version["editors"] if (account := _account(site, user)))
    parent = version["parent"]
    return ItemRow(
        item_id=f"{SERVICE}:{site}:post:{version['post']}",
        version_at=version["at"],
        state=version["state"],
        kind=version["kind"],
        account_id=_account(site, version["owner"]),
        co_account_ids=editors or None,
        created_at=version["created"],
        audience="public" if version["state"] == "live" else "unknown",
        parent_id=None if parent is None else f"{SERVICE}:{site}:post:{parent}",
        parent_audience=None if parent is None else "public",
        text=version["text"] or None,
    )


def _gone(events: Sequence[Event], site: str) -> ItemRow:
    first, last = events[0], events[-1]
    return ItemRow(
        item_id=f"{SERVICE}:{site}:post:{first.post}",
        version_at=last.at,
        state="deleted",
        kind="post",
        account_id=_account(site, first.user),
        created_at=first.at,
        audience="unknown",
    )
