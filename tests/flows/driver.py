"""Run one flow in a process of its own and kill it at one place: ``driver.py HOME FLOW PLACE``.

PLACE is ``step:before``, ``step:after`` (done, its facts not written), ``file:N`` (the N-th whole-or-nothing file),
``module.function:before``, or ``-`` (never).
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(place: str) -> None:
    from demur.flows.steps import Steps
    from demur.store import files

    name, _, when = place.partition(":")
    if name == "file":
        written = [0]
        replace = Path.replace

        def counted(self: Path, target: Path) -> Path:
            written[0] += 1
            if written[0] == int(when):
                die()
            return replace(self, target)

        Path.replace = counted  # type: ignore[method-assign]
        assert files
    elif "." in name:
        module, _, function = name.rpartition(".")
        setattr(importlib.import_module(module), function, die)
    elif name != "-":
        real = getattr(Steps, name)
        setattr(Steps, name, die if when == "before" else lambda self, folder: (real(self, folder), die()))


def main(home: str, flow: str, place: str) -> None:
    import flow_worlds
    import torch

    torch.set_num_threads(1)
    arm(place)
    with flow_worlds.in_process(), flow_worlds.opened(Path(home)) as here:  # the kill must hit the stage too
        getattr(here, flow)()


if __name__ == "__main__":
    main(*sys.argv[1:])
