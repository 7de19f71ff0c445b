"""Logs of IRC channels: ``[HH:MM] <nick> text`` and the forms of irssi, WeeChat and ZNC.

A log does not say who could read along: its messages are private, and no word of them is kept, unless the operator
declares the channel public (``public`` in the mapping). Times are taken as UTC. A nick is taken as an account.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from demur.intake.exports import Export, declared_public, digest, exports, guarded, private_message, read
from demur.intake.fediverse import Fault
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row

_ENDS = (".log", ".txt", ".log.gz", ".txt.gz", ".weechatlog")
_NO_MARK = re.compile(r"(?!)")
_LINE_BYTES = 64 * 2**10
"""A line of the protocol has 512 bytes (RFC 2812 §2.3); longer ones are no lines."""
_BACK_HOURS = 12
"""A clock that goes back so far has passed midnight."""
_DATE = re.compile(r"(?<!\d)(\d{4})[-_.]?(\d\d)[-_.]?(\d\d)(?!\d)")
_CHANNEL = re.compile(r"[#&+!][^\s,:/]+?(?=[._-]?\d{4}[-_.]?\d\d|\.(?:log|txt|weechatlog)|$)")
_LINE = re.compile(
    r"(?:\[?(?:(?P<day>\d{4}-\d\d-\d\d)[T ])?(?P<time>\d\d:\d\d(?::\d\d)?)(?:\.\d+)?Z?\]?)[ \t]+(?P<rest>.*)", re.DOTALL
)
_SAID = re.compile(r"<[@+%&~! ]?(?P<nick>[^\s<>]{1,64}?)> ?(?P<text>.*)", re.DOTALL)
_TABBED = re.compile(r"[@+%&~!]?(?P<nick>[^\s<>*-][^\s<>]{0,63})\t(?P<text>.*)", re.DOTALL)
_DID = re.compile(r"\*{1,3}\s+(?P<nick>[^\s<>*]{1,64})(?: (?P<text>.*))?", re.DOTALL)
_EVENT = re.compile(r"(?:===|---|-->|<--|--|-!-|\*\*\*|-[^\s-]{1,64}-)(?:\s|$)|\*\s+\S+ (?:has|is now|sets)\b")
_DAY_CHANGED = re.compile(r"--- (?:Day changed|Log opened) \w{3} (\w{3}) (\d\d)(?: \d\d:\d\d:\d\d)? (\d{4})")
_CALLED = re.compile(r"@?(?P<nick>[^\s,:]{1,64})[,:](?=\s)")
_FORMATTING = re.compile("\x03\\d{0,2}(?:,\\d{1,2})?|[\x02\x0f\x11\x16\x1d\x1e\x1f]")


class Irc:
    """Reads logs of channels."""

    name = "irc"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return a unit for each log.

        Raises:
            InputError: a path holds none.
        """
        units: list[Input] = []
        for export in exports(paths, _ENDS, _NO_MARK, "logs of IRC channels (.log, .txt)"):
            units += [export.part(name, [name], channel=_channel(export, name)) for name in export.names]
            units += [] if export.names else [export.part("log", ())]
        return units

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one log."""
        yield from read(given, context, _Reading(given.options.get("channel") or "", context).file)


def _channel(export: Export, name: str) -> str:
    """Return the channel that a log's name holds, else the name of its folder."""
    path = PurePosixPath(name)
    named = _CHANNEL.search(path.name)
    folder = export.place if export.place.is_dir() else export.place.parent
    return named.group() if named else path.parent.name or folder.resolve().name


class _Reading:
    """One log on its way into rows."""

    def __init__(self, channel: str, context: Context) -> None:
        self._context, self._service = context, context.service
        self._public = declared_public(context, channel)
        # a log of a conversation of two is named after one of them
        self._container = f"{self._service}:{channel if self._public else digest(channel)}"
        self._channel = channel
        self._nicks: dict[str, str] = {}
        self._day: date | None = None
        self._hour = 0

    def file(self, name: str, stream: BinaryIO) -> Iterator[Row]:
        dated = _DATE.search(PurePosixPath(name).name)
        with contextlib.suppress(ValueError):
            self._day = date(int(dated[1]), int(dated[2]), int(dated[3])) if dated else None
        stem = digest(self._channel, PurePosixPath(name).name)
        number = 0
        while raw := stream.readline(_LINE_BYTES):
            number += 1
            self._context.at(name, f"line {number}")
            yield from guarded(raw, self._context, partial(self._line, f"{self._service}:{stem}/{number}"))

    def _line(self, item_id: str, raw: bytes) -> Iterator[Row]:
        line = _decoded(raw)
        changed = _DAY_CHANGED.match(line)
        if changed:
            self._day, self._hour = _day(" ".join(changed.groups())), 0
        found = _LINE.fullmatch(line)
        if not line.strip() or changed or (found is None and _EVENT.match(line)):
            self._context.ignore("line that nobody said")
            return
        rest = found.group("rest") if found else ""
        spoken = _SAID.fullmatch(rest) or (None if "<" in rest[:1] else _TABBED.fullmatch(rest) or _DID.fullmatch(rest))
        if found is None or spoken is None:
            if found is None or not _EVENT.match(rest):
                raise Fault("not_content", "a line such as [HH:MM] <nick> text")
            self._context.ignore("line that nobody said")
            return
        yield from self._said(item_id, spoken.group("nick"), spoken.group("text") or "", self._instant(found))

    def _said(self, item_id: str, nick: str, text: str, created: datetime | None) -> Iterator[Row]:
        account = f"{self._service}:{nick}"
        if not self._public:
            yield private_message(item_id, created, account, self._container, group=True)
            return
        if nick not in self._nicks:
            self._nicks[nick] = account
            yield PersonRow(account_id=account, handle=nick, private=False)
        called = _CALLED.match(text)
        mentioned = self._nicks.get(called.group("nick")) if called else None
        yield ItemRow(
            item_id=item_id,
            version_at=created,
            kind="channel_activity",
            account_id=account,
            created_at=created,
            audience="public",
            container_id=self._container,
            container_audience="public",
            text=_FORMATTING.sub("", text).strip() or None,
            mentions=[mentioned] if mentioned else None,
        )

    def _instant(self, found: re.Match[str]) -> datetime | None:
        """Return when a line was said: its own day, else that of the log; without a day it is unknown."""
        try:
            clock = time.fromisoformat(found.group("time"))
            day = date.fromisoformat(found.group("day")) if found.group("day") else self._day
        except ValueError:
            raise Fault("not_a_date", "a day and a time of it") from None
        if day is not None and not found.group("day"):
            if self._hour - clock.hour >= _BACK_HOURS:
                day = self._day = day + timedelta(days=1)
            self._hour = clock.hour
        return None if day is None else datetime.combine(day, clock, UTC)


def _day(written: str) -> date | None:
    try:
        return datetime.strptime(written, "%b %d %Y").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def _decoded(raw: bytes) -> str:
    """Return a line; what is no UTF-8 is Latin-1, as clients do."""
    raw = raw.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
    if len(raw) > _LINE_BYTES - 3:
        raise Fault("text_too_long", "a line of IRC")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
