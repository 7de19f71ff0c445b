"""The durable objection POST beside the same framework with a bare fsynced insert; and a storm.

    python benchmarks/bench_objection.py [--seconds 5] [--clients 1,16,64] [--storm 20000]

Real uvicorn processes (uvloop, httptools), loaded by wrk with a list of tokens. *Bare* is Starlette with one route that
inserts a row into SQLite (WAL, synchronous=FULL) and commits, a transaction a request, in a thread, as one would write
it; *inline* is the same on the event loop itself. Ratios are of one run on one machine; wall times are not comparable.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from statistics import quantiles

SITE = Path(__file__).parents[1] / "tests" / "objections" / "objection_site.py"
sys.path.insert(0, str(SITE.parent))

BARE = """
import sqlite3, sys, threading, uvicorn
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Route
local = threading.local()
def base():
    if not hasattr(local, "c"):
        local.c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
        for p in ("journal_mode=WAL", "synchronous=FULL"): local.c.execute(f"PRAGMA {p}")
    return local.c
base().execute("CREATE TABLE IF NOT EXISTS o (token TEXT, at TEXT DEFAULT CURRENT_TIMESTAMP)")
def write(token):
    c = base(); c.execute("BEGIN IMMEDIATE")
    c.execute("INSERT INTO o (token) VALUES (?)", (token,)); c.execute("COMMIT")
def threaded(request):
    write(request.path_params["token"]); return RedirectResponse(request.url.path, 303)
async def inline(request):
    write(request.path_params["token"]); return RedirectResponse(request.url.path, 303)
how = {"bare": threaded, "inline": inline}[sys.argv[3]]
app = Starlette(routes=[Route("/o/{token}", how, methods=["POST"])])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False, lifespan="off")
"""

LUA = """
local file = io.open("TOKENS", "r")
local all = {}
for line in file:lines() do all[#all + 1] = line end
file:close()
local n = 0
function request()
  n = n + 1
  local token = all[(n - 1) % #all + 1]
  return wrk.format("POST", "/o/" .. token, nil, "")
end
function done(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), summary.errors.status, summary.errors.timeout))
end
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(command: list[str], port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command)
    for _ in range(2000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.05)
    raise SystemExit("the site did not start")


def wrk(port: int, clients: int, seconds: float, tokens: Path, folder: Path) -> dict[str, float]:
    script = folder / "post.lua"
    script.write_text(LUA.replace("TOKENS", str(tokens)))
    call = ["wrk", "-t1", f"-c{clients}", f"-d{seconds:g}s", "-s", str(script), f"http://127.0.0.1:{port}"]
    ran = subprocess.run(call, check=False, capture_output=True, text=True)
    told = ran.stdout + ran.stderr
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", told)
    assert found, told
    requests, micros, p50, p99, wrong, late = map(int, found.groups())
    return {"per_s": requests / micros * 1e6, "p50_ms": p50 / 1e3, "p99_ms": p99 / 1e3, "faults": wrong + late}


def run(which: str, clients: int, seconds: float, folder: Path) -> dict[str, float]:
    """Run one server on fresh tables under one load."""
    home = Path(tempfile.mkdtemp(dir=folder))
    port = free_port()
    tokens = home / "tokens"
    if which == "demur":
        shutil.copytree(folder / "home", home / "home")
        shutil.copy(folder / "tokens", tokens)
        server = started([sys.executable, str(SITE), str(home / "home"), str(port)], port)
    else:
        shutil.copy(folder / "tokens", tokens)
        server = started([sys.executable, "-c", BARE, str(home / "bare.db"), str(port), which], port)
    try:
        return wrk(port, clients, seconds, tokens, home)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(home, ignore_errors=True)


def prepare(folder: Path, people: int) -> None:
    from objection_site import tell

    from demur.store import Workspace
    from demur.store.links import LinkPurpose
    from demur.wiring import open_service

    with open_service(Workspace(folder / "home")) as service:
        tell(service, people)
        links = (service.links.token(LinkPurpose.OBJECT, number) for number in range(1, people + 1))
        (folder / "tokens").write_text("\n".join(links) + "\n")


def side_by_side(folder: Path, clients: list[int], seconds: float) -> None:
    for count in clients:
        found = {which: run(which, count, seconds, folder) for which in ("bare", "inline", "demur")}
        again = run("bare", count, seconds, folder)  # the machine's load changes: bare before and after
        bare = (found["bare"]["per_s"] + again["per_s"]) / 2
        told = {which: {name: round(value, 2) for name, value in facts.items()} for which, facts in found.items()}
        told["ratio_to_bare"] = round(found["demur"]["per_s"] / bare, 2)
        told["ratio_to_inline"] = round(found["demur"]["per_s"] / found["inline"]["per_s"], 2)
        print(json.dumps({"clients": count, **told}), flush=True)


def storm(folder: Path, requests: int, people: int) -> None:
    """Send genuine, repeated and forged objections at once; look at pages meanwhile; count what was kept."""
    genuine = (folder / "tokens").read_text().split()
    home = Path(tempfile.mkdtemp(dir=folder))
    shutil.copytree(folder / "home", home / "home")
    mixed = []
    for number in range(requests):
        token = genuine[number % len(genuine)] if number % 4 else f"A{number:031d}"[:32]
        mixed.append(token)
    port = free_port()
    server = started([sys.executable, str(SITE), str(home / "home"), str(port)], port)
    looks: list[float] = []
    over = threading.Event()

    def look() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        while not over.is_set():
            begin = time.perf_counter()
            connection.request("GET", f"/o/{genuine[0]}")
            connection.getresponse().read()
            looks.append(time.perf_counter() - begin)
            time.sleep(0.05)

    counts: dict[int, int] = {}

    def press(part: list[str]) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        for token in part:
            connection.request("POST", f"/o/{token}", headers={"content-length": "0"})
            answer = connection.getresponse()
            answer.read()
            counts[answer.status] = counts.get(answer.status, 0) + 1

    watching = threading.Thread(target=look)
    watching.start()
    begin = time.perf_counter()
    threads = [threading.Thread(target=press, args=(mixed[n::32],)) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - begin
    over.set()
    watching.join()
    server.terminate()
    server.wait()
    kept = kept_in(home / "home")
    wanted = {f"k:p{genuine.index(one) + 1}" for one in set(mixed) & set(genuine)} if people <= 5000 else None
    told = {
        "requests": requests, "genuine_people": len(set(mixed) & set(genuine)), "forged": requests // 4,
        "per_s": round(requests / spent), "answers": counts, "kept": len(kept),
        "all_kept": wanted is None or wanted == kept, "page_p50_ms": round(quantiles(looks, n=100)[49] * 1e3, 1),
        "page_p99_ms": round(quantiles(looks, n=100)[98] * 1e3, 1),
    }  # fmt: skip
    print(json.dumps({"storm": told}), flush=True)


def kept_in(home: Path) -> set[str]:
    from demur.people import place_of
    from demur.store import Workspace
    from demur.wiring import open_service

    found: set[str] = set()
    rows = 0
    with open_service(Workspace(home)) as service:
        after = None
        while page := service.parts.registry.objections_page(after, rows=10_000):
            rows += len(page)
            found |= {str(one.person_id) for one in page}
            after = place_of(page[-1])
    assert rows == len(found), "somebody stands twice"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--clients", default="1,16,64")
    parser.add_argument("--people", type=int, default=100_000, help="different links, so that no POST is a repeat")
    parser.add_argument("--storm", type=int, default=20_000, help="requests in the storm; 0 = none")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="demur-bench-") as name:
        folder = Path(name)
        prepare(folder, options.people)
        side_by_side(folder, [int(one) for one in options.clients.split(",") if one], options.seconds)
        if options.storm:
            shutil.rmtree(folder / "home")
            people = min(5_000, options.people)
            prepare(folder, people)
            storm(folder, options.storm, people)


if __name__ == "__main__":
    main()
