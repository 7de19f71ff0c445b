"""Logs of chats with an AI: an OpenAI-style export, JSON lines with ``messages``, and trees of Open Assistant.

Every turn is an item of its own, told apart by speaker: the person's turn to the AI, and the AI's answer (its id ends
in ``#answer``), which belongs to the person who asked. Where several people talk, only a turn that says that it is
addressed to the AI, and the answer to it, are kept; all others are private messages without their words (INT-06).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from demur.intake import jsonstream
from demur.intake.exports import (
    beside,
    digest,
    exports,
    guarded,
    iso,
    other_file,
    parsed,
    private_message,
    read,
    seconds,
)
from demur.intake.fediverse import Fault
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row
from demur.terms.content import Audience

_ENDS = (".json", ".jsonl", ".ndjson", ".jsonl.gz", ".jsonl.zst", ".ndjson.gz", ".ndjson.zst")
_LINES = _ENDS[1:]
_MARK = re.compile(r"(?:^|(?<=/))(?:conversations(?:-\d+)?\.json$|user\.json$)")
_PERSON, _AI = frozenset({"user", "human", "prompter"}), frozenset({"assistant", "model", "ai"})
_OURS = frozenset({"system", "developer", "tool", "function", "critic"})
_PUBLISHED = "ready_for_export"
"""State of a tree that Open Assistant published as open data."""
_MAX_DEPTH = 2_000


class AiChats:
    """Reads logs of chats with an AI, as files, folders or zips."""

    name = "aichats"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return a unit for each file of conversations.

        Raises:
            InputError: a path holds none.
        """
        units: list[Input] = []
        for export in exports(paths, _ENDS, _MARK, "logs of chats (.json, .jsonl)"):
            whose = [name for name in export.names if name == "user.json"]
            units += [export.part(name, [name], whose) for name in export.names]
            units += [] if export.names else [export.part("chats", ())]
        return units

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one file."""
        owner = parsed(next(iter(beside(given).values()), None))
        reading = _Reading(context, owner.get("id") if isinstance(owner, dict) else None)
        yield from read(given, context, reading.file)


class _Turn:
    """One turn of a conversation, in whichever shape it came."""

    __slots__ = ("addressed", "created", "name", "parent", "role", "speaker", "text")

    def __init__(
        self, name: str, role: Any, text: str | None, created: datetime | None, parent: str | None, speaker: str | None
    ) -> None:
        self.name, self.role, self.text, self.created = name, role, text, created
        self.parent, self.speaker = parent, speaker
        self.addressed: bool | None = None


class _Reading:
    """One file on its way into rows."""

    def __init__(self, context: Context, owner: Any) -> None:
        self._context, self._service = context, context.service
        self._owner = owner if isinstance(owner, str) and owner else None

    def file(self, name: str, stream: BinaryIO) -> Iterator[Row]:
        if name.rpartition("/")[2] == "user.json":
            yield from guarded(parsed(stream.read(2**20)), self._context, self._person)
            return
        lines = name.endswith(_LINES)
        found = (jsonstream.lines if lines else jsonstream.documents)(stream, self._context, name)
        for document in found:
            several = document if isinstance(document, list) else [document]
            place = self._context.position
            for number, one in enumerate(several, start=1):
                self._context.position = place if several[0] is document else f"conversation {number}"
                yield from guarded(one, self._context, partial(self._conversation, name))

    def _person(self, found: Any) -> Iterator[Row]:
        """A year of birth says the youngest reading: born on its last day."""
        if not isinstance(found.get("id"), str):
            raise Fault("missing_id", "a user with an id")
        year = found.get("birth_year")
        known = isinstance(year, int) and not isinstance(year, bool) and 1900 <= year <= 9999
        yield PersonRow(
            account_id=f"{self._service}:{found['id']}",
            contact=found.get("email"),
            born_on=datetime(year, 12, 31).date() if known else None,  # noqa: DTZ001  (a day, no instant)
            age_source="declared" if known else None,
            status="active",
        )

    def _conversation(self, name: str, found: Any) -> Iterator[Row]:
        if not isinstance(found, dict):
            raise Fault("not_content", "a conversation")
        if isinstance(found.get("mapping"), dict):
            yield from self._turns(_nodes(found), found, found.get("conversation_id") or found.get("id"))
        elif isinstance(found.get("messages"), list):
            own = found.get("id") or found.get("conversation_id")
            yield from self._turns(_listed(found), found, own or digest(_of(found["messages"])))
        elif isinstance(found.get("prompt"), dict):
            yield from _tree(found["prompt"], found.get("tree_state") == _PUBLISHED)
        else:
            self._context.ignore(other_file(name))

    def _turns(self, turns: Iterator[_Turn], found: Mapping[str, Any], own: Any) -> Iterator[Row]:
        if not isinstance(own, str) or not own:
            raise Fault("missing_id", "a conversation with an id")
        chat = f"{self._service}:{own}"
        several = list(turns)
        asker = _account(found) or self._owner
        people = {turn.speaker for turn in several if turn.role not in _AI | _OURS}
        # nobody named = the one whose log this is; two names, or a name beside nobody's, are a group
        group = len(people) > 1 or found.get("is_group") is True or found.get("type") == "group"
        _mark_addressed(several, group=group)
        by_name = {turn.name: turn for turn in several}
        for turn in several:
            if turn.role in _OURS:
                self._context.ignore("turn of the system or of a tool")
                continue
            if turn.role not in _PERSON | _AI:
                yield self._context.unreadable("not_content", "a turn by user, assistant, system or tool")
                continue
            asked = by_name.get(turn.parent or "") if turn.role in _AI else turn
            speaker = asked.speaker if asked is not None and asked.role in _PERSON else None
            who = speaker if group else asker or speaker
            yield self._row(turn, chat, f"{self._service}:{who}" if who else None, group=group)

    def _row(self, turn: _Turn, chat: str, account: str | None, *, group: bool) -> ItemRow:
        item_id = f"{chat}/{turn.name}"
        if not turn.addressed:
            return private_message(item_id, turn.created, account, chat, group=group)
        audience = Audience.GROUP.value if group else Audience.DIRECT.value
        return ItemRow(
            item_id=f"{item_id}#answer" if turn.role in _AI else item_id,
            version_at=turn.created,
            kind="ai_chat",
            account_id=account,
            created_at=turn.created,
            audience=audience,
            container_id=chat,
            container_audience=audience,
            addressed_to_ai=True,
            text=turn.text,
        )


def _mark_addressed(turns: Sequence[_Turn], *, group: bool) -> None:
    """Say of each turn whether it is one to the AI, or the AI's answer to one."""
    by_name = {turn.name: turn for turn in turns}
    assistants = {turn.speaker for turn in turns if turn.role in _AI and turn.speaker}
    called = re.compile("|".join(rf"@{re.escape(name)}(?!\w)" for name in sorted(assistants))) if assistants else None
    for turn in turns:
        if turn.role in _PERSON:
            turn.addressed = turn.addressed is True or not group or bool(called and called.search(turn.text or ""))
    for turn in turns:
        if turn.role in _AI:
            asked = by_name.get(turn.parent or "")
            turn.addressed = not group or (asked is not None and asked.role in _PERSON and asked.addressed is True)


def _account(found: Mapping[str, Any]) -> str | None:
    named = (found.get("user") or found.get("user_id") or found.get("safety_identifier")) or None
    return named if isinstance(named, str) else None


def _nodes(found: Mapping[str, Any]) -> Iterator[_Turn]:
    """Return the turns of a tree of nodes; hidden ones and those without words are none."""
    nodes = found["mapping"]
    for name, node in nodes.items():
        message = node.get("message")
        if not isinstance(message, dict):
            continue
        text = _content(message.get("content"))
        about = message.get("metadata") or {}
        if text is None or about.get("is_visually_hidden_from_conversation") is True or message.get("weight") == 0:
            continue
        author = message["author"]
        speaker = author.get("name") or about.get("user_id") if author["role"] != "tool" else None
        turn = _Turn(
            name,
            author["role"] if message.get("recipient") in (None, "all") else "tool",
            text,
            seconds(message.get("create_time")),
            _speaking_parent(nodes, node.get("parent")),
            speaker if isinstance(speaker, str) else None,
        )
        turn.addressed = about.get("addressed_to_ai") is True
        yield turn


def _speaking_parent(nodes: Mapping[str, Any], name: Any) -> str | None:
    """Return the nearest turn above that a person or the AI said; steps between them are none."""
    for _ in range(_MAX_DEPTH):
        node = nodes.get(name) if isinstance(name, str) else None
        if not isinstance(node, dict):
            return None
        message = node.get("message")
        author = message.get("author") if isinstance(message, dict) else None
        if isinstance(author, dict) and author.get("role") in _PERSON:
            return str(name)
        name = node.get("parent")
    return None


def _listed(found: Mapping[str, Any]) -> Iterator[_Turn]:
    """Return the turns of a list: an answer answers the person's turn before it, unless it names another."""
    before: str | None = None
    started = found.get("created_at") or found.get("created") or found.get("timestamp")
    for number, message in enumerate(found["messages"]):
        name = message.get("id") if isinstance(message.get("id"), str) else str(number)
        said_at = message.get("created_at") or message.get("create_time") or message.get("timestamp") or started
        speaker = message.get("name") or message.get("user")
        parent = message.get("in_reply_to") if isinstance(message.get("in_reply_to"), str) else before
        role = message.get("role")
        turn = _Turn(name, role, _content(message.get("content")), _instant(said_at), parent, _named(speaker))
        turn.addressed = message.get("addressed_to_ai") is True
        before = name if role in _PERSON else before
        yield turn


def _named(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _of(messages: Sequence[Any]) -> list[Any]:
    """Return what tells a conversation without an id apart from others."""
    return [(one.get("role"), one.get("content")) for one in messages]


def _instant(value: Any) -> datetime | None:
    return iso(value) if isinstance(value, str) and not value.replace(".", "").isdigit() else seconds(_number(value))


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value


def _content(content: Any) -> str | None:
    """Return the words of a turn: text, or the text among its parts; pictures, code and files are none."""
    if isinstance(content, dict):
        if content.get("content_type") not in (None, "text", "multimodal_text"):
            return None
        content = content.get("parts")
    if isinstance(content, list):
        texts = [one.get("text") if isinstance(one, dict) else one for one in content]
        content = "\n\n".join(text for text in texts if isinstance(text, str) and text)
    if content is not None and not isinstance(content, str):
        raise Fault("wrong_type", "text in content")
    return content or None


def _tree(node: Mapping[str, Any], published: bool) -> Iterator[Row]:
    """Return the rows of a tree of Open Assistant, the same as the mapping ``oasst1`` makes of its flat form."""
    waiting: list[tuple[Mapping[str, Any], Any]] = [(node, None)]
    while waiting:
        here, above = waiting.pop()
        name, person = here["message_id"], here.get("user_id")
        created = iso(here.get("created_date"))
        parent = here.get("parent_id") or above
        yield ItemRow(
            item_id=f"oasst1:{name}",
            service="oasst1",
            state="deleted" if here.get("deleted") is True else "live",
            version_at=created,
            kind="ai_chat",
            account_id=f"oasst1:{person}" if person else None,
            created_at=created,
            audience=Audience.PUBLIC.value if published else Audience.DIRECT.value,
            parent_id=f"oasst1:{parent}" if parent else None,
            addressed_to_ai=True if here.get("role") in _PERSON | _AI else None,
            text=here.get("text"),
            language=here.get("lang"),
        )
        if person:
            yield PersonRow(account_id=f"oasst1:{person}", service="oasst1")
        waiting += [(reply, name) for reply in reversed(here.get("replies") or ())]
