"""The frozen base: opening a local LLaMA, digests of weights and tokenizer. Small bases are made in newbase.py.

Source of the layout read here: the safetensors format (8-byte little-endian header length, JSON header, buffer).
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demur.errors import InputError, RefusedError
from demur.store.files import digest_file, digest_json, read_json, write_json

KNOWN_TYPES = frozenset({"llama"})
"""``model_type`` of the architectures whose linear layers and names the merge knows."""


@dataclass(frozen=True, slots=True)
class Base:
    """A frozen base model on disk, in Hugging Face form."""

    folder: Path
    digest: str
    tokenizer_digest: str


def open_base(path: Path, cache: Path) -> Base:
    """Open any local LLaMA: a folder with safetensors, or with one GGUF file (converted once into ``cache``).

    Args:
        path: folder of the model.
        cache: folder where converted bases and digests are kept.

    Raises:
        InputError: there is no model in the folder.
        RefusedError: it is no LLaMA architecture.
    """
    if not path.is_dir():
        raise InputError(f"expected a folder with a base model, found none at {path}; give --base a model folder")
    folder = path
    if not any(path.glob("*.safetensors")):
        folder = _from_gguf(path, cache)
    check_architecture(folder)
    if not (folder / "tokenizer.json").exists():
        raise InputError(f"expected tokenizer.json in {folder}, found none; save the tokenizer there in its fast form")
    return Base(folder, base_digest(folder), digest_json(read_json(folder / "tokenizer.json")))


def check_architecture(folder: Path) -> dict[str, Any]:
    """Return the model's configuration if demur can merge it.

    Raises:
        InputError: there is no config.json.
        RefusedError: the architecture is not a known one.
    """
    if not (folder / "config.json").exists():
        raise InputError(f"expected config.json in {folder}, found none; is this a Hugging Face model folder?")
    config: dict[str, Any] = read_json(folder / "config.json")
    if config.get("model_type") not in KNOWN_TYPES:
        raise RefusedError(
            f"expected an architecture of {', '.join(sorted(KNOWN_TYPES))}, found {config.get('model_type')}; "
            "demur merges LLaMA models only"
        )
    return config


def base_digest(folder: Path) -> str:
    """Return SHA-256 over all weights (name, type, shape, bytes) in name order, however they are split over files."""
    places: dict[str, tuple[Path, int, dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length))
        places |= {name: (path, 8 + length, entry) for name, entry in header.items() if name != "__metadata__"}
    total = hashlib.sha256()
    for name in sorted(places):
        path, start, entry = places[name]
        total.update(json.dumps([name, entry["dtype"], entry["shape"]]).encode())
        for block in _blocks(path, start + entry["data_offsets"][0], start + entry["data_offsets"][1]):
            total.update(block)
    return total.hexdigest()


def _blocks(path: Path, first: int, last: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(first)
        while first < last:
            block = stream.read(min(1 << 20, last - first))
            if not block:
                raise InputError(f"expected {last - first} more bytes of weights in {path.name}; the file is cut short")
            first += len(block)
            yield block


def _from_gguf(path: Path, cache: Path) -> Path:
    files = sorted(path.rglob("*.gguf"))
    if len(files) != 1:
        raise InputError(f"expected safetensors or one .gguf file in {path}, found {len(files)} .gguf files")
    folder = cache / digest_file(files[0])[:16]
    if not (folder / "converted.json").exists():
        import torch
        from safetensors.torch import save_file
        from transformers import AutoModelForCausalLM, AutoTokenizer

        parent, name = files[0].parent, files[0].name
        tokenizer = AutoTokenizer.from_pretrained(parent, gguf_file=name, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(parent, gguf_file=name, dtype=torch.float32, local_files_only=True)
        folder.mkdir(parents=True, exist_ok=True)
        plain = {key: value.detach().contiguous() for key, value in model.named_parameters()}  # tied ones once
        save_file(plain, folder / "model.safetensors", metadata={"format": "pt"})
        config = json.loads(model.config.to_json_string())
        config.pop("quantization_config", None)
        write_json(folder / "config.json", config)
        model.generation_config.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        write_json(folder / "converted.json", {"gguf_digest": digest_file(files[0])})
    return folder
