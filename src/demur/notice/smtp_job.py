"""One message as SMTP carries it: a safe envelope, a sound text, and what a refusal means. Knows no connection."""

from __future__ import annotations

import re
from collections.abc import Callable

from demur.errors import BrokenError, InputError
from demur.terms.notice import Outcome, Outgoing, Result

_UNSAFE = re.compile(r"[\x00-\x20\x7f<>]")
_STATUS = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}")
_US = re.compile(r"5\d\d 5\.[357]\.|5[03][0-9]($| )")
"""Refusals that speak of us, not of the mailbox: not allowed, not logged in, wrong order (RFC 3463 §3)."""


class Job:
    """One message on its way.

    Raises:
        InputError: an address holds what no envelope may hold.
        BrokenError: the text holds a bare CR or LF or a NUL (SMTP smuggling).
    """

    __slots__ = ("done", "message", "ours", "path", "refusal", "to", "tries")

    def __init__(self, message: Outgoing, done: Callable[[Result | None], None]) -> None:
        self.message = message
        self.done = done
        self.path = argument(message.return_path)
        self.to = argument(message.address)
        self.refusal = ""
        self.ours = False
        self.tries = 0
        if not self.to:
            raise InputError("expected an address, found none")
        text = message.message
        ends = text.count(b"\r\n")
        if text.count(b"\n") != ends or text.count(b"\r") != ends or b"\0" in text:
            raise BrokenError("expected lines that end in CR LF and no NUL, found others; the renderer is at fault")

    def finish(self, outcome: Outcome, code: str) -> None:
        """Tell what became of it."""
        self.done(Result(self.message.number, self.message.attempt, outcome, code))

    def refused(self) -> None:
        """Tell what the relay's refusal means: put off, or never over this channel."""
        hard = self.refusal[0] == "5" and not self.ours and not _US.match(self.refusal)
        self.finish(Outcome.BOUNCED if hard else Outcome.DEFERRED, self.refusal)

    def text(self) -> bytes:
        """Return the message as it goes over the wire: dots stuffed, ended by a dot (RFC 5321 §4.5.2)."""
        text = self.message.message
        if b"\r\n." in text:
            text = text.replace(b"\r\n.", b"\r\n..")
        if text[:1] == b".":
            text = b"." + text
        return text + (b".\r\n" if text[-2:] == b"\r\n" else b"\r\n.\r\n")


def argument(text: str) -> str:
    """Return an address that may stand between ``<`` and ``>`` in a command.

    Raises:
        InputError: it holds a control character, a space or an angle bracket (command injection).
    """
    if _UNSAFE.search(text) or len(text) > 320:
        raise InputError("expected an address without spaces, brackets and control characters, found one with them")
    return text


def short(code: int, line: bytes) -> str:
    """Return reply and enhanced status code; never the relay's words, which may hold an address."""
    status = _STATUS.match(line, 4)
    return f"{code} {status[0].decode()}" if status else str(code)
