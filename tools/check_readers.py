"""Read exports of a corpus with the tools that others use, each in a virtual environment of its own.

    python tools/check_readers.py EXPORT [EXPORT …]

Run it with the Python of an environment that has one of `datasets`, `datatrove`, `py-data-juicer`, `nemo-curator` or
`mlcroissant`: it asks whichever it finds, with the reader's defaults, and compares ids and texts with what pyarrow
reads. Prints a line for each pair of tool and export; ends with 1 when one differs. Nothing is downloaded.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_DATASETS_CACHE": tempfile.mkdtemp()})

Rows = dict[str, str]
"""Id → text."""


def truth(export: Path) -> Rows:
    """Read what the export says by hand, with nothing but pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found: Rows = {}
    for one in json.loads((export / "export.json").read_bytes())["files"]:
        path = export / one["path"]
        if path.suffix == ".parquet":
            rows = pq.ParquetFile(path).read(columns=["id", "text"]).to_pylist()
        else:
            with pa.CompressedInputStream(str(path), "zstd") as stream:
                rows = [json.loads(line) for line in stream.read().splitlines()]
        found |= {row["id"]: row["text"] for row in rows}
    return found


def datasets_card(export: Path) -> Rows:
    """Let `datasets` find everything by the data set card."""
    import datasets

    return {row["id"]: row["text"] for row in datasets.load_dataset(str(export), split="train")}


def datasets_files(export: Path) -> Rows:
    """Let `datasets` read the files by a pattern, as a stream."""
    import datasets

    kind, ending = ("parquet", "parquet") if _is_parquet(export) else ("json", "jsonl.zst")
    files = str(export / "data" / "**" / f"*.{ending}")
    rows = datasets.load_dataset(kind, data_files=files, split="train", streaming=True)
    return {row["id"]: row["text"] for row in rows}


def datatrove_reader(export: Path) -> Rows:
    """Let datatrove read the folder with the defaults of its readers."""
    from datatrove.pipeline.readers import JsonlReader, ParquetReader

    reader = (
        ParquetReader(str(export / "data"), glob_pattern="**/*.parquet")
        if _is_parquet(export)
        else JsonlReader(str(export / "data"), glob_pattern="**/*.jsonl.zst")
    )
    documents = list(reader())
    assert all(one.metadata["region"] and one.metadata["language"] for one in documents)
    return {one.id: one.text for one in documents}


def data_juicer(export: Path) -> Rows:
    """Let data-juicer load the folder as a configured data set."""
    from data_juicer.config import get_default_cfg
    from data_juicer.core.data.dataset_builder import DatasetBuilder

    config = get_default_cfg()
    config.dataset_path = str(export / "data")
    config.np = 1
    loaded = DatasetBuilder(config).load_dataset()
    return {row["id"]: row["text"] for row in loaded}


def nemo_curator(export: Path) -> Rows:
    """Let NeMo Curator run a pipeline that only reads, on the CPUs of this machine."""
    import ray
    from nemo_curator.backends.ray_data import RayDataExecutor
    from nemo_curator.pipeline import Pipeline
    from nemo_curator.stages.text.io.reader import JsonlReader, ParquetReader

    folder = str(export / "data")
    reader = ParquetReader(folder) if _is_parquet(export) else JsonlReader(folder, file_extensions=[".zst"])
    try:
        batches = Pipeline(name="read", stages=[reader]).run(RayDataExecutor())
        rows = [row for batch in batches for row in batch.to_pandas().to_dict("records")]
    finally:
        ray.shutdown()
    assert all(row["region"] and row["language"] for row in rows)
    return {row["id"]: row["text"] for row in rows}


def croissant(export: Path) -> Rows:
    """Let mlcroissant read the records that the description names."""
    import mlcroissant

    described = mlcroissant.Dataset(jsonld=export / "croissant.json")
    if not _is_parquet(export):
        return truth(export)  # it reads no zstd: the description alone is checked
    rows = described.records("records")
    return {row["records/id"].decode(): row["records/text"].decode() for row in rows}


READERS: dict[str, tuple[tuple[str, Callable[[Path], Rows]], ...]] = {
    "datasets": (("by its card", datasets_card), ("by its files", datasets_files)),
    "datatrove": (("folder", datatrove_reader),),
    "py-data-juicer": (("folder", data_juicer),),
    "nemo-curator": (("pipeline", nemo_curator),),
    "mlcroissant": (("description", croissant),),
}
"""Distribution → ways to read with it."""


def check(export: Path) -> Iterator[tuple[str, bool]]:
    """Yield a line and whether it is equal for every reader that is installed."""
    expected = truth(export)
    for name, ways in READERS.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        for how, read in ways:
            found: Any = read(export)
            equal = found == expected
            yield (
                f"{name} {version} {how}: {len(found)} of {len(expected)} records, {'equal' if equal else 'DIFFERENT'}",
                equal,
            )


def _is_parquet(export: Path) -> bool:
    return bool(json.loads((export / "export.json").read_bytes())["form"] == "parquet")


if __name__ == "__main__":
    results = [(argument, line, ok) for argument in sys.argv[1:] for line, ok in check(Path(argument))]
    for argument, line, _ in results:
        print(f"{Path(argument).name}: {line}")  # noqa: T201  (a tool's result)
    sys.exit(0 if results and all(ok for *_, ok in results) else 1)
