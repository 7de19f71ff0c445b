"""Run stages on a Ray cluster over folders that every worker sees; the same commit record says that one is done.

A stage works in a folder of its own, ``.<name>.<random>``, which takes the stage's name when it has its commit record:
so a worker that was taken for dead and goes on can spoil nothing, and a stage that is there is whole. A stage whose
worker dies is run again elsewhere. Before it starts, a worker shows that it has the same demur, libraries and folders
as who asks: another version, or an unshared folder of keys, would give another corpus without a word.

Only names of functions, paths and settings travel through Ray; texts and keys stay in the shared folders. Does not
start a cluster and copies no files (docs/cluster.md).
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import secrets
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from demur import errors
from demur.errors import BrokenError, ConfigError, OutsideError
from demur.store.files import COMMIT, digest_json, read_commit, remove_tree, write_json
from demur.store.stage import alive, understood

RETRIES = 3
"""How often a stage is run again because its worker died."""
SEEN_WITHIN_SECONDS = 90
"""How long a worker waits for what others wrote: a network file system may show it late (NFS ``acdirmax`` is 60 s)."""

REACHED_WITHIN_SECONDS = 10


class Cluster:
    """A runner of stages (``StageRunner``) on a Ray cluster; a context, since it holds a connection.

    Args:
        address: where the cluster's head listens, ``HOST:PORT`` or ``auto``. The token is Ray's own affair
            (``RAY_AUTH_MODE=token`` and ``RAY_AUTH_TOKEN`` or ``RAY_AUTH_TOKEN_PATH``).

    Raises:
        ConfigError: Ray is not installed, or the connection is not protected by a token.
        OutsideError: nobody answers there.
    """

    def __init__(self, address: str) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if importlib.util.find_spec("ray") is None:
            raise ConfigError("expected Ray for a cluster, found none; install demur[cluster]")
        if os.environ.get("RAY_AUTH_MODE") != "token":
            raise ConfigError(
                "expected a cluster that asks for a token, found RAY_AUTH_MODE unset: whoever reaches its port runs"
                " code as you; set RAY_AUTH_MODE=token everywhere (docs/cluster.md)"
            )
        _reach(address)
        import ray

        try:
            ray.init(address=address, logging_level="ERROR", log_to_driver=False, configure_logging=False)
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise OutsideError(
                f"no Ray cluster answers at {address} ({type(error).__name__}); check the address and the token"
            ) from error
        self._ray = ray
        # a fresh worker process for every stage, as with run_stage: nothing is left in memory, a crash hurts nobody
        self._work = ray.remote(num_cpus=1, max_calls=1, max_retries=RETRIES)(_work)

    def __enter__(self) -> Cluster:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the cluster; it goes on without us."""
        self._ray.shutdown()

    @property
    def workers(self) -> int:
        """How many stages run side by side: one a CPU of the cluster."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def __call__(self, target: str, folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run ``module:function`` into ``folder`` unless it has been run with the same arguments; return its facts.

        Raises:
            DemurError: what the stage raised.
            ConfigError: a worker has another installation or does not see the folders, or their path is relative.
            OutsideError: workers died too often, or the cluster is gone.
        """
        if not folder.is_absolute():
            raise ConfigError("expected a workspace named by its whole path, found a relative one; name it from /")
        done = read_commit(folder)
        if done is not None and done.get("call") == _call(target, arguments):
            return done
        remove_tree(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        seen = {path: glance(Path(path)) for path in sorted({*_paths(arguments)}) if Path(path).exists()}
        seen[str(folder.parent)] = None
        asked = self._work.options(name=folder.name).remote(target, str(folder), arguments, seen, installation())
        try:
            told = self._ray.get(asked)
        except self._ray.exceptions.OutOfMemoryError as error:
            raise OutsideError(f"workers had too little memory for the stage {target}; give them more") from error
        except (self._ray.exceptions.RayError, ConnectionError) as error:
            raise OutsideError(
                f"the stage {target} was lost on the cluster ({type(error).__name__}, {RETRIES} retries); what is done"
                " stays done: look after the workers and run the same command again"
            ) from error
        if "fault" in told:
            kind = getattr(errors, told["fault"], BrokenError)
            raise kind(told["message"], told["faults"])
        _await({str(folder / COMMIT): None})
        facts: dict[str, Any] = told["facts"]
        return facts


def _reach(address: str) -> None:
    """Look whether anybody listens there: Ray itself tries for many minutes.

    Raises:
        OutsideError: nobody does.
    """
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return  # ``auto``
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACHED_WITHIN_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise OutsideError(
            f"no Ray cluster answers at {address} ({type(error).__name__}); check the address and that it runs"
        ) from error


def _call(target: str, arguments: dict[str, Any]) -> str:
    return digest_json({"target": target, "arguments": arguments})


def _work(
    target: str, folder: str, arguments: dict[str, Any], seen: dict[str, str | None], asked_by: str
) -> dict[str, Any]:
    """Run a stage on a worker; an error is told in plain words, since errors of others do not travel."""
    try:
        _agree(asked_by)
        _await(seen)
        return {"facts": run_apart(target, Path(folder), arguments)}
    except Exception as error:
        # a bug or a damaged file: its words may hold what it read
        died = BrokenError(f"the stage {target} died ({type(error).__name__})")
        known = understood(error, Path(folder)) or died
        message = str(known).split("\n", maxsplit=1)[0]
        return {"fault": type(known).__name__, "message": message, "faults": list(known.faults)}


def _agree(asked_by: str) -> None:
    if installation() != asked_by:
        raise ConfigError(
            f"expected the same demur and libraries on every worker, found others on {platform.node()}; install the"
            " same lock file there"
        )


def run_apart(target: str, folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a stage in a folder of its own, then give that the stage's name; whoever is second throws theirs away.

    Raises:
        DemurError: what the stage raised.
        BrokenError: the stage returned without a commit record, or another one stands under its name.
    """
    call = _call(target, arguments)
    apart = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    apart.mkdir()
    try:
        module, function = target.split(":")
        with alive(apart):
            getattr(importlib.import_module(module), function)(apart, **arguments)
        facts = read_commit(apart)
        if facts is not None:
            write_json(apart / COMMIT, {**facts, "call": call})
            with contextlib.suppress(OSError):  # it is there: another run of the same stage was first
                apart.rename(folder)
    finally:
        remove_tree(apart)
    done = read_commit(folder)
    if done is None or done.get("call") != call:
        raise BrokenError(
            f"expected the stage {target} in {folder.name}, found another; two builds share a work folder"
        )
    return done


def _paths(value: Any) -> Iterable[str]:
    """Yield every absolute path among arguments."""
    if isinstance(value, str):
        if value.startswith("/"):
            yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _paths(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _paths(one)


def glance(path: Path) -> str | None:
    """Return a digest of names, sizes and times (seconds) of the files of a folder, or of one file; no contents.

    Two different folders under the same name on two machines differ in it; the same shared one does not.
    """
    try:
        files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
        return digest_json([[one.name, one.stat().st_size, int(one.stat().st_mtime)] for one in files])
    except OSError:
        return None


def _await(seen: dict[str, str | None]) -> None:
    """Wait until everything that a stage reads looks here as it does where it was asked for.

    Raises:
        ConfigError: something is not shared.
    """
    until = time.monotonic() + SEEN_WITHIN_SECONDS
    missing = dict(seen)
    while True:
        missing = {
            path: known
            for path, known in missing.items()
            if not Path(path).exists() or (known is not None and glance(Path(path)) != known)
        }
        if not missing:
            return
        if time.monotonic() > until:
            raise ConfigError(
                f"expected the same shared folders on every worker, found others on {platform.node()}; mount them under"
                " the same paths (docs/cluster.md)",
                sorted(missing),
            )
        time.sleep(0.5)


@functools.cache
def installation() -> str:
    """Return a digest of what decides about bytes: the versions of Python, of demur and of each library it names.

    Two working trees of one version look alike here; a cluster is for releases.
    """
    versions = {}
    for line in ["demur", *(importlib.metadata.requires("demur") or [])]:
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0]
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # of an extra
            versions[name] = importlib.metadata.version(name)
    return digest_json([list(sys.version_info[:3]), platform.machine(), versions])
