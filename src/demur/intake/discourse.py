"""Discourse: pages of its JSON API (topics, posts, categories, users) and the administrators' list of users (CSV).

Who could see a post: a private message is ``direct``; a post of a topic belongs to its category, which may be read by
all or not (``read_restricted``), and a category that no page tells of is unknown. Whispers and hidden posts are for
the staff. Categories are read from files whose names begin with ``categories`` or ``site`` (or lie in a folder of
that name); every page is understood with them. A forum that wants a login of everybody is closed altogether; only
``site/basic-info.json`` says so (``login_required``).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from demur.errors import InputError
from demur.intake import archive, jsonstream
from demur.intake.exports import guarded, profile_items
from demur.intake.fediverse import Fault, instant
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row, Unreadable
from demur.intake.text import plain_text

_ENDINGS = (".json", ".jsonl", ".csv", ".json.gz", ".jsonl.gz", ".csv.gz", ".json.zst", ".jsonl.zst")
_WHISPER, _SMALL_ACTION = 4, 3
"""Post types (Post.types of Discourse): 1 regular, 2 moderator action, 3 small action, 4 whisper."""
_ARCHETYPES = {"regular": "public", "banner": "public", "private_message": "direct"}
_WITHOUT_POSTS = ("category_list", "categories", "topic_list", "directory_items", "category", "login_required")
_MENTION = re.compile(r'class="mention"[^<>]*>@([^<]+)<')
Categories = Mapping[int, str]


class Discourse:
    """Reads a forum's pages."""

    name = "discourse"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return every page and list under some paths, each with the files that tell of categories.

        Raises:
            InputError: a path holds none.
        """
        found: list[Path] = []
        for path in paths:
            here = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.name.endswith(_ENDINGS))
            if not here:
                raise InputError(f"expected pages (.json, .jsonl) or a list of users (.csv) in {path.name}, found none")
            found += here
        beside = [file for file in found if _tells_of_categories(file)]
        # the format is told by the name, so it is part of what the rows depend on
        return [Input((file, *(other for other in beside if other != file and not _is_list(file))), None,
                      {"list": _is_list(file)}) for file in found]  # fmt: skip

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one file."""
        if given.options["list"]:
            with archive.opened(given.path) as stream:
                yield from _user_list(stream, context, given.path.name)
            return
        reading = _Pages(context, *_site(given.files, context))
        for page in _documents(given.path, context):
            if isinstance(page, Unreadable):
                yield page
            else:
                yield from reading.page(page)


def _is_list(file: Path) -> bool:
    return ".csv" in file.suffixes


def _tells_of_categories(file: Path) -> bool:
    named = file.name.startswith(("categories", "site")) or file.parent.name in ("categories", "c")
    return named and not _is_list(file)


def _documents(path: Path, context: Context) -> Iterator[Any]:
    with archive.opened(path) as stream:
        lines = ".jsonl" in path.suffixes
        yield from (jsonstream.lines if lines else jsonstream.documents)(stream, context, path.name)


def _site(files: Sequence[Path], context: Context) -> tuple[Categories, bool]:
    """Return category → its audience, one that any page says is closed is closed; and whether the whole forum is."""
    found: dict[int, str] = {}
    login = False
    for file in files:
        if not _tells_of_categories(file):
            continue
        for document in _documents(file, context):
            login |= isinstance(document, dict) and document.get("login_required") is True
            for category in _listed(document):
                number, closed = category.get("id"), category.get("read_restricted")
                if isinstance(number, int) and isinstance(closed, bool) and found.get(number) != "group":
                    found[number] = "group" if closed else "public"
    return found, login


def _listed(document: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield the categories in a page, with those below them."""
    if not isinstance(document, dict) or depth > 8:
        return
    lists = [document.get("categories"), (document.get("category_list") or {}).get("categories")]
    lists += [[document.get("category")], document.get("subcategory_list")]
    for category in (one for held in lists if isinstance(held, list) for one in held if isinstance(one, dict)):
        yield category
        yield from _listed(category, depth + 1)


class _Pages:
    """The pages of one file on their way into rows."""

    def __init__(self, context: Context, categories: Categories, login: bool) -> None:
        self._context, self._categories, self._login = context, categories, login
        self._known: set[tuple[Any, ...]] = set()

    def page(self, page: Any) -> Iterator[Row]:
        """Read a page: a topic, a list of posts, a post, a user, a list of users; others are counted."""
        if isinstance(page, list):
            for entry in page:
                yield from self.page(entry)
            return
        if not isinstance(page, dict):
            yield self._context.unreadable("not_content", "a page of Discourse's API", repr(page))
        elif "post_stream" in page:
            yield from self._posts(page["post_stream"], "posts", page, page.get("archetype"))
        elif "latest_posts" in page:
            yield from self._posts(page, "latest_posts", {}, "regular")
        elif "private_posts" in page:
            yield from self._posts(page, "private_posts", {}, "private_message")
        elif "cooked" in page:
            yield from self._posts({"posts": [page]}, "posts", {}, page.get("topic_archetype"))
        elif isinstance(page.get("user"), dict) or ("username" in page and "trust_level" in page):
            yield from guarded(page.get("user", page), self._context, self.user)
        elif any(name in page for name in _WITHOUT_POSTS):
            self._context.ignore("page without posts")
        else:
            yield self._context.unreadable("not_content", "a page of Discourse's API", repr(page))

    def _posts(self, held: Any, name: str, topic: Mapping[str, Any], archetype: Any) -> Iterator[Row]:
        posts = held.get(name) if isinstance(held, dict) else None
        if not isinstance(posts, list):
            yield self._context.unreadable("wrong_type", f"a list of posts in {name}", repr(held))
            return
        place = self._context.position
        ours = (post for post in posts if isinstance(post, dict) and isinstance(post.get("post_number"), int))
        numbers = {post["post_number"]: post.get("id") for post in ours}
        for number, post in enumerate(posts):
            self._context.position = f"{place}, post {number + 1}"
            read = partial(self._post, topic=topic, archetype=archetype, numbers=numbers)
            yield from guarded(post, self._context, read)

    def _post(
        self, post: Mapping[str, Any], topic: Mapping[str, Any], archetype: Any, numbers: Mapping[Any, Any]
    ) -> Iterator[Row]:
        kind = post.get("post_type", 1)
        if kind == _SMALL_ACTION:
            self._context.ignore("small action")
            return
        audience = "unknown" if archetype is None else _ARCHETYPES.get(str(archetype))
        if audience is None:
            raise Fault("unknown_audience", "an archetype of regular, banner or private_message")
        audience = self._narrowed(audience, post, topic, kind)
        gone = instant(post.get("deleted_at")) or instant(topic.get("deleted_at"))
        deleted = gone is not None or post.get("user_deleted") is True
        created = instant(post.get("created_at"))
        first = post.get("post_number") == 1
        answered = post.get("reply_to_post_number") or (None if first else 1)
        parent = None if answered is None else numbers.get(answered)
        category = post.get("category_id", topic.get("category_id"))
        private = archetype == "private_message"
        yield from self._author(post)
        yield ItemRow(
            item_id=self._named("post", _number(post.get("id"))),
            version_at=gone or instant(post.get("updated_at")) or (None if deleted else created),
            state="deleted" if deleted else "live",
            kind="private_message" if private else "post" if first else "comment",
            account_id=self._named("user", post["user_id"]) if post.get("user_id") is not None else None,
            created_at=created,
            audience="unknown" if deleted else audience,
            container_id=self._named("category", category) if category is not None else None,
            container_audience=None
            if private
            else self._categories.get(category, "unknown")
            if isinstance(category, int)
            else "unknown",
            parent_id=self._named("post", parent) if parent is not None else None,
            parent_audience=None if first else audience,
            text=None if deleted else _text(post, topic if first else {}),
            language=post.get("locale") if isinstance(post.get("locale"), str) else None,
            mentions=[f"@{name}" for name in _MENTION.findall(post["cooked"])] or None,
        )

    def _narrowed(self, audience: str, post: Mapping[str, Any], topic: Mapping[str, Any], kind: Any) -> str:
        if audience != "public":
            return audience
        if self._login or kind == _WHISPER or post.get("hidden") is True or post.get("cooked_hidden") is True:
            return "group"
        return "unlisted" if topic.get("visible") is False else "public"

    def _author(self, post: Mapping[str, Any]) -> Iterator[Row]:
        """Tell once of each author that there is such an account; what it is, only lists of users say."""
        said = (post.get("user_id"), post.get("username"), post.get("name"))
        if said[0] is None or said in self._known:
            return
        self._known.add(said)
        yield PersonRow(account_id=self._named("user", said[0]), handle=_handle(said[1]), display_name=said[2] or None)

    def user(self, user: Mapping[str, Any]) -> Iterator[Row]:
        """Read what a page or list says about a user."""
        account = self._named("user", _number(user.get("id")))
        seen = max((at for name in ("last_seen_at", "last_posted_at") if (at := instant(user.get(name)))), default=None)
        created = instant(user.get("created_at"))
        person = PersonRow(
            account_id=account,
            version_at=seen or created,
            handle=_handle(user.get("username")),
            display_name=user.get("name") or None,
            contact=user.get("email") or None,
            place=user.get("location") or None,
            status=_status(user, self._context.imported_at),
            private=user.get("profile_hidden") if isinstance(user.get("profile_hidden"), bool) else None,
            created_at=created,
            last_active_at=seen,
            language=user.get("locale") or None,
        )
        yield person
        about = [user[name] or "" for name in ("bio_cooked", "bio_excerpt") if name in user]
        texts = {"profile_name": user["name"] or ""} if "name" in user else {}
        texts |= {"bio": plain_text(next(filter(None, about), ""))} if about else {}
        hidden = self._login or user.get("profile_hidden")
        yield from profile_items(person, "group" if hidden else "public", texts)

    def _named(self, what: str, number: Any) -> str:
        return f"{self._context.service}:{what}:{number}"


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Fault("missing_id", "an id that is a whole number")
    return value


def _handle(name: Any) -> str | None:
    return f"@{name}" if isinstance(name, str) and name else None


def _text(post: Mapping[str, Any], topic: Mapping[str, Any]) -> str | None:
    cooked = post.get("cooked")
    if not isinstance(cooked, str):
        raise Fault("wrong_type", "HTML in cooked")
    title = topic.get("title") or ""
    return "\n\n".join(part for part in (title, plain_text(cooked)) if part) or None


def _status(user: Mapping[str, Any], imported_at: datetime) -> str:
    """Return an account's status; suspended is who was suspended and is not known to be free again."""
    until = instant(user.get("suspended_till"))
    if user.get("suspended_at") and (until is None or until > imported_at):
        return "suspended"
    return "deactivated" if user.get("active") is False or user.get("staged") is True else "active"


_FLAGS = {"true": True, "false": False}


def _user_list(stream: Any, context: Context, path: str) -> Iterator[Row]:
    """Read the administrators' list of users (Jobs::ExportCsvFile, user_list)."""
    context.at(path, "row 1")
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.DictReader(text)
    if not {"id", "username", "suspended_till", "active"} <= set(reader.fieldnames or ()):
        yield context.unreadable("not_content", "a list of users with id, username, suspended_till, active")
        return
    pages = _Pages(context, {}, login=False)
    try:
        for record in reader:
            context.at(path, f"line {reader.line_num}")
            yield from guarded(record, context, lambda found: pages.user(_typed(found)))
    except csv.Error:
        yield context.unreadable("malformed_table", "CSV as RFC 4180 describes it")
    finally:
        text.detach()


def _typed(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of the list as the API would give it; instants of Ruby have a blank before the zone."""
    user: dict[str, Any] = {name: _FLAGS.get(value, value) or None for name, value in record.items() if name}
    for name in ("active", "staged"):
        user[name] = _FLAGS.get(str(record.get(name)))
    for name in ("created_at", "last_seen_at", "last_posted_at", "suspended_at", "suspended_till"):
        user[name] = _ruby(user.get(name))
    user["id"] = int(record["id"]) if str(record.get("id") or "").isdigit() else None
    return user


def _ruby(value: Any) -> str | None:
    """Return an instant as Ruby prints it (2024-05-01 10:00:00 UTC) in the form of ISO 8601."""
    return value.replace(" UTC", "+00:00").replace(" +", "+") if isinstance(value, str) else None
