"""States on disk: what a shard has learned after a slice, named by what went into it, sealed against change.

A state is one flat float32 vector with a layout of named tensors. LoRA: A and B; full: weight differences.
Not handled here: what the numbers mean (merge.py), which of them must go (destroy.py).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from demur.errors import BrokenError
from demur.store.files import canonical, digest_json, write_bytes
from demur.store.keys import keyed_hash

Vector: TypeAlias = "np.ndarray[Any, np.dtype[np.float32]]"
Numbers: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
Tensors: TypeAlias = "dict[str, Numbers]"

_ALIGNED = 16
"""Every tensor begins at a multiple of so many numbers (64 bytes): kernels see the same alignment every time."""

STATES = "states"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each named tensor lies in the flat vector, in name order."""

    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    size: int

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, ...]]) -> Layout:
        """Lay tensors out in name order."""
        ordered = tuple(sorted(shapes.items()))
        return cls(ordered, sum(_room(shape) for _name, shape in ordered))

    def places(self) -> Iterator[tuple[str, slice, tuple[int, ...]]]:
        """Yield name, place in the vector and shape."""
        start = 0
        for name, shape in self.shapes:
            yield name, slice(start, start + math.prod(shape)), shape
            start += _room(shape)

    def split(self, vector: Vector) -> Tensors:
        """Return the named tensors of a vector."""
        return {name: vector[place].reshape(shape) for name, place, shape in self.places()}

    def join(self, tensors: Tensors) -> Vector:
        """Return the flat vector of named tensors.

        Raises:
            BrokenError: the tensors are not those of this layout.
        """
        if {name: value.shape for name, value in tensors.items()} != dict(self.shapes):
            raise BrokenError("expected a state of this plan's layout, found other tensors; train the shard again")
        made = np.zeros(self.size, dtype=np.float32)
        for name, place, _shape in self.places():
            made[place] = tensors[name].reshape(-1)
        return made


def _room(shape: tuple[int, ...]) -> int:
    return -(-math.prod(shape) // _ALIGNED) * _ALIGNED


def digest_tensors(tensors: Tensors) -> str:
    """Return SHA-256 over name, type, shape and bytes of tensors in name order."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        value = np.ascontiguousarray(tensors[name])
        total.update(canonical([name, str(value.dtype), list(value.shape)]))
        total.update(value.tobytes())
    return total.hexdigest()


def chain_key(base_digest: str, plan_digest: str, region: str, shard: int, chain: Sequence[tuple[int, str]]) -> str:
    """Return the name of a state: all that went into it.

    Args:
        base_digest: the frozen base.
        plan_digest: published constants.
        region: where the shard belongs.
        shard: its number; both seed the first state.
        chain: (slice, content digest) of the slices with records so far, in order.
    """
    return digest_json([base_digest, plan_digest, region, shard, [list(link) for link in chain]])


def state_path(region: str, shard: int, slice_no: int, key: str) -> str:
    """Return a state's path relative to the models folder."""
    return f"{STATES}/{region}/{shard:03d}/{slice_no}-{key[:24]}.safetensors"


@dataclass(frozen=True, slots=True)
class StateFacts:
    """What a state file says about itself beside its numbers."""

    key: str
    out_state: str
    records: int
    tokens: int
    holes: int
    seconds: float


def write_state(path: Path, tensors: Tensors, facts: StateFacts, seal_key: bytes) -> None:
    """Write a state whole or not at all, with its facts under a keyed seal."""
    from safetensors.numpy import save

    notes = {name: str(getattr(facts, name)) for name in StateFacts.__slots__}
    notes["seal"] = _seal(notes, seal_key)
    write_bytes(path, save(tensors, metadata=notes))


def read_state(path: Path, seal_key: bytes | None = None) -> tuple[Tensors, StateFacts]:
    """Read a state and check it against its own digest, and its seal when the key is given.

    Raises:
        BrokenError: missing, cut short, changed or sealed by somebody else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as opened:
            notes = dict(opened.metadata() or {})
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  (no mapping)
        seal = notes.pop("seal")
        facts = StateFacts(
            notes["key"],
            notes["out_state"],
            int(notes["records"]),
            int(notes["tokens"]),
            int(notes["holes"]),
            float(notes["seconds"]),
        )
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise _damaged(path, "a missing or damaged file") from error
    if digest_tensors(tensors) != facts.out_state:
        raise _damaged(path, "numbers that do not match their digest")
    if seal_key is not None and _seal(notes, seal_key) != seal:
        raise _damaged(path, "a seal that this workspace did not make")
    return tensors, facts


def _seal(notes: Mapping[str, str], key: bytes) -> str:
    return keyed_hash(key, *(f"{name}={notes[name]}" for name in sorted(notes))).hex()


def _damaged(path: Path, found: str) -> BrokenError:
    return BrokenError(
        f"expected the state {'/'.join(path.parts[-3:])}, found {found}; "
        "remove the file and train again: the slice is computed anew and must give the same digest"
    )
