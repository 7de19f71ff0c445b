"""kill -9 a hundred times in a campaign of 50,000: who was missed, who got two, and does the ledger know.

    python benchmarks/bench_kills.py [--people 50000] [--kills 100] [--connections 8]

The sink writes down every message that it takes (its return path names delivery and try) before it says 250. A worker
is a process of its own with the whole path: lease, render, ledger, SMTP. It is killed in the middle, by SIGKILL, at no
particular point; the next one goes on at once. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).parent))
from bench_campaign import campaign, installation
from demur.flows.send import HANDED, send
from demur.notice.deliveries import Deliveries

PATH = re.compile(rb"MAIL FROM:<b-(\d+)-(\d+)-", re.I)


class Taking(asyncio.Protocol):
    """A relay that takes everything and writes it down."""

    def __init__(self, log: Any, count: Any) -> None:
        self.log, self.count, self.buffer, self.text, self.path = log, count, b"", False, (0, 0)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        out = []
        while True:
            if self.text:
                end = self.buffer.find(b"\r\n.\r\n")
                if end < 0:
                    break
                self.buffer, self.text = self.buffer[end + 5 :], False
                self.log.write(f"{self.path[0]} {self.path[1]}\n")
                self.log.flush()
                self.count.value += 1
                out.append(b"250 2.0.0 taken\r\n")
                continue
            end = self.buffer.find(b"\r\n")
            if end < 0:
                break
            line, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
            if found := PATH.match(line):
                self.path = (int(found[1]), int(found[2]))
            self.text = line == b"DATA"
            out.append(b"354 go on\r\n" if self.text else b"250-sink\r\n250 PIPELINING\r\n" if line[:4] == b"EHLO"
                       else b"250 2.1.0 ok\r\n")  # fmt: skip
        self.transport.write(b"".join(out))


def sink(log: Path, count: Any, port: Any) -> None:
    """Serve until killed."""

    async def serve() -> None:
        with log.open("w") as out:
            server = await asyncio.get_running_loop().create_server(lambda: Taking(out, count), "127.0.0.1", 0)
            port.value = server.sockets[0].getsockname()[1]
            await server.serve_forever()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


def work(home: Path, port: int, connections: int) -> None:
    """Send until nothing is due."""
    with installation(home, port, connections) as service:
        send(service)


def main() -> None:
    """Kill and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=50_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--connections", type=int, default=8)
    told = parser.parse_args()
    fork = multiprocessing.get_context("fork")
    count, port = fork.Value("q", 0), fork.Value("i", 0)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        log, home = Path(folder) / "taken", Path(folder) / "home"
        relay = fork.Process(target=sink, args=(log, count, port), daemon=True)
        relay.start()
        while not port.value:
            time.sleep(0.01)
        with installation(home, port.value, told.connections) as service:
            campaign(service, "c", told.people)
        kills, by_kill = 0, []
        while True:
            worker = fork.Process(target=work, args=(home, port.value, told.connections))
            worker.start()
            if kills < told.kills:
                goal = count.value + told.people // (told.kills + 1)
                while count.value < goal and worker.is_alive():
                    time.sleep(0.0005 + kills % 7 / 2000)
                assert worker.pid is not None
                os.kill(worker.pid, signal.SIGKILL)
                kills += 1
                worker.join()
                by_kill.append(repeated(log))
                continue
            worker.join()
            break
        taken = tries(log)
        relay.kill()
        relay.join()
        with installation(home, port.value, told.connections) as service:
            ledger = Deliveries(service.notice, bytes(32))
            named = {one.number for one in ledger.possible_duplicates("c")}
            states = {state.value: people for state, people in ledger.counts("c").items() if people}
    got = collections.Counter(number for number, _ in taken)
    doubles = {number for number, times in got.items() if times > 1}
    steps = [after - before for before, after in zip([0, *by_kill], [*by_kill, repeated_of(taken)], strict=False)]
    print(json.dumps({
        "people": told.people, "kills": kills, "missed": told.people - len(got),
        "messages_taken_twice": len(taken) - len(got), "most_between_two_kills": max(steps),
        "mean_a_kill": round((len(taken) - len(got)) / max(kills, 1), 1),
        "connections": told.connections, "allowed_on_the_wire": told.connections * HANDED,
        "named_by_the_ledger": len(named), "doubles_that_the_ledger_missed": len(doubles - named),
        "states": states, "seconds": round(time.monotonic() - begun, 1),
    }, indent=1))  # fmt: skip


def tries(log: Path) -> list[tuple[int, int]]:
    """Return (delivery, try) of every message taken."""
    lines = log.read_text().splitlines()
    return [(int(number), int(attempt)) for number, attempt in (line.split() for line in lines)]


def repeated(log: Path) -> int:
    """Return how many messages were taken beyond the first of each delivery."""
    return repeated_of(tries(log))


def repeated_of(taken: list[tuple[int, int]]) -> int:
    """Return how many messages there are beyond the first of each delivery."""
    return len(taken) - len({number for number, _ in taken})


if __name__ == "__main__":
    main()
