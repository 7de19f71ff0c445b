"""Writes one region as a Hugging Face folder that other programs load, named by the digest of its weights.

Not handled here: which region a text goes to (router.py), which states are in it (run.py, rollback.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demur.errors import BrokenError
from demur.store.files import remove_tree, write_bytes, write_json
from demur.terms.manifests import RegionModel, TrainPlan
from demur.training.merge import targets, weights
from demur.training.states import Tensors, digest_tensors

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
)


@dataclass(frozen=True, slots=True)
class Frozen:
    """The base's weights in memory, float32, for exporting region after region."""

    folder: Path
    tensors: Tensors

    @classmethod
    def of(cls, folder: Path) -> Frozen:
        """Read all weights of a base folder."""
        from safetensors.torch import load_file

        tensors: Tensors = {}
        for path in sorted(folder.glob("*.safetensors")):
            tensors |= {name: value.float().numpy() for name, value in load_file(path).items()}
        return cls(folder, tensors)

    def shapes(self, plan: TrainPlan) -> dict[str, tuple[int, ...]]:
        """Return the weights that experts change, with shapes."""
        return targets({name: value.shape for name, value in self.tensors.items()}, plan)


def export_region(
    folder: Path, region: str, frozen: Frozen, accumulator: Tensors, *, plan: TrainPlan, card: Mapping[str, str]
) -> RegionModel:
    """Write a region's accumulator and its Hugging Face folder; what is there already under the same name is kept.

    Args:
        folder: the model folder.
        region: name of the region.
        frozen: the base.
        accumulator: sum of its shards.
        plan: published constants.
        card: facts for the model card, written as a data label.

    Returns:
        Where it is, and its digests.
    """
    from safetensors.numpy import save

    merged = weights(frozen.tensors, accumulator, plan)
    digest, sum_digest = digest_tensors(merged), digest_tensors(accumulator)
    place, sums = f"regions/{region}-{digest[:12]}", f"accumulators/{region}-{sum_digest[:12]}.safetensors"
    write_bytes(folder / sums, save(accumulator))
    if not _there(folder / place / "model.safetensors", digest):
        part = folder / "regions" / f".{region}.part"
        remove_tree(part)
        part.mkdir(parents=True)
        write_bytes(part / "model.safetensors", save(merged, metadata={"format": "pt"}))
        for name in TOKENIZER_FILES:
            if (frozen.folder / name).exists():
                shutil.copyfile(frozen.folder / name, part / name)
        _float32(part / "config.json")
        remove_tree(folder / place)
        part.replace(folder / place)
    write_bytes(folder / place / "README.md", card_text(region, digest, card).encode())
    return RegionModel(region, place, digest, sums, sum_digest)


def _there(path: Path, digest: str) -> bool:
    try:
        read_checked(path, digest)
    except BrokenError:
        return False
    return True


def _float32(path: Path) -> None:
    from demur.store.files import read_json

    config = read_json(path)
    config.pop("quantization_config", None)
    config.pop("torch_dtype", None)
    write_json(path, {**config, "dtype": "float32"})


def card_text(region: str, digest: str, facts: Mapping[str, str]) -> str:
    """Return a region's model card: front matter and a data label, every number from the manifests."""
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    return (
        "---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags: [demur, erasable]\n---\n\n"
        f"# Region {region}\n\n"
        "A base model and the merged experts of one region. People can leave it: their slice is trained again\n"
        "without them, and the result is bit for bit what a training\nwithout them gives.\n\n"
        "## Data label\n\n| what | value |\n|---|---|\n"
        f"| region | {region} |\n| weights digest | `{digest}` |\n{rows}\n\n"
        "## Limits\n\nWhat the frozen base had learned before is not covered by erasure. Use the region's own\n"
        "language; regions are routed, never averaged.\n"
    )


def read_accumulator(folder: Path, model: RegionModel) -> Tensors:
    """Read a region's accumulator and check it.

    Raises:
        BrokenError: missing, damaged or changed.
    """
    return read_checked(folder / model.accumulator_path, model.accumulator_digest)


def read_checked(path: Path, digest: str) -> Tensors:
    """Read a safetensors file and check its numbers against a digest.

    Raises:
        BrokenError: missing, damaged or changed.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found: Tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BrokenError(
            f"expected {path.parent.name}/{path.name}, found a missing or damaged file; train again, states are reused"
        ) from error
    if digest_tensors(found) != digest:
        raise BrokenError(
            f"expected {path.parent.name}/{path.name} to match its digest, found other numbers; "
            "train again, states are reused"
        )
    return found
