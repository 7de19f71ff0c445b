"""One SMTP connection: greeting, STARTTLS, login, then messages in a pipeline (RFC 5321, 2920, 3207, 4954).

Replies are matched to commands by order only, so this module trusts no connection on which order may be lost: a reply
that nobody asked for, one of a wrong kind, one too many after a 354, or none in time ends the connection, and the
message whose text was out has no result (EVIDENCE §1: the desynchronised client confirms the wrong messages).
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from demur.errors import ConfigError, OutsideError
from demur.notice.smtp_job import Job, argument, short
from demur.terms.notice import Outcome
from demur.terms.site import Relay

_LINE_BYTES = 2048
"""Longest reply line that is believed; RFC 5321 §4.5.3.1.5 says 512."""
_REPLY_LINES = 100


@dataclass(frozen=True, slots=True)
class Times:
    """How long to wait, in seconds (RFC 5321 §4.5.3.2)."""

    connect_s: float = 30.0
    reply_s: float = 300.0
    """For any reply; less than the lease of a delivery."""
    quit_s: float = 2.0


class Pool(Protocol):
    """What a session asks of the channel that owns it."""

    def next(self) -> Job | None:
        """Give the next message."""

    def again(self, job: Job) -> None:
        """Take back a message that was not handed over."""

    def ended(self, session: Session) -> None:
        """Forget the session."""


class _Asked(Enum):
    """What a reply answers."""

    GREETING = "greeting"
    COMMAND = "command"
    RESET = "reset"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    TEXT = "text"
    NOTHING = "nothing"
    """A lone dot after a 354 although the recipient was refused (RFC 2920 §3.1)."""


_ENVELOPE = (_Asked.MAIL, _Asked.RCPT, _Asked.DATA)


async def connected(pool: Pool, relay: Relay, hello: str, tls: ssl.SSLContext | None, times: Times) -> Session:
    """Open a connection and bring it to where messages can be sent.

    Raises:
        OutsideError: no connection, or no proper answers.
        ConfigError: the relay refuses the login or offers no STARTTLS.
    """
    loop = asyncio.get_running_loop()
    session = Session(pool, times)
    try:
        async with asyncio.timeout(times.connect_s):
            await loop.create_connection(lambda: session, relay.host, relay.port)
            await session.greet(relay, argument(hello), tls)
    except (OSError, TimeoutError, ssl.SSLError) as error:
        session.abort()
        raise OutsideError(
            f"cannot reach the relay {relay.host} port {relay.port} ({type(error).__name__}); check [relay] in "
            "site.toml and that it is up: nothing is lost, sending goes on when it is back"
        ) from error
    except BaseException:
        session.abort()
        raise
    return session


class Session(asyncio.Protocol):
    """The connection's state: what was asked and not yet answered, and whose text is out.

    Args:
        pool: where messages come from.
        times: how long to wait.
    """

    def __init__(self, pool: Pool, times: Times) -> None:
        self._pool = pool
        self._times = times
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._lines = 0
        self._asked: deque[_Asked] = deque([_Asked.GREETING])
        self._held: deque[tuple[_Asked, bytes]] = deque()
        self._answer: asyncio.Future[tuple[int, list[str]]] = self._loop.create_future()
        self._collected: list[str] = []
        self._envelope: Job | None = None
        self._out: Job | None = None
        self._bulk = False
        self._pipelining = self._eight_bit = self._utf8 = False
        self._size = 0
        self._heard_at = 0.0
        self._watch: asyncio.TimerHandle | None = None

    # --- setting up: one command at a time ---------------------------------------------------------------------

    async def greet(self, relay: Relay, hello: str, tls: ssl.SSLContext | None) -> None:
        """Read the greeting, learn what the relay can do, go to TLS, log in."""
        self._expect(await self._answer, 220, "a greeting")
        offered = await self._ehlo(hello)
        if relay.starttls:
            if "STARTTLS" not in offered:
                raise ConfigError(f"expected STARTTLS of the relay {relay.host}, found none; see [relay] in site.toml")
            self._expect(await self._command("STARTTLS"), 220, "STARTTLS")
            await self._to_tls(tls or ssl.create_default_context(), relay.host)
            offered = await self._ehlo(hello)  # RFC 3207 §4.2: forget what was said before
        if relay.user:
            await self._log_in(relay, offered)
        self._pipelining = "PIPELINING" in offered
        self._eight_bit = "8BITMIME" in offered
        self._utf8 = "SMTPUTF8" in offered
        self._size = int(size) if (size := offered.get("SIZE", "0")).isdecimal() else 0
        if self._transport is None:
            raise OutsideError("the relay closed the connection; look into its log")
        self._bulk = True
        self._heard_at = self._loop.time()
        self._watch = self._loop.call_later(self._times.reply_s / 4, self._look)

    async def _ehlo(self, hello: str) -> dict[str, str]:
        lines = self._expect(await self._command(f"EHLO {hello}"), 250, "EHLO")
        offered = (line.partition(" ") for line in lines[1:])
        return {word.upper(): rest for word, _, rest in offered}

    async def _to_tls(self, tls: ssl.SSLContext, host: str) -> None:
        # RFC 3207 §6: what came in the clear must not be read as said under TLS
        if self._buffer or self._transport is None:
            raise OutsideError("the relay's answer to STARTTLS has words after it; somebody may be between: not sent")
        self._transport = await self._loop.start_tls(self._transport, self, tls, server_hostname=host)
        self._buffer = b""

    async def _log_in(self, relay: Relay, offered: dict[str, str]) -> None:
        if not relay.starttls and relay.host not in {"127.0.0.1", "::1", "localhost"}:
            raise ConfigError("expected starttls = true in [relay] where a password is sent over a network")
        if "PLAIN" not in offered.get("AUTH", "").upper().split():
            raise ConfigError(f"expected AUTH PLAIN of the relay {relay.host}, found none; remove user from [relay]")
        secret = base64.b64encode(f"\0{relay.user}\0{relay.password}".encode()).decode()
        code, _ = await self._command(f"AUTH PLAIN {secret}")
        if code != 235:
            raise ConfigError(f"the relay {relay.host} refuses the login ({code}); check [relay] in site.toml")

    async def _command(self, line: str) -> tuple[int, list[str]]:
        if self._transport is None:
            raise OutsideError("the relay closed the connection; look into its log")
        self._answer = self._loop.create_future()
        self._asked.append(_Asked.COMMAND)
        self._write(line.encode("ascii") + b"\r\n")
        return await self._answer

    def _expect(self, answer: tuple[int, list[str]], code: int, what: str) -> list[str]:
        if answer[0] != code:
            raise OutsideError(f"expected {code} of the relay for {what}, found {answer[0]}; look into its log")
        return answer[1]

    # --- messages ------------------------------------------------------------------------------------------------

    def work(self) -> None:
        """Begin the next message when nothing is going on."""
        if self._bulk and self._envelope is None and self._out is None and not self._asked:
            command = self._begin()
            if command:
                self._write(command)

    def _begin(self, reset: bytes = b"") -> bytes:
        """Take the next message this relay can carry; return the commands that may be sent now."""
        while (job := self._pool.next()) is not None:
            options = self._options(job)
            if options is None:
                continue
            self._envelope = job
            if self._pipelining and not reset:
                self._asked.extend(_ENVELOPE)
                return f"MAIL FROM:<{job.path}>{options}\r\nRCPT TO:<{job.to}>\r\nDATA\r\n".encode()
            if reset:
                self._held.append((_Asked.RESET, reset))
            self._held.append((_Asked.MAIL, f"MAIL FROM:<{job.path}>{options}\r\n".encode()))
            self._held.append((_Asked.RCPT, f"RCPT TO:<{job.to}>\r\n".encode()))
            self._held.append((_Asked.DATA, b"DATA\r\n"))
            return self._release()
        if reset:
            self._held.append((_Asked.RESET, reset))
        return self._release()

    def _release(self) -> bytes:
        """Return the commands that may go now: all with PIPELINING, else one when nothing is unanswered."""
        if self._pipelining:
            out = b"".join([line for _, line in self._held])
            self._asked.extend([asked for asked, _ in self._held])
            self._held.clear()
            return out
        if self._asked or not self._held:
            return b""
        asked, line = self._held.popleft()
        self._asked.append(asked)
        return line

    def _options(self, job: Job) -> str | None:
        """Return the parameters of MAIL; ``None`` when this relay cannot carry the message, which is told."""
        size = len(job.message.message)
        if self._size and size > self._size:
            job.finish(Outcome.BOUNCED, "552 5.3.4")  # RFC 1870 §6.1
            return None
        options = ""
        if not job.message.message.isascii():
            if not self._eight_bit:
                job.finish(Outcome.BOUNCED, "554 5.6.3")  # RFC 6152 §3: conversion is not ours
                return None
            options = " BODY=8BITMIME"
        if not (job.to.isascii() and job.path.isascii()):
            if not self._utf8:
                job.finish(Outcome.BOUNCED, "553 5.6.7")  # RFC 6531 §3.5
                return None
            options += " SMTPUTF8"
        return options

    # --- replies -------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Cut what came into replies and match them to what was asked."""
        self._heard_at = self._loop.time()
        if self._usual(data):
            return
        buffer = self._buffer + data if self._buffer else data
        begin = 0
        while (end := buffer.find(b"\n", begin)) >= 0:
            line = buffer[begin:end]
            begin = end + 1
            self._buffer = buffer[begin:] if begin < len(buffer) else b""
            if not self._line(line):
                return
        if begin:
            buffer = buffer[begin:]
        self._buffer = buffer
        if len(buffer) > _LINE_BYTES:
            self.abort()

    def _usual(self, data: bytes) -> bool:
        """Take the usual answer in one step: text accepted, next envelope accepted, 354; ``False`` = look closely."""
        if len(self._asked) != 4 or self._out is None or self._envelope is None or self._buffer or self._lines:
            return False
        lines = data.split(b"\r\n")
        if len(lines) != 5 or lines[4] or self._asked[0] is not _Asked.TEXT or self._asked[3] is not _Asked.DATA:
            return False
        text, sender, recipient, ready, _ = lines
        if not text[:4] == sender[:4] == recipient[:4] == b"250 " or ready[:4] != b"354 ":
            return False
        out, envelope = self._out, self._envelope
        self._asked.clear()
        self._asked.append(_Asked.TEXT)
        self._out, self._envelope = envelope, None
        self._write(envelope.text() + self._begin())
        out.finish(Outcome.ACCEPTED, short(250, text))
        return True

    def _line(self, line: bytes) -> bool:
        """Take one line; ``False`` = the connection has ended."""
        code = line[:3]
        if not (code.isdigit() and b"2" <= code[:1] <= b"5") or line[3:4] not in {b" ", b"-", b"\r", b""}:
            self.abort()
            return False
        if not self._bulk:
            self._collected.append(line[4:].decode("ascii", "replace").strip())
        if line[3:4] == b"-":
            self._lines += 1
            if self._lines > _REPLY_LINES:
                self.abort()
            return self._transport is not None
        self._lines = 0
        self._reply(int(code), line)
        return self._transport is not None

    def _reply(self, code: int, line: bytes) -> None:
        if not self._asked:
            self.abort()  # nobody asked; also a 421 at rest
            return
        asked = self._asked.popleft()
        if asked is _Asked.GREETING or asked is _Asked.COMMAND:
            self._told(code)
        elif asked is _Asked.TEXT:
            self._text_answered(code, line)
        elif code == 421:  # RFC 5321 §3.8: the relay is closing; what is not out goes over another connection
            self.abort()
        elif asked is _Asked.DATA:
            self._data_answered(code, line)
        elif asked is _Asked.RESET:
            self._go_on(well=code == 250)
        elif asked is _Asked.NOTHING:
            self._go_on(well=code != 354)
            self._refuse()
        else:
            self._envelope_answered(asked, code, line)

    def _told(self, code: int) -> None:
        lines, self._collected = self._collected, []
        if not self._answer.done():
            self._answer.set_result((code, lines))

    def _envelope_answered(self, asked: _Asked, code: int, line: bytes) -> None:
        job = self._envelope
        if job is None or 300 <= code < 400:
            self.abort()
            return
        if code >= 400 and not job.refusal:
            # A sender that is refused says nothing of the person: put off, and somebody looks into the relay's log.
            job.refusal, job.ours = short(code, line), asked is _Asked.MAIL
        if job.refusal and not self._pipelining:
            self._held.clear()
            self._refuse()
        else:
            self._go_on(well=True)

    def _data_answered(self, code: int, line: bytes) -> None:
        job = self._envelope
        if job is None or code < 300 or (code < 400 and code != 354):
            self.abort()
        elif code != 354:
            if not job.refusal:
                job.refusal, job.ours = short(code, line), True
            self._refuse()
        elif self._buffer or self._asked:  # an answer to what was not asked yet
            self.abort()
        elif job.refusal:
            self._asked.append(_Asked.NOTHING)
            self._write(b".\r\n")
        else:
            self._out, self._envelope = job, None
            self._asked.append(_Asked.TEXT)
            text = job.text()
            self._write(text + self._begin() if self._pipelining else text)

    def _text_answered(self, code: int, line: bytes) -> None:
        job, self._out = self._out, None
        if job is None or 300 <= code < 400:
            self._out = job
            self.abort()
            return
        if code < 300:
            job.finish(Outcome.ACCEPTED, short(code, line))
        else:
            job.refusal = short(code, line)
            job.refused()
        if code == 421:
            self.abort()
        elif self._envelope is None:
            self.work()

    def _refuse(self) -> None:
        """End a refused message, and clear the relay's half-made transaction before the next one."""
        job, self._envelope = self._envelope, None
        if job is not None and self._transport is not None:
            job.refused()
            self._write(self._begin(reset=b"RSET\r\n"))

    def _go_on(self, *, well: bool) -> None:
        if not well:
            self.abort()
            return
        command = self._release()
        if command:
            self._write(command)
        elif not self._asked and self._envelope is None:
            self.work()

    # --- the connection ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio calls this; under TLS it is called again)."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]  # uvloop's transport is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        """Sort what was under way: text out = unknown, envelope only = another connection."""
        _ = exc
        self._transport = None
        self._end()

    def abort(self) -> None:
        """End the connection at once; nothing that comes later is read."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._end()

    async def quit(self) -> None:
        """Say goodbye when nothing is under way; else just end."""
        if self._transport is not None and self._bulk and not self._asked and self._out is None:
            self._bulk = False
            try:
                async with asyncio.timeout(self._times.quit_s):
                    await self._command("QUIT")
            except (OutsideError, TimeoutError):
                pass
        self.abort()

    def _write(self, out: bytes) -> None:
        if out and self._transport is not None:
            self._transport.write(out)

    def _look(self) -> None:
        """Look whether a reply is overdue."""
        if self._transport is None:
            return
        if self._asked and self._loop.time() - self._heard_at > self._times.reply_s:
            self.abort()
            return
        if not self._asked:
            self._heard_at = self._loop.time()
        self._watch = self._loop.call_later(self._times.reply_s / 4, self._look)

    def _end(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if not self._answer.done():
            self._answer.set_exception(OutsideError("the relay closed the connection; look into its log"))
            self._answer.exception()  # seen, also when nobody waits for it any more
        self._asked.clear()
        self._held.clear()
        out, self._out = self._out, None
        envelope, self._envelope = self._envelope, None
        if out is not None:
            out.done(None)
        if envelope is not None:
            self._pool.again(envelope)
        if self._bulk:
            self._bulk = False
            self._pool.ended(self)
