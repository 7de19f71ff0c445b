"""Postfix and opendkim with the configuration of docs/mail.md, in a folder of their own, on ports of their own."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relay import kept_port

PAGE = Path(__file__).parents[2] / "docs/mail.md"
POSTFIX = shutil.which("postfix") or "/usr/sbin/postfix"
OPENDKIM = shutil.which("opendkim") or "/usr/sbin/opendkim"
SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def missing() -> str | None:
    """Why the relay cannot run here; ``None`` = it can."""
    if os.geteuid() != 0:
        return "Postfix starts as root only"
    absent = [name for name in (POSTFIX, OPENDKIM, "/usr/sbin/opendkim-genkey") if not Path(name).exists()]
    return f"not on this machine: {', '.join(absent)}" if absent else None


def block(after: str) -> str:
    """Return the code block of docs/mail.md that follows a file's name."""
    text = PAGE.read_text(encoding="utf-8")
    return re.search(r"```\w*\n(.*?)```", text[text.index(f"`{after}`:") :], re.DOTALL)[1]


@dataclass(frozen=True, slots=True)
class Running:
    """A relay that runs."""

    port: int
    folder: Path
    record: str
    """The public key as it would stand in the DNS."""

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""


@contextmanager
def relay(workspace: Path, sink: int) -> Iterator[Running]:
    """Run the relay; everything that is not ours goes to the sink's port. Stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="demur-relay-", dir="/var/tmp"))
    folder.chmod(0o755)
    with kept_port() as port, kept_port() as milter:
        signer = None
        try:
            signer = _start_signer(folder, milter)
            _configure(folder, workspace, port, milter, sink)
            subprocess.run([POSTFIX, "-c", folder / "etc", "start"], check=True, capture_output=True)
            _wait_for(port, folder)
            record = (folder / "demur.txt").read_text()
            yield Running(port, folder, "".join(re.findall(r'"([^"]*)"', record)))
        finally:
            if (folder / "etc").exists():
                subprocess.run([POSTFIX, "-c", folder / "etc", "stop"], check=False, capture_output=True)
            if signer is not None:
                signer.terminate()
                signer.wait(60)
            shutil.rmtree(folder, ignore_errors=True)


def _start_signer(folder: Path, port: int) -> subprocess.Popen[bytes]:
    make = ["/usr/sbin/opendkim-genkey", "--bits=2048", "--domain=agora.example", "--selector=demur"]
    subprocess.run([*make, f"--directory={folder}"], check=True, capture_output=True)
    told = block("/etc/opendkim.conf").replace("8891", str(port))
    told = told.replace("/etc/dkimkeys/demur.private", str(folder / "demur.private"))
    # Only for the test: the folder lies beside folders that everybody may write into.
    (folder / "opendkim.conf").write_text(told + "RequireSafeKeys no\n")
    signer = subprocess.Popen([OPENDKIM, "-f", "-x", folder / "opendkim.conf"], stderr=subprocess.PIPE)
    _wait_for(port, folder)
    return signer


def _configure(folder: Path, workspace: Path, port: int, milter: int, sink: int) -> None:
    etc = folder / "etc"
    etc.mkdir()
    for name in ("queue", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    (etc / "master.cf").write_text(SERVICES.format(port=port))
    (etc / "demur-bounces").write_text(block("/etc/postfix/demur-bounces"))
    told = block("/etc/postfix/main.cf").replace("8891", str(milter)).replace("990", str(workspace.stat().st_uid))
    told = told.replace("/var/lib/demur", str(workspace)).replace("/etc/postfix", str(etc))
    told = told.replace("virtual_minimum_uid = 100", "virtual_minimum_uid = 1")
    only_here = {
        "queue_directory": folder / "queue",
        "data_directory": folder / "data",
        "command_directory": "/usr/sbin",
        "daemon_directory": "/usr/lib/postfix/sbin",
        "mail_owner": "postfix",
        "setgid_group": "postdrop",
        "maillog_file": folder / "log",
        "maillog_file_prefixes": folder,
        "inet_protocols": "ipv4",
        "relayhost": f"[127.0.0.1]:{sink}",
        "smtp_dns_support_level": "disabled",
        "smtpd_client_connection_count_limit": 0,
        "syslog_name": "demur-test",
    }
    (etc / "main.cf").write_text(told + "".join(f"{name} = {value}\n" for name, value in only_here.items()))


def _wait_for(port: int, folder: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with socket.socket() as one:
            one.settimeout(60)
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    log = folder / "log"
    raise AssertionError(f"nothing answers on port {port}: {log.read_text() if log.exists() else ''}")
