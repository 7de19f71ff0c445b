"""The independent verifier: reads what was written in a second engine (DuckDB) and judges it by rules of its own.

It trusts neither the policy room nor the stages: it opens the slice files, the unsealed lineage and fates, and the
exported tables, and looks for anything that must not be there. Only this module opens the engine. Memory is bounded;
what does not fit is spilled to a folder that is removed: the build's own, or a temporary one, encrypted.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from demur.clock import parse
from demur.corpus.manifest import check_bytes, check_contents, read_manifest
from demur.corpus.measures import UNBANDED
from demur.corpus.verify_near import Near
from demur.corpus.verify_passages import first_said_by_protected
from demur.corpus.verify_rows import unpaired
from demur.corpus.verify_rules import (
    AUTHORS,
    CARRIED,
    CHECKS,
    COUNTRIES,
    FLOORS,
    FOUND,
    HOLDING,
    NAMES,
    ONCE,
    REACH,
    RECOUNTED,
    SAID,
    TERMS,
)
from demur.corpus.verify_texts import Measured, measured_otherwise, saying_names
from demur.corpus.write import SEALED
from demur.errors import BrokenError, OutsideError
from demur.lineage import SealedFile
from demur.store import KeyRing
from demur.store.stage import cores
from demur.terms.content import NARROWNESS, PRIVATE_KINDS, Kind
from demur.terms.manifests import CorpusManifest
from demur.terms.policy import PROTECTION, ThirdPartyScope
from demur.terms.reasons import BIT, Reason

MEMORY = "1500MB"
"""What the engine may hold, unless ``DEMUR_VERIFIER_MEMORY`` says otherwise; the rest goes to the disk."""
ENGINE = "duckdb"
_MOST_THREADS = 4
"""Of the engine: they share what it may hold."""
_MOST_READ = 1_000_000
"""Rows of the snapshot among which texts are drawn that are measured again."""

ITEM_COLUMNS = (
    "item_id, kind, service, state, account_id, co_account_ids, created_at, audience, container_id, "
    "container_audience, parent_id, parent_audience, original_id, expires_at, addressed_to_ai"
)
READ = SEALED | {
    "measures": pa.schema([*(UNBANDED.field(name) for name in ("item_id", "record_id", "words", "exact"))])
}
"""Sealed files that are judged, with the columns that are looked at."""
_OTHERS = (
    "record_says_objector",
    "record_near_protected_text",
    "record_says_protected_passage",
    "measured_otherwise",
    "bands_beside_nothing",
)
ASSERTED = frozenset([*(f"allowed_although_{reason}" for reason in FOUND), *CHECKS, *_OTHERS])
"""Names of all checks."""
PAIRED = ("measures", "bands")
"""Sealed files that stand side by side, row by row."""
_PEOPLE = ("standing", "accounts", "residence", "notices", "campaigns", "holds", "suppressed")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the verifier found."""

    agrees: bool
    """No violation of any kind."""
    checks: dict[str, int]
    """Assertion → number of violations."""
    recounted: dict[str, dict[str, int]]
    """Reason → items that carry it: as decided, and as recounted here; of all that were judged."""
    records: int
    items: int
    engine: str
    upon: str | None = None
    """Digest of the corpus whose verdict holds for everything that is as it was there; ``None`` = all was judged."""
    judged: int | None = None
    """How many items were judged again then."""
    measured: int | None = None
    """How many texts were measured again; ``None`` = none could be, by the rules of this code."""
    sought: int = 0
    """Of how many protected texts near copies were looked for in the records."""
    unmet: int = 0
    """Records as much alike to one of them as a near copy is, that share no band with it: known to be missed."""

    def as_json(self) -> dict[str, Any]:
        """Return the plain form for the manifest."""
        return asdict(self)


def verify(
    corpus: Path, *, items: Path, standing: Path, keys: KeyRing, policy: dict[str, Any] | None = None
) -> Verdict:
    """Verify a built corpus against the snapshot and people tables that it was built from.

    Args:
        corpus: its folder.
        items: folder of the snapshot.
        standing: folder of the exported people tables.
        keys: the key ring, for the sealed lineage.
        policy: the policy's facts; ``None`` = those in the manifest.

    Raises:
        BrokenError: a file is missing or changed (each is named), or the sealed files don't open.
    """
    manifest = read_manifest(corpus)
    check_bytes(corpus, manifest)
    spill = tempfile.TemporaryDirectory(prefix="demur-verify-")
    with spill as folder, connect(Path(folder), encrypted=True) as connection:
        return judge(corpus, manifest, connection, items=items, standing=standing, keys=keys, policy=policy)


def judge(
    folder: Path,
    manifest: CorpusManifest,
    connection: Any,
    *,
    items: Path,
    standing: Path,
    keys: KeyRing,
    policy: dict[str, Any] | None = None,
    seen: Callable[[str, Any, Any], None] | None = None,
) -> Verdict:
    """Verify written files, of which the bytes are the manifest's; it need not be on disk yet. See above.

    ``seen`` is shown all sealed rows: their kind, the part of each, and the rows.
    """
    check_contents(folder, manifest)
    load_settings(connection, manifest, policy if policy is not None else manifest.inputs["policy_facts"])
    load_people(connection, standing)
    _load_items(connection, items)
    _load_corpus(connection, folder, manifest, keys, seen)
    checks, recounted = among_items(connection)
    checks |= {name: count(connection, f"({query})") for name, query in CHECKS.items()}
    slices = [folder / one.path for one in manifest.slices if one.records]
    snapshot = sorted(items.rglob("*.parquet"))
    measured = measured_otherwise(
        connection,
        manifest,
        snapshot=snapshot,
        standing=standing,
        keys=keys,
        most_read=_MOST_READ,
        rows=count(connection, "measures"),
    )
    near = near_copies(manifest, measured)
    checks["measured_otherwise"] = measured.otherwise
    checks["record_says_objector"] = saying_names(objector_names(connection, manifest), slices, near)
    checks["record_near_protected_text"] = near.found
    checks["record_says_protected_passage"] = passages_kept(connection, manifest, near, folder, snapshot, keys)
    sealed = (SealedFile(folder / f"sealed/{kind}.sealed", kind, secret=keys.secret("lineage")) for kind in PAIRED)
    checks["bands_beside_nothing"] = unpaired(*sealed)
    return Verdict(
        agrees=not any(checks.values()),
        checks=checks,
        recounted=recounted,
        records=count(connection, "records"),
        items=count(connection, "items"),
        engine=ENGINE,
        measured=measured.texts,
        sought=near.sought,
        unmet=near.unmet,
    )


def near_copies(manifest: CorpusManifest, measured: Measured) -> Near:
    """Return the search for near copies of protected texts that were measured again.

    None are looked for where something else than placeholders stands in records: there they are not what was compared.
    """
    recipe, facts = manifest.inputs["recipe"], manifest.inputs["policy_facts"]
    texts = measured.protected if recipe["redaction_mode"] == "mask" else ()
    return Near(texts, recipe["near_duplicate_jaccard"], facts["copy_min_words"])


def passages_kept(
    connection: Any, manifest: CorpusManifest, near: Near, folder: Path, snapshot: Sequence[Path], keys: KeyRing
) -> int:
    """Return how many passages of the protected texts looked for are records' although these said them first."""
    (protecting,) = connection.execute("SELECT protecting FROM settings").fetchone()
    least = manifest.inputs["policy_facts"]["copy_min_words"]
    return first_said_by_protected(
        sorted(near.said), folder, snapshot, keys, seed=manifest.digest, copy_min_words=least, protecting=protecting
    )


def objector_names(connection: Any, manifest: CorpusManifest, query: str = NAMES) -> list[str]:
    """Return the names that no record may say.

    None where the policy leaves mentions, and none where names are made up: one of these may be somebody's.
    """
    left = manifest.inputs["policy_facts"]["third_party_scope"] != ThirdPartyScope.COPIES_AND_MENTIONS
    if left or manifest.inputs["recipe"]["redaction_mode"] == "fake":
        return []
    return [name for (name,) in connection.execute(query).fetchall() if name]


def refuse_violations(verdict: dict[str, Any]) -> None:
    """Refuse a corpus that the verifier does not agree with.

    Raises:
        BrokenError: two readings of the rules disagree; names every check that failed.
    """
    if not verdict["agrees"]:
        faults = [f"{name}: {count}" for name, count in verdict["checks"].items() if count]
        raise BrokenError(
            "expected a corpus in which the independent verifier finds nothing, found violations; "
            "nothing was published: report this with the names below",
            faults,
        )


@contextmanager
def connect(spill: Path, *, encrypted: bool) -> Iterator[Any]:
    """Yield the engine with bounded memory. Its tables lie packed on the disk; bare, a list of their blocks is large.

    Args:
        spill: the tables, and what else does not fit, go here.
        encrypted: with a key that is never written. Three times slower; a build's work folder holds the same rows in
            clear until the build is done, so there it is not needed. The engine calls its built-in cipher unsafe
            because it trusts the random numbers of another library more; nothing else is written with it.

    Raises:
        OutsideError: it needs more memory; not every step can be spilled.
    """
    import duckdb

    engine = duckdb.connect(
        config={
            "memory_limit": os.environ.get("DEMUR_VERIFIER_MEMORY", MEMORY),
            "preserve_insertion_order": False,
            "threads": min(cores(), _MOST_THREADS),
            "temp_directory": str(spill),
            "temp_file_encryption": encrypted,
            "force_mbedtls_unsafe": encrypted,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    key = f" (ENCRYPTION_KEY '{secrets.token_hex(32)}')" if encrypted else ""
    try:
        with tempfile.TemporaryDirectory(dir=spill) as folder, engine:
            engine.execute(f"ATTACH {quoted(Path(folder) / 'tables')}{key}; USE tables")
            yield engine
    except duckdb.OutOfMemoryException as error:
        raise OutsideError(
            f"the verifier needs more memory than it has ({MEMORY}, or what DEMUR_VERIFIER_MEMORY says); set that to"
            " more, as 4GB, and run the same command again"
        ) from error


def quoted(path: object) -> str:
    """Return a path as the engine reads it in a statement.

    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + str(path).replace("'", "''") + "'"


def load_settings(connection: Any, manifest: CorpusManifest, facts: dict[str, Any]) -> None:
    """Load the instants and the policy's facts."""
    connection.execute("SET TimeZone = 'UTC'")
    as_of, known_at = parse(manifest.inputs["as_of"]), parse(manifest.inputs["narrowed_at"])
    claims = list(_claims(facts, manifest.inputs["as_of"]))
    least_age = min((claim["min_age_years"] for claim in claims), default=18)
    tables = {
        "settings": [
            {
                "as_of": as_of,
                "known_at": known_at,
                "purpose": facts["purpose"],
                "least_age": least_age,
                "private_shown": facts["profile_fields_of_private_accounts"],
                "copy_min_words": facts["copy_min_words"],
                "protecting": _protecting(facts["third_party_scope"]),
            }
        ],
        "known_kinds": [{"name": kind.value} for kind in Kind],
        "private_kinds": [{"name": kind.value} for kind in PRIVATE_KINDS],
        "audiences": [{"name": name} for name in facts["audiences"]],
        "statuses": [{"name": name} for name in facts["statuses"]],
        "ranks": [{"name": name, "rank": rank} for name, rank in NARROWNESS.items()],
        "regimes": [{"name": regime.value, "rank": rank} for regime, rank in PROTECTION.items()],
    }
    for name, rows in tables.items():
        table(connection, name, pa.Table.from_pylist(rows))
    schema = pa.schema(
        [
            ("country", pa.string()),
            ("regime_rank", pa.int32()),
            ("min_age_years", pa.int32()),
            ("age_at_creation_years", pa.int32()),
            ("notice_days", pa.int32()),
            ("effective_at", pa.timestamp("us", tz="UTC")),
        ]
    )
    table(connection, "jurisdictions", pa.Table.from_pylist(claims, schema=schema))


def _protecting(scope: str) -> int:
    """Return the mask of reasons whose items protect their copies."""
    named = FLOORS if scope == ThirdPartyScope.OWN_CONTENT else (*FLOORS, *SAID)
    return sum(BIT[Reason(name)] for name in named)


def _claims(facts: dict[str, Any], as_of: str) -> Iterator[dict[str, Any]]:
    """Yield one row a country and jurisdiction in force."""
    ranks = {regime.value: rank for regime, rank in PROTECTION.items()}
    now = parse(as_of)
    for one in facts["jurisdictions"]:
        begun = one["valid_from"] is None or parse(one["valid_from"]) <= now
        over = one["valid_until"] is not None and parse(one["valid_until"]) <= now
        if begun and not over:
            terms = one["terms"]
            dated = terms["effective_at"]
            for country in one["countries"]:
                yield {
                    "country": country,
                    "regime_rank": ranks[terms["regime"]],
                    "min_age_years": terms["min_age_years"],
                    "age_at_creation_years": terms["age_at_creation_years"],
                    "notice_days": terms["notice_days"],
                    "effective_at": parse(dated) if dated else None,
                }


def _load_items(connection: Any, items: Path) -> None:
    connection.execute(
        f"CREATE TABLE items AS SELECT {ITEM_COLUMNS} FROM read_parquet(?)",  # noqa: S608  (a constant of ours)
        [[str(file) for file in sorted(items.rglob("*.parquet"))]],
    )


def load_people(connection: Any, standing: Path) -> None:
    """Load the people tables; say which holds are in force."""
    for name in _PEOPLE:
        connection.execute(
            f"CREATE TABLE {name} AS SELECT * FROM read_parquet(?)",  # noqa: S608  (a constant of ours)
            [str(standing / f"{name}.parquet")],
        )
    connection.execute(HOLDING)


def _load_corpus(
    connection: Any,
    folder: Path,
    manifest: CorpusManifest,
    keys: KeyRing,
    seen: Callable[[str, Any, Any], None] | None,
) -> None:
    listed = [
        {
            "file": str(folder / one.path),
            "region": one.region,
            "shard": one.shard,
            "slice": one.slice,
            "records": one.records,
        }
        for one in manifest.slices
    ]
    table(connection, "slices", pa.Table.from_pylist(listed))
    connection.execute(
        "CREATE TABLE records AS SELECT record_id, filename AS file "
        "FROM read_parquet(?, filename = true, hive_partitioning = false)",
        [[one["file"] for one in listed]],
    )
    for kind, schema in READ.items():
        sealed = SealedFile(folder / "sealed" / f"{kind}.sealed", kind, secret=keys.secret("lineage"))
        reader = pa.RecordBatchReader.from_batches(schema, _batches(sealed, kind, schema, seen))
        table(connection, kind, reader)


def _batches(sealed: SealedFile, kind: str, schema: Any, seen: Callable[[str, Any, Any], None] | None) -> Iterator[Any]:
    for parts, table in sealed.gathered(sorted(sealed.present)):
        if seen is not None:
            seen(kind, parts, table)
        yield from table.select(schema.names).cast(schema).to_batches()


def table(connection: Any, name: str, rows: Any) -> None:
    """Make a table of Arrow rows."""
    connection.register("incoming", rows)
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")  # noqa: S608  (a constant of ours)
    connection.unregister("incoming")


def among_items(connection: Any) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """Judge the items at hand; return what must not be allowed and is, and how often both readings give each reason."""
    for step in (AUTHORS, COUNTRIES, TERMS, REACH, CARRIED):
        connection.execute(step)
    checks: dict[str, int] = {}
    recounted: dict[str, dict[str, int]] = {}
    for reason, query in FOUND.items():
        connection.execute(f"CREATE OR REPLACE TABLE found AS SELECT DISTINCT item_id FROM ({query})")  # noqa: S608
        checks[f"allowed_although_{reason}"] = count(connection, "found JOIN fates USING (item_id) WHERE allowed")
        if reason in RECOUNTED:
            bit = BIT[Reason(reason)]
            recounted[reason] = {
                "decided": count(connection, f"fates WHERE reason_bits & {bit} <> 0"),
                "recounted": count(connection, "found"),
            }
    for name in (*ONCE, "found"):
        connection.execute(f"DROP TABLE {name}")
    return checks, recounted


def count(connection: Any, source: str) -> int:
    """Return how many rows a table or query has."""
    return int(connection.execute(f"SELECT count(*) FROM {source}").fetchall()[0][0])  # noqa: S608  (our own queries)
