"""The verifier's verdict on a build upon another: what is as it was has been judged, the rest is judged again.

It finds for itself what changed, and asks no stage. People: by prints of everything that the rules read of an account,
a person or everybody, kept sealed beside each corpus. Fates and lineage: by their sealed parts; a chunk has a key of
its own, so parts with the same keys hold the same rows. Slices: by the digests of their files. Items: the snapshot is
the same by its digest. What an item is judged by beside these are the items above it, so whoever stands below a changed
one is judged again too. Where this cannot be told (other holds, campaigns or settings, another snapshot), all is.

That every set of records, authors and fates agrees is then a statement about differences: what the slices gained and
lost is what lineage and fates gained and lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.corpus.manifest import check_files, read_manifest
from demur.corpus.touched import MOST_PIECES
from demur.corpus.verify import (
    ENGINE,
    ITEM_COLUMNS,
    Verdict,
    among_items,
    connect,
    count,
    judge,
    load_people,
    load_settings,
    table,
)
from demur.corpus.verify_rules import CHECKS, PRINTS
from demur.corpus.write import SEALED
from demur.lineage import SealedFile, buckets_of, write_sealed
from demur.store import KeyRing, commit_record, digest_file, read_json, remove_tree
from demur.terms.manifests import CorpusManifest, SliceDigest

JUDGED = "judged"
"""Sealed file of the prints that a verdict stands on."""
_PRINTS: Any = pa.schema([("what", pa.string()), ("name", pa.string()), ("print", pa.uint64())])
_FREE = {"narrowed_at", "suppressed_words"}
"""Inputs that may differ: what they change shows in the prints and in the files."""
_KEPT = (
    "record_of_no_allowed_item",
    "copy_of_no_allowed_item",
    "withheld_item_used",
    "owner_unknown",
    "owner_objected",
    "owner_of_unknown_age",
    "owner_minor",
    "copy_of_withheld_item",
)
"""Checks that look at one row and what it points to: the same words, over the rows at hand."""

_CHANGED = """
CREATE TABLE changed AS
    SELECT what, name FROM (
        SELECT coalesce(a.what, b.what) AS what, coalesce(a.name, b.name) AS name
        FROM prints a FULL JOIN earlier b ON a.what = b.what AND a.name = b.name
        WHERE a.print IS DISTINCT FROM b.print);
CREATE TABLE changed_accounts AS
    SELECT name AS account_id FROM changed WHERE what = 'account'
    UNION SELECT account_id FROM accounts WHERE person_id IN (SELECT name FROM changed WHERE what = 'person');
CREATE TABLE changed_fates AS
    (SELECT * FROM fates_after EXCEPT SELECT * FROM fates_before)
    UNION ALL (SELECT * FROM fates_before EXCEPT SELECT * FROM fates_after);
CREATE TABLE edges AS
    SELECT item_id, parent_id AS above FROM read_parquet(getvariable('items')) WHERE parent_id IS NOT NULL
    UNION ALL
    SELECT item_id, original_id FROM read_parquet(getvariable('items')) WHERE original_id IS NOT NULL;
CREATE TABLE again AS
    WITH RECURSIVE down(item_id) AS (
        SELECT item_id FROM changed_fates
        UNION SELECT name FROM changed WHERE what = 'suppressed'
        UNION SELECT item_id FROM read_parquet(getvariable('items'))
              WHERE account_id IN (SELECT account_id FROM changed_accounts)
        UNION SELECT item_id FROM (
                SELECT item_id, unnest(co_account_ids) AS account_id FROM read_parquet(getvariable('items'))
                WHERE co_account_ids IS NOT NULL) SEMI JOIN changed_accounts USING (account_id)
        UNION SELECT e.item_id FROM down d JOIN edges e ON e.above = d.item_id
    )
    SELECT item_id FROM down;
-- records as they came, went or moved
CREATE TABLE came AS SELECT record_id, slice FROM records_after EXCEPT SELECT record_id, slice FROM records_before;
CREATE TABLE went AS SELECT record_id, slice FROM records_before EXCEPT SELECT record_id, slice FROM records_after;
CREATE TABLE linked AS SELECT * FROM lineage_after EXCEPT SELECT * FROM lineage_before;
CREATE TABLE unlinked AS SELECT * FROM lineage_before EXCEPT SELECT * FROM lineage_after;
-- where lineage says so: an author may be another person now, in the same slice
CREATE TABLE placed AS SELECT record_id, slice FROM linked WHERE role = 'author';
CREATE TABLE displaced AS SELECT record_id, slice FROM unlinked WHERE role = 'author';
"""

_NEEDED = """
CREATE TABLE needed AS
    WITH RECURSIVE up(item_id) AS (
        SELECT item_id FROM again UNION SELECT item_id FROM lineage
        UNION SELECT e.above FROM up u JOIN edges e ON e.item_id = u.item_id
    )
    SELECT item_id FROM up;
CREATE TABLE items AS SELECT {columns} FROM read_parquet(getvariable('items')) SEMI JOIN needed USING (item_id);
"""

_OWNERS = """
SELECT DISTINCT coalesce(a.person_id, i.item_id)
FROM items i LEFT JOIN accounts a ON a.account_id = i.account_id
UNION SELECT item_id FROM items WHERE account_id IS NOT NULL
"""
"""In whose parts the fates of the items may lie."""

_SETS: dict[str, str] = {
    "item_without_one_decision": """SELECT item_id FROM (SELECT item_id, 1 AS b, 0 AS a FROM fates_before
        UNION ALL SELECT item_id, 0, 1 FROM fates_after) GROUP BY item_id HAVING sum(b) <> 1 OR sum(a) <> 1""",
    "record_twice": """SELECT record_id FROM records_after GROUP BY record_id HAVING count(*) > 1""",
    "record_in_another_slice": """
        (SELECT * FROM came EXCEPT SELECT * FROM (FROM placed EXCEPT FROM displaced))
        UNION (SELECT * FROM (FROM placed EXCEPT FROM displaced) EXCEPT SELECT * FROM came)
        UNION (SELECT * FROM went EXCEPT SELECT * FROM (FROM displaced EXCEPT FROM placed))
        UNION (SELECT * FROM (FROM displaced EXCEPT FROM placed) EXCEPT SELECT * FROM went)""",
    "lineage_without_record": """SELECT l.record_id FROM lineage l JOIN (
            SELECT record_id FROM linked UNION SELECT record_id FROM unlinked UNION SELECT record_id FROM went
        ) USING (record_id)
        WHERE record_id NOT IN (SELECT record_id FROM lineage WHERE role = 'author')""",
    "record_without_one_author": """
        SELECT record_id FROM (SELECT record_id FROM came UNION SELECT record_id FROM placed)
        LEFT JOIN (SELECT record_id, count(*) AS n FROM lineage WHERE role = 'author' GROUP BY record_id)
        USING (record_id) WHERE coalesce(n, 0) <> 1""",
    "allowed_item_lost": """
        SELECT item_id FROM fates_after WHERE allowed AND (exclusion IS NULL) = (record_id IS NULL)
        UNION ALL (SELECT record_id FROM fates_after EXCEPT SELECT record_id FROM fates_before
            EXCEPT (SELECT record_id FROM came EXCEPT SELECT record_id FROM went) EXCEPT SELECT NULL)
        UNION ALL (SELECT record_id FROM came EXCEPT SELECT record_id FROM went
            EXCEPT SELECT record_id FROM fates_after)
        UNION ALL (SELECT record_id FROM fates_before EXCEPT SELECT record_id FROM fates_after
            EXCEPT SELECT record_id FROM went EXCEPT SELECT NULL)
        UNION ALL (SELECT record_id FROM went EXCEPT SELECT record_id FROM came
            EXCEPT SELECT record_id FROM fates_before)""",
    "slice_of_another_size": """SELECT s.file FROM slices s
        LEFT JOIN (SELECT file_name AS file, num_rows FROM parquet_file_metadata(getvariable('slices'))) USING (file)
        WHERE coalesce(num_rows, 0) <> s.records""",
}
"""The checks that look at sets, of what differs; words of CHECKS, and empty only when these are."""


def stage(
    folder: Path, *, before: str | None, draft: str, written: str, items: str, standing: str, keys: str, upstream: str
) -> None:
    """Verify a build before it gets its manifest; seal what the verdict stands on, and commit it.

    Args:
        folder: where to commit.
        before: folder of the corpus that the build carried on from the same snapshot; ``None`` = judge everything.
        draft: file of the manifest to be.
        written: folder of the written corpus.
        items: folder of the snapshot.
        standing: folder of the people tables.
        keys: folder of the key ring.
        upstream: call of the stage before.
    """
    assert upstream
    found = read_json(Path(draft))
    manifest = CorpusManifest(**{**found, "slices": tuple(SliceDigest(**one) for one in found["slices"])})
    ring, spill = KeyRing(Path(keys)), folder / "spill"
    spill.mkdir()
    prints = Path(written) / "sealed" / f"{JUDGED}.sealed"
    prints.unlink(missing_ok=True)  # of a run that was killed
    given: dict[str, Any] = {"items": Path(items), "standing": Path(standing), "keys": ring}
    verdict: Verdict | None = None
    try:
        if before is not None and _upon(read_manifest(Path(before)), manifest):
            with connect(spill, encrypted=False) as engine:
                verdict = _Changes(Path(written), manifest, Path(before), engine, **given).judged()
                if verdict is not None:
                    _keep(engine, prints, ring)
        if verdict is None:
            with connect(spill, encrypted=False) as engine:
                verdict = judge(Path(written), manifest, engine, **given)
                engine.execute(PRINTS)
                _keep(engine, prints, ring)
    finally:
        remove_tree(spill)
    commit_record(folder, {"verdict": verdict.as_json(), "sealed": {f"sealed/{prints.name}": digest_file(prints)}})


def _keep(engine: Any, path: Path, keys: KeyRing) -> None:
    """Seal the prints; they name accounts and people."""
    reader = engine.sql("SELECT what, name, print FROM prints ORDER BY what, name").to_arrow_reader(50_000)
    pieces = ((number, pa.Table.from_batches([piece])) for number, piece in enumerate(reader))
    write_sealed(path, JUDGED, pieces, secret=keys.secret("lineage"), buckets=MOST_PIECES)


def _upon(before: CorpusManifest, now: CorpusManifest) -> bool:
    """Say whether the verdict on a corpus says anything about this one."""
    same = all(before.inputs.get(name) == value for name, value in now.inputs.items() if name not in _FREE)
    return same and bool(before.verdict.get("agrees")) and f"sealed/{JUDGED}.sealed" in before.sealed


class _Changes:
    """What differs between two corpora, judged."""

    def __init__(
        self,
        folder: Path,
        manifest: CorpusManifest,
        before: Path,
        engine: Any,
        *,
        items: Path,
        standing: Path,
        keys: KeyRing,
    ) -> None:
        self._folder, self._manifest, self._before, self._engine = folder, manifest, before, engine
        self._items, self._standing, self._secret = items, standing, keys.secret("lineage")
        self._earlier = read_manifest(before)

    def judged(self) -> Verdict | None:
        """Return the verdict; ``None`` if everything has to be judged."""
        check_files(self._folder, self._manifest)
        load_settings(self._engine, self._manifest, self._manifest.inputs["policy_facts"])
        load_people(self._engine, self._standing)
        self._engine.execute(PRINTS)
        table(
            self._engine,
            "earlier",
            pa.concat_tables([_PRINTS.empty_table(), *self._sealed(JUDGED, self._before).all()]),
        )
        if count(
            self._engine, "prints a JOIN earlier b USING (what, name) WHERE what = 'everybody' AND a.print <> b.print"
        ):
            return None
        if not self._load_differences():
            return None
        self._engine.execute(_CHANGED)
        self._load_lineage()
        self._engine.execute(_NEEDED.format(columns=ITEM_COLUMNS))
        self._load_fates()
        checks, recounted = among_items(self._engine)
        for name, query in {**{name: CHECKS[name] for name in _KEPT}, **_SETS}.items():
            checks[name] = count(self._engine, f"({query})")
        return Verdict(
            agrees=not any(checks.values()),
            checks=checks,
            recounted=recounted,
            records=sum(one.records for one in self._manifest.slices),
            items=count(self._engine, "read_parquet(getvariable('items'))"),
            engine=ENGINE,
            upon=self._earlier.digest,
            judged=count(self._engine, "again"),
        )

    def _sealed(self, kind: str, corpus: Path) -> SealedFile:
        return SealedFile(corpus / "sealed" / f"{kind}.sealed", kind, secret=self._secret)

    def _load_differences(self) -> bool:
        """Load the rows of all parts and slices that differ, as they were and as they are."""
        for kind, schema in SEALED.items():
            then, now = self._sealed(kind, self._before), self._sealed(kind, self._folder)
            if then.buckets != now.buckets:
                return False
            parts = now.differing(then)
            for name, file in (("before", then), ("after", now)):
                self._load(f"{kind}_{name}", (rows for _, rows in file.gathered(parts)), schema)
        listed = [{"file": str(self._folder / one.path), "records": one.records} for one in self._manifest.slices]
        table(self._engine, "slices", pa.Table.from_pylist(listed))
        self._name("slices", (one["file"] for one in listed))
        self._name("items", map(str, sorted(self._items.rglob("*.parquet"))))
        self._load_records("before", self._before, self._earlier, self._manifest)
        self._load_records("after", self._folder, self._manifest, self._earlier)
        for name in ("before", "after"):
            where = "region || '/' || shard || '/' || slice"
            self._engine.execute(f"ALTER TABLE lineage_{name} ALTER slice TYPE VARCHAR USING {where}")
        return True

    def _name(self, variable: str, files: Iterable[object]) -> None:
        """Give the engine a list of files under a name."""
        quoted = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
        self._engine.execute(f"SET VARIABLE {variable} = [{quoted}]")

    def _load_records(self, name: str, folder: Path, mine: CorpusManifest, other: CorpusManifest) -> None:
        """Load the record ids of slices whose bytes the other corpus has not."""
        known = {(one.path, one.file_digest) for one in other.slices}
        files = [one for one in mine.slices if (one.path, one.file_digest) not in known and one.records]
        found = [_SLICED.empty_table()]
        for one in files:
            ids = _records_of(folder / one.path)
            where = np.full(len(ids), f"{one.region}/{one.shard}/{one.slice}", dtype=object)
            found.append(pa.table([ids, pa.array(where, pa.string())], schema=_SLICED))
        table(self._engine, f"records_{name}", pa.concat_tables(found))

    def _load_lineage(self) -> None:
        """Load all lineage of what changed: of its records, its items, its people. Reads the sealed file once."""
        records = self._column(
            "SELECT record_id FROM came UNION SELECT record_id FROM went "
            "UNION SELECT record_id FROM linked UNION SELECT record_id FROM unlinked"
        )
        items = self._column("SELECT item_id FROM again")
        people = self._column("SELECT name FROM changed WHERE what = 'person'")
        sought = {"record_id": records, "item_id": items, "person_id": people}

        def chosen(rows: Any) -> Any:
            masks = [pc.is_in(rows[name], values) for name, values in sought.items()]
            return rows.filter(pc.or_(masks[0], pc.or_(masks[1], masks[2])))

        file = self._sealed("lineage", self._folder)
        rows = (chosen(rows) for _, rows in file.gathered(sorted(file.present)))
        self._load("lineage", rows, SEALED["lineage"])

    def _load_fates(self) -> None:
        """Load the fates of the items at hand: from the parts of whoever may have made them, else from all."""
        file, wanted = self._sealed("fates", self._folder), self._column("SELECT item_id FROM items")
        parts = set(buckets_of(self._column(_OWNERS), file.buckets).tolist())
        found: list[Any] = []
        for some in (parts, file.present - parts):
            if not pc.all(pc.is_in(wanted, _ids(found))).as_py():
                gathered = (rows for _, rows in file.gathered(sorted(some)))
                found += [rows.filter(pc.is_in(rows["item_id"], wanted)) for rows in gathered]
        self._load("fates", found, SEALED["fates"])

    def _column(self, query: str) -> Any:
        found = self._engine.sql(query).to_arrow_table().column(0)
        return pa.chunked_array(found.chunks, pa.string()).combine_chunks()

    def _load(self, name: str, tables: Iterable[Any], schema: Any) -> None:
        batches = (batch for rows in tables for batch in rows.select(schema.names).cast(schema).to_batches())
        table(self._engine, name, pa.RecordBatchReader.from_batches(schema, batches))


def _ids(tables: list[Any]) -> Any:
    return pa.concat_arrays([pa.array([], pa.string()), *(rows["item_id"].combine_chunks() for rows in tables)])


_SLICED: Any = pa.schema([("record_id", pa.string()), ("slice", pa.string())])


def _records_of(path: Path) -> Any:
    return pq.ParquetFile(path).read(columns=["record_id"], use_threads=False)["record_id"].combine_chunks()
