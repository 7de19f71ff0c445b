"""Which process holds a lease, and whether it is gone: so that a killed worker's rows come back at once.

A worker's name is host, process namespace, process number and its start; a number that was given to another process
has another start. Of other machines nothing can be said: their leases run out.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path


def this_worker() -> str:
    """Return the name of this process."""
    return f"{_here()}/{os.getpid()}/{_start(os.getpid()) or 0}"


def is_gone(worker: str) -> bool:
    """Whether a worker of this machine has ended; ``False`` for all that cannot be known."""
    here, _, rest = worker.partition("/pid/")
    number, start, *_ = [*rest.split("/"), "", ""]  # a name may go on, with a thread
    if f"{here}/pid" != _here() or not number.isdecimal() or start in {"", "0"}:
        return False
    return _start(int(number)) != start


def _here() -> str:
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        namespace = "unknown"
    return f"{socket.gethostname()}/{namespace}/pid"


def _start(number: int) -> str | None:
    """Return when a process began, in clock ticks since the machine began (proc(5), field 22)."""
    try:
        status = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = status.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else fields[19]
