"""A relay of our own for tests: takes mail as RFC 5321 says, or misbehaves as the test says; keeps what it took."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

MESSAGE_ID = re.compile(rb"^Message-ID: <([^>]+)>", re.M | re.I)
GREETING = b"220 sink ESMTP\r\n"


class Sink:
    """Answers on 127.0.0.1; every answer can be bent.

    Args:
        offers: EHLO words.
        answer: (command or "text", argument, how many texts before) → reply, or ``None`` for the usual one;
            b"" = say nothing; ``bytes`` that end in b"!" = say it without the mark, then hang up.
        tls: context for STARTTLS.
        delay_s: before each answer to a text.
    """

    def __init__(
        self,
        *,
        offers: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SIZE 100000"),
        answer: Callable[[str, str, int], bytes | None] | None = None,
        tls: ssl.SSLContext | None = None,
        delay_s: float = 0.0,
    ) -> None:
        self.offers = offers
        self.answer = answer or (lambda *_: None)
        self.tls = tls
        self.delay_s = delay_s
        self.port = 0
        self.taken: list[bytes] = []
        self.recipients: list[str] = []
        self.commands: list[str] = []
        self.connections = 0
        self.packets: list[bytes] = []

    def ids(self) -> list[str]:
        return [found[1].decode() for text in self.taken if (found := MESSAGE_ID.search(text))]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError, _HungUp):
            await self._say(writer, "connect", "", GREETING)
            while line := await reader.readline():
                reader, writer = await self._command(line, reader, writer)
        writer.close()

    async def _command(
        self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        text = line.decode().rstrip("\r\n")
        self.commands.append(text)
        verb, _, rest = text.partition(" ")
        verb = verb.upper()
        if verb == "EHLO":
            words = ["sink", *self.offers]
            lines = [f"250{'-' if n < len(words) - 1 else ' '}{word}\r\n" for n, word in enumerate(words)]
            await self._say(writer, verb, rest, "".join(lines).encode())
        elif verb == "STARTTLS":
            await self._say(writer, verb, rest, b"220 go\r\n")
            await writer.start_tls(self.tls)  # type: ignore[arg-type]
        elif verb == "DATA":
            if await self._say(writer, verb, rest, b"354 go on\r\n"):
                await self._text(reader, writer)
        elif verb == "QUIT":
            await self._say(writer, verb, rest, b"221 bye\r\n")
            raise _HungUp
        else:
            if verb == "RCPT":
                self.recipients.append(rest)
            await self._say(writer, verb, rest, b"235 2.7.0 ok\r\n" if verb == "AUTH" else b"250 2.1.0 ok\r\n")
        return reader, writer

    async def _text(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = []
        while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        text = b"".join(lines)
        told = self.answer("text", "", len(self.taken))
        if told is None or told[:1] == b"2":
            self.taken.append(text)
        await self._say(writer, "text", "", b"250 2.0.0 taken\r\n", told=told)

    async def _say(
        self, writer: asyncio.StreamWriter, what: str, rest: str, usual: bytes, *, told: bytes | None = None
    ) -> bool:
        said = told if what == "text" else self.answer(what, rest, len(self.taken))
        said = usual if said is None else said
        hang_up = said.endswith(b"!")
        writer.write(said.removesuffix(b"!"))
        await writer.drain()
        if hang_up:
            raise _HungUp
        return said[:3] == b"354"


class _HungUp(Exception):  # noqa: N818
    pass


@contextmanager
def kept_port() -> Iterator[int]:
    """Give a free port that nobody else is given meanwhile; who names it and allows its reuse may listen there."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
        yield one.getsockname()[1]


@contextmanager
def running(sink: Sink) -> Iterator[Sink]:
    """Serve in a thread of its own until the end of the block."""
    started, loop = threading.Event(), asyncio.new_event_loop()
    servers: list[asyncio.Server] = []

    async def begin() -> None:
        server = await asyncio.start_server(sink.serve, "127.0.0.1", sink.port, limit=1 << 20)
        sink.port = server.sockets[0].getsockname()[1]
        servers.append(server)
        started.set()

    def work() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(begin())
        loop.run_forever()
        servers[0].close()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert started.wait(60)
    try:
        yield sink
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
