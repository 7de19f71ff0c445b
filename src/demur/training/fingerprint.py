"""What decides the bits of a training besides plan and data: libraries, kernels, instruction set (EVIDENCE §6).

The number of threads is not in it: the bits are the same (a test says so). Not handled here: whether two platforms
happen to agree; a different field is refused, not guessed about.
"""

from __future__ import annotations

import os
import platform as machine
from importlib.metadata import version

from demur.errors import RefusedError
from demur.store.files import digest_bytes, digest_json

LIBRARIES = ("torch", "transformers", "peft", "tokenizers", "numpy")
ENVIRONMENT = ("ATEN_CPU_CAPABILITY", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
ATTENTION = "sdpa"
CODE = "demur-training-1"


def fingerprint() -> dict[str, str]:
    """Return the numeric profile of this process' platform, field by field."""
    import torch

    found = {name: version(name) for name in LIBRARIES}
    found |= {name: os.environ.get(name, "") for name in ENVIRONMENT}
    found |= {
        "machine": machine.machine(),
        "system": machine.system(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "torch_build": digest_bytes(torch.__config__.show().encode()),
        "attention": ATTENTION,
        "dtype": "float32",
        "device": "cpu",
        "optimiser": "adamw, one flat vector, foreach=False, fused=False",
        "code": CODE,
    }
    return found


def fingerprint_digest(found: dict[str, str]) -> str:
    """Return the digest that receipts carry."""
    return digest_json(found)


def refuse_other(expected: dict[str, str], found: dict[str, str]) -> None:
    """Refuse to go on where the bits could differ.

    Raises:
        RefusedError: a field differs; all of them are named.
    """
    faults = [
        f"{name}: trained with {expected.get(name, 'nothing')!r}, here {found.get(name, 'nothing')!r}"
        for name in sorted({*expected, *found})
        if expected.get(name) != found.get(name)
    ]
    if faults:
        raise RefusedError(
            "this platform may compute other bits than the one that the training began on; "
            "go on there, or train under another plan (docs/erasure.md says how an erasure goes on)",
            faults,
        )
