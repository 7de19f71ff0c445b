"""Commands about the running site: serve, work."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import click

from demur.cli.frame import Context, guarded, hint, pass_context, show
from demur.cli.look import note
from demur.errors import DemurError

_RESTART_SECONDS = 5.0


@click.command("serve", epilog="Example: demur serve --port 8350")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8350, show_default=True, help="Port to listen on.")
@click.option("--no-work", is_flag=True, help="Only pages; `demur work` runs elsewhere.")
@pass_context
@guarded
def serve(context: Context, host: str, port: int, no_work: bool) -> None:
    """Run the site: notices, objections, requests, the person's page, the console, the API."""
    context.workspace  # noqa: B018  (refuses a mistyped folder)
    run_site(context, host, port, with_work=not no_work)


def run_site(context: Context, host: str, port: int, *, with_work: bool) -> None:
    """Serve until interrupted, with a worker beside it."""
    import uvicorn

    from demur.web.app import build_app
    from demur.wiring import open_service

    with open_service(context.new_workspace) as service, _worker(context) if with_work else contextlib.nullcontext():
        hint(context, f"Serving on http://{host}:{port} (Ctrl-C stops it).")
        config = uvicorn.Config(build_app(service), host=host, port=port, log_level="warning", server_header=False,
                                access_log=False, timeout_graceful_shutdown=5)  # fmt: skip
        with contextlib.suppress(KeyboardInterrupt):  # it raises it again once everything is stopped
            uvicorn.Server(config).run()


@contextlib.contextmanager
def _worker(context: Context) -> Iterator[None]:
    """Keep one `demur work` running beside the site; one that dies is started again."""
    stop = threading.Event()
    child: list[subprocess.Popen[bytes]] = []

    def keep() -> None:
        command = [sys.executable, "-m", "demur", "--home", str(context.home), "work", "--parent", str(os.getpid())]
        while not stop.is_set():
            process = subprocess.Popen(command)  # noqa: S603  (ourselves)
            child[:] = [process]
            process.wait()
            stop.wait(_RESTART_SECONDS)

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        for process in child:
            process.terminate()
        thread.join(timeout=10)


@click.command("work", epilog="Examples: demur work    demur work --once")
@click.option("--once", is_flag=True, help="Stop when there is nothing left to do.")
@click.option("--parent", type=int, default=None, help="Stop when this process, the site, is gone.")
@pass_context
@guarded
def work(context: Context, once: bool, parent: int | None) -> None:
    """Send notices and letters, settle, enrol, honour objections: the work behind the pages."""
    from demur.flows.work import work as run
    from demur.wiring import open_service

    stopped = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopped.set())
    counts: dict[str, int] = {}

    def told(name: str, done: int, error: Exception | None) -> None:
        counts[name] = counts.get(name, 0) + done
        if error is not None:
            # Only our own errors are known to name nobody.
            why = f": {str(error).partition(chr(10))[0]}" if isinstance(error, DemurError) else ""
            note(f"demur work: {name} failed ({type(error).__name__}) and is tried again{why}")

    def go_on() -> bool:
        return not stopped.is_set() and (parent is None or os.getppid() == parent)

    begun = time.monotonic()
    with open_service(context.workspace) as service:
        total = run(service, go_on=go_on, told=told, once=once)
    show(context, {"done": total, "steps": counts, "seconds": round(time.monotonic() - begun, 1)})
