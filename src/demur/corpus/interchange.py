"""A corpus as files that other tools read with their defaults: one file a slice, columns ``id`` and ``text`` first.

datatrove, NeMo Curator, data-juicer and `datasets` all look for ``text``, the first also for ``id``. Every other column
of the slices goes along under its own name; what columns there are is read from the files, not known here. Memory is
one batch. Slices without records have no file. Does not ask whether the corpus may leave the house: ``flows.publish``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from demur.corpus.disk import writing
from demur.corpus.manifest import read_manifest
from demur.errors import BrokenError, InputError
from demur.store import digest_file, digest_json
from demur.store.contents import says
from demur.terms.manifests import CorpusManifest, SliceDigest
from demur.terms.progress import Progress, silent

EXPORT = "export.json"
"""Written last: a folder without it is no export."""
BATCH_ROWS = 10_000

_Write = Callable[[Path, Any, Iterator[Any]], None]


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file of an export."""

    path: str
    """Relative to the export's folder."""
    records: int
    bytes: int
    digest: str
    """SHA-256 of its bytes."""
    content_digest: str
    """Of the slice that it was made from, as the corpus' manifest names it."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written; the same facts stand in ``export.json``."""

    corpus_id: str
    corpus_digest: str
    form: str
    columns: tuple[tuple[str, str], ...]
    """Name and Arrow type of every column."""
    left_out: tuple[str, ...]
    """Columns that the form cannot carry: bytes in JSON."""
    files: tuple[ExportFile, ...]
    records: int

    @property
    def digest(self) -> str:
        """SHA-256 over the names and digests of all files: what the ledger names."""
        return digest_json([[one.path, one.digest] for one in self.files])

    def as_json(self) -> dict[str, Any]:
        """Return the plain form."""
        return {**asdict(self), "digest": self.digest}


@writing("an export")
def export(corpus: Path, out: Path, *, form: str, progress: Progress = silent) -> Exported:
    """Write every record of a corpus below ``out/data``; one region, one folder.

    Args:
        corpus: its folder.
        out: folder to write, empty or not there.
        form: ``parquet`` or ``jsonl`` (one object a line, zstd).
        progress: told after each file.

    Raises:
        InputError: another form, or a folder with something in it.
        BrokenError: a slice is missing or changed, or slices have different columns.
        OutsideError: the disk is full.
    """
    if form not in FORMS:
        raise InputError(f"expected one of {', '.join(FORMS)}, found another form")
    if out.exists() and any(out.iterdir()):
        raise InputError(f"expected a new or empty folder for the export, found files in {out}; name another")
    manifest = read_manifest(corpus)
    filled = [one for one in manifest.slices if one.records]
    whole = _schema(corpus, filled)
    left_out = tuple(field.name for field in whole if form == "jsonl" and _is_binary(field.type))
    schema = pa.schema([field for field in whole if field.name not in left_out])
    files = []
    for number, one in enumerate(filled, 1):
        path = out / "data" / one.region / f"shard-{one.shard:03d}-slice-{one.slice}{FORMS[form][0]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        FORMS[form][1](path, schema, _batches(corpus, one, whole, schema))
        digest, size = digest_file(path), path.stat().st_size
        files.append(ExportFile(str(path.relative_to(out)), one.records, size, digest, one.content_digest))
        progress(f"export: {form}", number, len(filled))
    columns = tuple((field.name, str(field.type)) for field in schema)
    return _exported(manifest, form, columns, left_out, files)


def _exported(
    manifest: CorpusManifest,
    form: str,
    columns: tuple[tuple[str, str], ...],
    left_out: tuple[str, ...],
    files: Sequence[ExportFile],
) -> Exported:
    return Exported(
        corpus_id=manifest.corpus_id,
        corpus_digest=manifest.digest,
        form=form,
        columns=columns,
        left_out=left_out,
        files=tuple(files),
        records=sum(one.records for one in files),
    )


def _schema(corpus: Path, filled: Sequence[SliceDigest]) -> Any:
    """Return the columns of the export: ``id``, ``text``, the others as they stand, ``region``."""
    if not filled:
        return pa.schema([("id", pa.string()), ("text", pa.string()), ("region", pa.string())])
    found = _open(corpus, filled[0]).schema_arrow.remove_metadata()
    first = [pa.field("id", found.field("record_id").type, nullable=False), found.field("text")]
    others = [field.remove_metadata() for field in found if field.name not in {"record_id", "text", "id", "region"}]
    return pa.schema([*first, *others, pa.field("region", pa.string(), nullable=False)])


def _batches(corpus: Path, one: SliceDigest, whole: Any, schema: Any) -> Iterator[Any]:
    """Yield the records of a slice as batches of the export's schema, in order of their id.

    Raises:
        BrokenError: the file is not as it was written, or its columns are not those of the other slices.
    """
    path = corpus / one.path
    if not path.exists() or digest_file(path) != one.file_digest or not says(path, one.content_digest):
        raise BrokenError(f"expected {one.path} as it was written, found it missing or changed; build again")
    with _open(corpus, one) as file:
        names = {"id": "record_id"}
        if {names.get(name, name) for name in whole.names} - {"region"} != set(file.schema_arrow.names) - {"region"}:
            raise BrokenError(f"expected {one.path} to have the columns of the other slices, found others; build again")
        wanted = [names.get(name, name) for name in schema.names if name != "region"]
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
            region = pa.repeat(pa.scalar(one.region), batch.num_rows)
            columns = [batch.column(name) for name in wanted] + [region]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _open(corpus: Path, one: SliceDigest) -> Any:
    try:
        return pq.ParquetFile(corpus / one.path)
    except (pa.ArrowException, OSError) as error:
        raise BrokenError(f"expected a whole Parquet file in {one.path}, found a damaged one; build again") from error


def _is_binary(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _parquet(path: Path, schema: Any, batches: Iterator[Any]) -> None:
    with pq.ParquetWriter(path, schema, compression="zstd", write_statistics=False) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _jsonl(path: Path, schema: Any, batches: Iterator[Any]) -> None:
    assert schema is not None
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        for batch in batches:
            stream.write(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in batch.to_pylist()))


FORMS: dict[str, tuple[str, _Write]] = {"parquet": (".parquet", _parquet), "jsonl": (".jsonl.zst", _jsonl)}
"""Form → ending of its files, writer."""
