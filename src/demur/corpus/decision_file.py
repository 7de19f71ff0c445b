"""What became of every item, as a file that the platform's other pipelines apply by id; and its signed statement.

Written from a corpus' sealed fates, so it needs the lineage key. It names items: it is for the platform alone, whose
ids these are, and never part of an export. Sorted by id, so that the same corpus gives the same rows. Memory is one
chunk of the fates and what the sorting engine may take; beyond that it spills to disk beside the file, where nobody
else can look.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from demur.corpus.disk import writing
from demur.corpus.manifest import read_manifest
from demur.corpus.redact_spans import SPANS
from demur.errors import BrokenError, InputError
from demur.lineage import SealedFile
from demur.store import KeyRing, digest_file, read_json, write_json
from demur.store.apart import apart
from demur.store.files import canonical
from demur.terms.reasons import Exclusion

STATEMENT = ".statement.json"
"""Ending of the statement beside a decision file."""
RIGHTS = (Exclusion.PROTECTED_COPY.value,)
"""Exclusions that are a right, not a filter: an allowed item with one of these must not be used anywhere."""
ENDINGS = {"parquet": "FORMAT parquet, COMPRESSION zstd", "jsonl": "FORMAT json, COMPRESSION zstd"}
VERSION = 2
"""Of file and statement; 1 had no ``spans``."""
_ENGINE = {"memory_limit": "512MB", "threads": "2"}
_SCHEMA: Any = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("use", pa.bool_(), nullable=False),
        pa.field("allowed", pa.bool_(), nullable=False),
        pa.field("primary_reason", pa.string()),
        pa.field("exclusion", pa.string()),
        pa.field("sentence", pa.string()),
        pa.field("spans", SPANS),
    ]
)


@writing("a decision file")
def write_decisions(corpus: Path, out: Path, *, keys: KeyRing, form: str) -> dict[str, Any]:
    """Write the file and, beside it, its statement; return the statement.

    Columns: ``item_id``; ``use``: whether it may be used at all; ``allowed``: by the policy; ``primary_reason`` when it
    was withheld; ``exclusion``: why an allowed item became no record; ``sentence``: key of the words for the person;
    ``spans``: what was redacted in an item that became a record (``start``, ``end``, ``kind``), in code points of
    ``redact_normal.normalise(text.own_words(…))`` of its text; null = it became none.

    Args:
        corpus: its folder.
        out: the file to write.
        keys: lineage opens the fates; the signing key signs.
        form: ``parquet`` or ``jsonl``.

    Raises:
        InputError: another form.
        BrokenError: the sealed fates don't open.
        OutsideError: the disk is full.
    """
    import duckdb

    if form not in ENDINGS:
        raise InputError(f"expected one of {', '.join(ENDINGS)}, found another form")
    manifest = read_manifest(corpus)
    counted = {"rows": 0, "use": 0}
    with apart(out) as folder:
        part = folder / out.name
        engine_config = _ENGINE | {"temp_directory": str(folder / "spill")}  # sorts beyond memory
        with duckdb.connect(config=engine_config) as engine:
            engine.execute("SET enable_progress_bar = false")
            engine.register("fates", pa.RecordBatchReader.from_batches(_SCHEMA, _fates(corpus, keys, counted)))
            target = str(part).replace("'", "''")
            query = "COPY (SELECT * FROM fates ORDER BY item_id)"
            engine.execute(f"{query} TO '{target}' ({ENDINGS[form]})")
        part.chmod(0o600)
        part.replace(out)
    body = {
        "what": "demur decisions",
        "version": VERSION,
        "file": out.name,
        "sha256": digest_file(out),
        "columns": _SCHEMA.names,
        **counted,
        "corpus": manifest.corpus_id,
        "corpus_digest": manifest.digest,
        "redaction": manifest.inputs["recipe"].get("redaction"),
        **{name: manifest.inputs[name] for name in ("policy", "policy_name", "purpose", "as_of", "narrowed_at")},
        "public_key": keys.verifier().public_bytes_raw().hex(),
    }
    body["signature"] = base64.b64encode(keys.signer().sign(canonical(body))).decode()
    write_json(out.with_name(out.name + STATEMENT), body)
    return body


def check_decisions(path: Path, *, public_key: str | None = None) -> dict[str, Any]:
    """Check a decision file against its statement, and the statement's signature; return the statement.

    Args:
        path: the decision file.
        public_key: of the workspace that made it, from a source that you trust; ``None`` = the one that it names.

    Raises:
        BrokenError: the file or its statement was changed, or another key signed it.
    """
    found: dict[str, Any] = read_json(path.with_name(path.name + STATEMENT))
    body = {name: value for name, value in found.items() if name != "signature"}
    key = public_key or str(body.get("public_key"))
    try:
        signer = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        signer.verify(base64.b64decode(found["signature"]), canonical(body))
    except (InvalidSignature, ValueError, KeyError) as error:
        raise BrokenError(
            f"expected {path.name}{STATEMENT} as it was signed, found another; export the decisions again"
        ) from error
    if digest_file(path) != body["sha256"]:
        raise BrokenError(f"expected {path.name} as its statement says, found another; export the decisions again")
    return found


def _fates(corpus: Path, keys: KeyRing, counted: dict[str, int]) -> Iterator[Any]:
    """Yield what became of every item, counting on the way; each column is found by its name."""
    sealed = SealedFile(corpus / "sealed" / "fates.sealed", "fates", secret=keys.secret("lineage"))
    for table in sealed.all():
        allowed = pc.fill_null(table["allowed"], False)
        right = pc.fill_null(pc.is_in(table["exclusion"], value_set=pa.array(RIGHTS)), False)
        use = pc.and_(allowed, pc.invert(right))
        counted["rows"] += table.num_rows
        counted["use"] += pc.sum(use).as_py() or 0
        sentence = pc.coalesce(table["primary_reason"], table["exclusion"])
        spans = table["spans"] if "spans" in table.column_names else pa.nulls(table.num_rows, SPANS)  # an older corpus
        columns = [table["item_id"], use, allowed, table["primary_reason"], table["exclusion"], sentence, spans]
        yield from pa.table(columns, schema=_SCHEMA).to_batches()
