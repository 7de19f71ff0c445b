"""Run a stage in a child process and judge it by its commit record, not by its exit code (EVIDENCE §5a).

A stage is a function ``stage(folder: Path, **arguments) -> None`` that ends with ``commit_record(folder, facts)``.
Arguments are plain JSON values. When the record is already there and was made with the same arguments, nothing runs.
A stage that died is run again once from an empty folder; a ``DemurError`` that it raised is raised here.
"""

from __future__ import annotations

import contextlib
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

from demur import errors
from demur.errors import BrokenError, DemurError
from demur.store.files import digest_json, read_commit, read_json, remove_tree, write_json

_FAULT = "FAULT.json"
_CALL = "CALL.json"


def run_stage(target: str, folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run ``module:function`` into ``folder`` unless it has been run with the same arguments; return its facts.

    Raises:
        DemurError: what the stage raised.
        BrokenError: the stage died twice without a commit record.
    """
    call = digest_json({"target": target, "arguments": arguments})
    done = read_commit(folder)
    if done is not None and done.get("call") == call:
        return done
    for _attempt in range(2):
        remove_tree(folder)
        folder.mkdir(parents=True)
        write_json(folder / _CALL, {"target": target, "arguments": arguments, "call": call})
        finished = subprocess.run(  # noqa: S603  (our own interpreter, our own module)
            [sys.executable, "-m", "demur.store.stage", str(folder)], check=False, stderr=subprocess.PIPE
        )
        done = read_commit(folder)
        if done is not None and done.get("call") == call:
            return done
        if (folder / _FAULT).exists():
            _raise(read_json(folder / _FAULT))
    tail = finished.stderr.decode(errors="replace").strip().splitlines()[-3:]
    raise BrokenError(f"the stage {target} died twice (exit {finished.returncode}); its last words: {' | '.join(tail)}")


def _raise(fault: dict[str, Any]) -> None:
    kind = getattr(errors, fault["type"], BrokenError)
    raise kind(fault["message"], fault["faults"])


def _main(folder: Path) -> int:
    call = read_json(folder / _CALL)
    module, function = call["target"].split(":")
    try:
        facts = getattr(importlib.import_module(module), function)(folder, **call["arguments"])
    except DemurError as error:
        message = str(error).split("\n", maxsplit=1)[0]
        write_json(folder / _FAULT, {"type": type(error).__name__, "message": message, "faults": error.faults})
        return error.exit_code
    assert facts is None, "a stage commits its facts itself"
    done = read_commit(folder)
    if done is None:
        return 3
    with contextlib.suppress(FileNotFoundError):
        (folder / _FAULT).unlink()
    write_json(folder / "COMMIT.json", {**done, "call": call["call"]})
    return 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
