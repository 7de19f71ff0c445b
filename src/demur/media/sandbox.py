"""Shut a process in: after this call it can read and write what is open, take memory, and nothing else (SEC-07).

Limits hold on every POSIX system. On Linux (x86-64, arm64) the kernel answers every other system call with "not
permitted": no file can be opened, no socket made, no program started, no process looked at. Called once, by a worker,
when all that it needs is loaded. Source: seccomp(2), prctl(2), setrlimit(2); numbers of the calls: the kernel's tables.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import resource
import struct
import sys
from pathlib import Path

_CALLS: dict[str, tuple[int, int]] = {  # name → number on x86_64, on aarch64; -1 = not there
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "poll": (7, -1),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "readv": (19, 65),
    "writev": (20, 66),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "exit": (60, 93),
    "gettimeofday": (96, 169),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "times": (100, 153),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "tgkill": (234, 131),
    "ppoll": (271, 73),
    "set_robust_list": (273, 99),
    "getcpu": (309, 168),
    "getrandom": (318, 278),
    "membarrier": (324, 283),
    "rseq": (334, 293),
}
_CLONE, _CLONE3, _SECCOMP = (56, 220), (435, 435), (317, 277)
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_CLONE_THREAD = 0x10000
_LOAD, _EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38


def shut(memory_bytes: int) -> list[str]:
    """Shut this process in for good and return what holds from now on: ``limits``, ``syscalls``.

    Args:
        memory_bytes: what it may take beyond what it has.
    """
    for limit, value in (
        (resource.RLIMIT_AS, _size_bytes() + memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 0),  # no file, no socket, no pipe can be opened; what is open stays open
    ):
        resource.setrlimit(limit, (value, value))
    return ["limits", "syscalls"] if _only_these_calls() else ["limits"]


def _size_bytes() -> int:
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 4 * 2**30


def _only_these_calls() -> bool:
    if sys.platform != "linux" or platform.machine() not in _ARCHITECTURES:
        return False
    column, architecture = _ARCHITECTURES[platform.machine()]
    program = _program(column, architecture)
    instructions = ctypes.create_string_buffer(program, len(program))
    filters = struct.pack("@HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    # mode 1 = filter; flag 1 = all threads of this process
    return bool(libc.syscall(_SECCOMP[column], 1, 1, ctypes.create_string_buffer(filters, len(filters))) == 0)


def _program(column: int, architecture: int) -> bytes:
    """Return the filter: allowed calls, threads but no processes, ENOSYS for clone3 so that clone is asked instead."""
    numbers = sorted(number[column] for number in _CALLS.values() if number[column] >= 0)
    lines: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
        (_LOAD, 0, 0, 0),
    ]
    for place, number in enumerate(numbers):
        lines.append((_EQUAL, len(numbers) - place + 5, 0, number))
    lines += [
        (_EQUAL, 0, 1, _CLONE3[column]),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
        (_EQUAL, 0, 4, _CLONE[column]),
        (_LOAD, 0, 0, 16),  # its flags
        (_AND, 0, 0, _CLONE_THREAD),
        (_EQUAL, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
    ]
    return b"".join(struct.pack("@HBBI", *line) for line in lines)
