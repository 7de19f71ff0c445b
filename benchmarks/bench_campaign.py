"""A campaign over the whole path (lease, render, ledger, SMTP) beside Postfix's smtp-source (C), into smtp-sink.

    python benchmarks/bench_campaign.py [--people 20000] [--connections 8] [--rounds 3]

Both send the same number of messages of the same size over the same number of connections into the same sink, in turns.
The machine may be busy: rates are compared inside a round, and CPU is that of demur's own process. ``pace`` is the time
of a fixed loop of Python beside each round: it tells how slow the machine was meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from demur.clock import micros, now
from demur.flows.parts import keep_policy
from demur.flows.send import send
from demur.flows.service import Service
from demur.notice.campaigns import keep_draft
from demur.notice.deliveries import Deliveries
from demur.notice.schema import CAMPAIGNS, DELIVERIES
from demur.notice.texts import default_texts, keep_texts, read_texts
from demur.store import Workspace
from demur.terms.notice import Campaign
from demur.terms.people import CampaignStatus
from demur.wiring import open_service

LOOP = 1_000_000
LANGUAGES = (
    *("bg", "cs", "cy", "da", "de", "el", "en", "es", "et", "fi", "fr", "ga", "hr", "hu"),
    *("is", "it", "lt", "lv", "mt", "nb", "nl", "nn", "pl", "pt", "ro", "sk", "sl", "sv"),
)


def port() -> int:
    """Return a free port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def sink() -> Iterator[int]:
    """Run smtp-sink; yield its port."""
    free = port()
    command = [shutil.which("smtp-sink") or "/usr/sbin/smtp-sink", "-u", "nobody", f"127.0.0.1:{free}", "1000"]
    with subprocess.Popen(command) as process:
        time.sleep(0.5)
        try:
            yield free
        finally:
            process.terminate()


@contextlib.contextmanager
def installation(root: Path, relay_port: int, connections: int) -> Iterator[Service]:
    """Open a workspace whose relay is on that port."""
    root.mkdir(parents=True, exist_ok=True)
    lines = ["[relay]", 'host = "127.0.0.1"', f"port = {relay_port}", f"connections = {connections}"]
    (root / "site.toml").write_text("\n".join(lines) + "\n")
    with open_service(Workspace(root)) as service:
        yield service


def campaign(service: Service, name: str, people: int) -> list[str]:
    """Freeze a campaign of that many people, in every language that demur ships; return the languages."""
    policy = keep_policy(service.parts.workspace, "demur-strict")
    at = datetime.now(tz=UTC)
    draft = Campaign(
        name, "training", frozenset(), None, ("email",), at + timedelta(days=60), 45, CampaignStatus.DRAFT,
        "demur-strict", policy.digest, "bench", at,
    )  # fmt: skip
    keep_draft(service.notice, draft)
    texts = read_texts(default_texts())
    for tag in LANGUAGES:  # should some not ship yet, the English text stands in
        texts.setdefault(tag, replace(texts["en"], language=tag))
    keep_texts(service.notice, name, texts)
    languages = sorted(texts)
    rows = [
        {
            "campaign_id": name, "person_id": f"{name}-{n}", "country": "DE", "language": languages[n % len(languages)],
            "channel": "email", "address": f"person{n}@d{n % 997}.example", "destination": f"d{n % 997}.example",
            "state": "waiting", "attempt": 0, "not_before": 0, "state_at": micros(at),
        }
        for n in range(people)
    ]  # fmt: skip
    with service.notice.database.writing() as connection:
        connection.execute(DELIVERIES.insert(), rows)
        connection.execute(CAMPAIGNS.update().values(status="running", frozen_at=micros(at)))
    return languages


def loop_us() -> float:
    """Return CPU microseconds of a fixed loop."""
    begun, total = time.process_time(), 0
    for number in range(LOOP):
        total += number
    return (time.process_time() - begun) * 1e6


def demur(people: int, connections: int, relay_port: int, folder: Path) -> dict[str, Any]:
    """Send one campaign; return rate and CPU."""
    with installation(folder, relay_port, connections) as service:
        languages = campaign(service, "c", people)
        before, begun = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        sent = send(service)
        wall = time.monotonic() - begun
        after = resource.getrusage(resource.RUSAGE_SELF)
        user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
        counts = Deliveries(service.notice, bytes(32)).counts("c")
        size = message_bytes(service)
    accepted = next(count for state, count in counts.items() if state == "accepted")
    assert sent.accepted == accepted == people, sent
    return {
        "languages": len(languages),
        "bytes": size,
        "rate": people / wall,
        "cpu_us": (user + system) / people * 1e6,
        "user_us": user / people * 1e6,
        "system_us": system / people * 1e6,
    }


def message_bytes(service: Service) -> int:
    """Return the mean size of the messages, over the languages."""
    from demur.flows.send import _Renderers
    from demur.notice.deliveries import Leased

    renderers, sizes = _Renderers(service), []
    assert renderers.ready("c")
    for number, language in enumerate(sorted(read_texts(default_texts()))):
        row = Leased(number + 1, "c", "p", "DE", language, "email", "person1@d1.example", "d1.example", 1, 0)
        sizes.append(len(renderers.render(row, now()).message))  # type: ignore[union-attr]
    return round(statistics.mean(sizes))


def source(people: int, connections: int, size: int, relay_port: int) -> dict[str, float]:
    """Let smtp-source send as many messages of that size; return rate and CPU."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [
        shutil.which("smtp-source") or "/usr/sbin/smtp-source", "-s", connections, "-m", people, "-l", size,
        "-f", "b@bounces.agora.example", "-t", "person1@d1.example", f"127.0.0.1:{relay_port}",
    ]  # fmt: skip
    subprocess.run([str(part) for part in command], check=True)
    wall = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"rate": people / wall, "cpu_us": cpu / people * 1e6}


def main() -> None:
    """Run rounds and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    told = parser.parse_args()
    rounds = []
    for _ in range(told.rounds):
        with tempfile.TemporaryDirectory() as folder, sink() as relay_port:
            pace = loop_us() / 1000
            ours = demur(told.people, told.connections, relay_port, Path(folder) / "home")
            theirs = source(told.people, told.connections, ours["bytes"], relay_port)
            pace = (pace + loop_us() / 1000) / 2
        ratio = ours["rate"] / theirs["rate"]
        rounds.append({"demur": ours, "smtp_source": theirs, "ratio": ratio, "pace_ms": pace})
        print(json.dumps(rounds[-1]), file=sys.stderr)
    best = min(rounds, key=lambda one: one["demur"]["cpu_us"])
    print(json.dumps({
        "people": told.people, "connections": told.connections, "languages": best["demur"]["languages"],
        "message_bytes": best["demur"]["bytes"],
        "ratio_of_rates": [round(one["ratio"], 2) for one in rounds],
        "cpu_us_a_message": [round(one["demur"]["cpu_us"], 1) for one in rounds],
        "cpu_us_smtp_source": [round(one["smtp_source"]["cpu_us"], 1) for one in rounds],
        "rate_demur": [round(one["demur"]["rate"]) for one in rounds],
        "rate_smtp_source": [round(one["smtp_source"]["rate"]) for one in rounds],
        "pace_ms_of_a_million_additions": [round(one["pace_ms"]) for one in rounds],
    }, indent=1))  # fmt: skip


if __name__ == "__main__":
    main()
