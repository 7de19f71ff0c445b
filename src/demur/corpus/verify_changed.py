"""The verifier's verdict on a build upon another: what is as it was has been judged, the rest is judged again.

It finds for itself what changed, and asks no stage. People: by prints of everything that the rules read of an account,
a person or everybody, kept sealed beside each corpus. Fates, lineage and measures: by their sealed parts; a chunk has
a key of its own, so parts with the same keys hold the same rows; which of these have to do with a change says an index
that the verifier sealed with its last verdict (verify_where). Slices: by the digests of their files. Items: the
snapshot is the same by its digest. What an item is judged by beside these are the items above it, so whoever stands
below a changed one is judged again too; what a text is, all texts equal to a changed one are asked about. Slices with
other bytes are searched for every name that no record may say, the others for names that are new. Where this cannot be
told (other holds, campaigns or settings, another snapshot, a verdict that asked less), all is judged.

That every set of records, authors and fates agrees is then a statement about differences: what the slices gained and
lost is what lineage and fates gained and lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.corpus.disk import CORPUS
from demur.corpus.manifest import HOLDS, check_bytes, read_manifest, refuse
from demur.corpus.touched import MOST_PIECES
from demur.corpus.verify import (
    ASSERTED,
    ENGINE,
    ITEM_COLUMNS,
    PAIRED,
    READ,
    Verdict,
    among_items,
    connect,
    count,
    judge,
    load_people,
    load_settings,
    near_copies,
    objector_names,
    passages_kept,
    quoted,
    table,
)
from demur.corpus.verify_changed_rules import (
    AGAIN,
    BESIDE,
    CHANGED,
    FRESH,
    LINKED,
    NEEDED,
    OWNERS,
    REACHED,
    ROWWISE,
    SETS,
    WANTED,
)
from demur.corpus.verify_rows import Block, UnclearError, blocks, compared, divided, gathered, numbered, times, unpaired
from demur.corpus.verify_rules import CHECKS, NAMES, PRINTS
from demur.corpus.verify_texts import measured_otherwise, saying_names
from demur.corpus.verify_where import COLUMNS, WHERE, Where
from demur.corpus.write import KINDS, SEALED
from demur.lineage import SealedFile, buckets_of, write_sealed
from demur.store import KeyRing, commit_record, digest_file, read_json, remove_tree
from demur.store.contents import ids_of
from demur.terms.manifests import CorpusManifest, SliceDigest

JUDGED = "judged"
"""Sealed file of the prints that a verdict stands on."""
KEPT = (JUDGED, WHERE)
"""Sealed files that the verifier writes for the next verdict."""
_PRINTS: Any = pa.schema([("what", pa.string()), ("name", pa.string()), ("print", pa.uint64())])
_FREE = {"narrowed_at", "suppressed_words"}
"""Inputs that may differ: what they change shows in the prints and in the files."""
_MOST_READ = 250_000
"""Rows of the snapshot among which texts are drawn that are measured again."""
_MOST_HELD = 256 << 20
"""Bytes of fates that are kept at hand: who is asked for mostly stands where something changed."""


def stage(
    folder: Path, *, before: str | None, draft: str, written: str, items: str, standing: str, keys: str, upstream: str
) -> None:
    """Verify a build before it gets its manifest; seal what the verdict stands on, and commit it.

    Args:
        folder: where to commit, and to seal that.
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
    sealed = {kind: folder / CORPUS / "sealed" / f"{kind}.sealed" for kind in KEPT}
    for path in sealed.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        (Path(written) / "sealed" / path.name).unlink(missing_ok=True)  # of another verdict
    digests = check_bytes(Path(written), manifest, [f"sealed/{kind}.sealed" for kind in KINDS])
    given: dict[str, Any] = {"items": Path(items), "standing": Path(standing), "keys": ring}
    verdict: Verdict | None = None
    try:
        if before is not None and _upon(read_manifest(Path(before)), manifest):
            with connect(spill, encrypted=False) as engine:
                with suppress(UnclearError):
                    changes = _Changes(Path(written), manifest, Path(before), engine, **given)
                    verdict = changes.judged()
                if verdict is not None:
                    _keep(engine, changes.where, sealed, ring)
        if verdict is None:
            with connect(spill, encrypted=False) as engine:
                where = Where()
                verdict = judge(Path(written), manifest, engine, **given, seen=where.add)
                engine.execute(PRINTS)
                _keep(engine, where, sealed, ring)
    finally:
        remove_tree(spill)
    digests |= {f"sealed/{path.name}": digest_file(path) for path in sealed.values()}
    commit_record(folder, {"verdict": verdict.as_json(), "sealed": digests})


def _keep(engine: Any, where: Where, sealed: dict[str, Path], keys: KeyRing) -> None:
    """Seal what the next verdict goes on from; the prints name accounts and people."""
    reader = engine.sql("SELECT what, name, print FROM prints ORDER BY what, name").to_arrow_reader(50_000)
    pieces = ((number, pa.Table.from_batches([piece])) for number, piece in enumerate(reader))
    write_sealed(sealed[JUDGED], JUDGED, pieces, secret=keys.secret("lineage"), buckets=MOST_PIECES)
    where.seal(sealed[WHERE], keys.secret("lineage"))


def _upon(before: CorpusManifest, now: CorpusManifest) -> bool:
    """Say whether the verdict on a corpus says anything about this one."""
    same = all(before.inputs.get(name) == value for name, value in now.inputs.items() if name not in _FREE)
    asked = before.verdict.get("agrees") and set(before.verdict["checks"]) == ASSERTED
    return same and bool(asked) and all(f"sealed/{kind}.sealed" in before.sealed for kind in KEPT)


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
        self._snapshot, self._standing = sorted(items.rglob("*.parquet")), standing
        self._keys, self._secret = keys, keys.secret("lineage")
        self._earlier = read_manifest(before)
        self._files: dict[tuple[str, bool], SealedFile] = {}
        self._alike: list[str] = []
        """Paths of slices that have the same bytes."""
        self._other: list[str] = []
        """Paths of the others."""
        self._held: list[Any] = []
        """Fates of parts that were opened, as far as they fit."""
        self.where = Where()
        """Which part what stands in."""
        self._near: set[int] = set()
        """Parts in which fates may lie that are asked for."""

    def judged(self) -> Verdict | None:
        """Return the verdict; ``None`` if everything has to be judged."""
        if any(self._file(kind, True).buckets != self._file(kind, False).buckets for kind in READ):
            return None
        for kind in COLUMNS:
            self.where.carry(self._file(WHERE, False), kind, self._file(kind, False).present)
        self._engine.execute("SET threads = 1; SET preserve_insertion_order = true")  # rows as they come
        self._engine.execute("BEGIN")  # and never committed: what is small is not packed for the disk
        load_settings(self._engine, self._manifest, self._manifest.inputs["policy_facts"])
        load_people(self._engine, self._standing)
        self._engine.execute(PRINTS)
        if not self._load_changed():
            return None
        self._load_records()
        self._engine.execute(REACHED)
        held = self._load_fates()
        self._engine.execute(AGAIN)
        self._load_lineage()
        self._load_measures()
        self._engine.execute(NEEDED.format(columns=ITEM_COLUMNS))
        self._load_asked_fates(held)
        names, fresh = (objector_names(self._engine, self._manifest, query) for query in (NAMES, FRESH))
        self._engine.execute(BESIDE)
        checks, recounted = among_items(self._engine)
        for name, query in {**{name: CHECKS[name] for name in ROWWISE}, **SETS}.items():
            checks[name] = count(self._engine, f"({query})")
        measured = measured_otherwise(
            self._engine, self._manifest, snapshot=self._snapshot, standing=self._standing, keys=self._keys,
            most_read=_MOST_READ, rows=0,
        )  # fmt: skip
        near = near_copies(self._manifest, measured)
        checks["measured_otherwise"] = measured.otherwise
        checks["record_says_objector"] = sum(
            saying_names(some, map(self._folder.joinpath, paths), near)
            for some, paths in ((names, self._other), (fresh, self._alike))
        )
        checks["record_near_protected_text"] = near.found
        checks["record_says_protected_passage"] = passages_kept(
            self._engine, self._manifest, near, self._folder, self._snapshot, self._keys
        )
        checks["bands_beside_nothing"] = unpaired(*(self._file(kind, True) for kind in PAIRED))
        return Verdict(
            agrees=not any(checks.values()),
            checks=checks,
            recounted=recounted,
            records=sum(one.records for one in self._manifest.slices),
            items=count(self._engine, "read_parquet(getvariable('items'))"),
            engine=ENGINE,
            upon=self._earlier.digest,
            judged=count(self._engine, "again"),
            measured=measured.texts,
            sought=near.sought,
            unmet=near.unmet,
        )

    def _file(self, kind: str, now: bool) -> SealedFile:
        if (kind, now) not in self._files:
            folder = self._folder if now else self._before
            self._files[kind, now] = SealedFile(folder / "sealed" / f"{kind}.sealed", kind, secret=self._secret)
        return self._files[kind, now]

    def _blocks(self, kind: str) -> Iterator[Block]:
        """Yield what of a sealed file differs; enter it where the verifier finds it again."""
        for block in blocks(self._engine, self._file(kind, False), self._file(kind, True), READ[kind]):
            self.where.remove(kind, block.went_from, block.went)
            self.where.add(kind, block.came_to, block.came)
            yield block

    def _differing(self, kind: str) -> set[int]:
        return set(self._file(kind, True).differing(self._file(kind, False)))

    def _load_changed(self) -> bool:
        """Load whose prints are others than before; say whether those of everybody are the same."""
        table(self._engine, "former", pa.concat_tables([_PRINTS.empty_table(), *self._file(JUDGED, False).all()]))
        self._engine.execute(CHANGED)
        return not count(self._engine, "changed WHERE what = 'everybody'")

    def _name(self, variable: str, files: Iterable[object]) -> None:
        """Give the engine a list of files under a name."""
        self._engine.execute(f"SET VARIABLE {variable} = [{', '.join(map(quoted, files))}]")

    def _load_records(self) -> None:
        """Load the ids of records that came and went where the bytes of a slice are others; look at what it says."""
        listed = [{"file": str(self._folder / one.path), "records": one.records} for one in self._manifest.slices]
        table(self._engine, "slices", pa.Table.from_pylist(listed))
        self._name("slices", (one["file"] for one in listed))
        self._name("items", self._snapshot)
        old = {one.path: one for one in self._earlier.slices}
        new = {one.path: one for one in self._manifest.slices}
        faults: list[str] = []
        found: dict[str, list[Any]] = {name: [_SLICED.empty_table()] for name in ("came", "went", "twice")}
        for path in sorted(old.keys() | new.keys()):
            one, other = new.get(path), old.get(path)
            if one is not None and other is not None and _contents(one) == _contents(other):
                self._alike.append(path)
                continue
            here = _EMPTY if one is None else ids_of(self._folder / path, one.content_digest)
            if here is None:
                faults.append(HOLDS.format(path))
                continue
            if one is not None and one.records:
                self._other.append(path)
            ref = one or other
            assert ref is not None
            where = f"{ref.region}/{ref.shard}/{ref.slice}"
            for name, ids in compared(here, _records(self._before, other)):
                found[name].append(pa.table([ids, pa.repeat(where, len(ids))], schema=_SLICED))
        refuse(self._manifest, faults)
        for name, tables in found.items():
            table(self._engine, name, pa.concat_tables(tables))

    def _load_fates(self) -> list[int]:
        """Load the fates that differ; return the parts whose fates are at hand, as many as fit."""
        came, went = [], []
        held: list[int] = []
        for block in self._blocks("fates"):
            came.append(block.came)
            went.append(block.went)
            if sum(rows.nbytes for rows in self._held) < _MOST_HELD:
                self._held.append(block.rows)
                held += np.unique(block.parts).tolist()
        self._load("fates_after", came, SEALED["fates"])
        self._load("fates_before", went, SEALED["fates"])
        return held

    def _load_lineage(self) -> None:
        """Load the lineage that differs, and all of records, items and people that changed; count authors."""
        sought = {
            "record_id": self._column("SELECT record_id FROM came UNION SELECT record_id FROM went"),
            "item_id": self._column("SELECT item_id FROM again"),
            "person_id": self._column("SELECT name FROM changed WHERE what = 'person'"),
        }
        found, came, went, authors = [], [], [], [np.zeros(0, np.uint64)]

        def look(rows: Any) -> None:
            masks = [pc.is_in(rows[name], values) for name, values in sought.items()]
            found.append(rows.filter(pc.or_(masks[0], pc.or_(masks[1], masks[2]))))
            chosen = rows["record_id"].filter(pc.equal(rows["role"], "author"))
            authors.append(numbered(chosen.combine_chunks()))

        for block in self._blocks("lineage"):
            came.append(block.came)
            went.append(block.went)
            look(block.rows)
        self._load("lineage_after", came, SEALED["lineage"])
        self._load("lineage_before", went, SEALED["lineage"])
        self._engine.execute(LINKED)
        asked = self._column(
            "SELECT record_id FROM came UNION SELECT record_id FROM went "
            "UNION SELECT record_id FROM linked UNION SELECT record_id FROM unlinked"
        )
        file = self._file("lineage", True)
        further = {
            *self.where.parts("lineage", "record_id", asked),
            *self.where.parts("lineage", "item_id", sought["item_id"]),
            *self.where.parts("lineage", "person_id", sought["person_id"]),
        }
        for some in divided(further & file.present - self._differing("lineage")):
            look(gathered(file, some, SEALED["lineage"])[1])
        self._load("sought", [*found, *came], SEALED["lineage"])
        self._engine.execute("CREATE TABLE lineage AS SELECT DISTINCT * FROM sought")
        counted = times(numbered(asked), np.sort(np.concatenate(authors)))
        table(self._engine, "authored", pa.table({"record_id": asked, "n": pa.array(counted)}))

    def _load_measures(self) -> None:
        """Load the measures that differ, those of items that became something else, and all that is equal to these."""
        file, schema = self._file("measures", True), READ["measures"]
        differing = self._differing("measures")
        asked = self._column("SELECT item_id FROM changed_fates")
        found, came, went, near = [], [], [], []
        for block in self._blocks("measures"):
            came.append(block.came)
            went.append(block.went)
            mine = pc.is_in(block.rows["item_id"], pa.concat_arrays([asked, *block.came["item_id"].chunks]))
            found.append(block.rows.filter(mine))
            near.append(block.parts[mine.to_numpy(zero_copy_only=False)])
        for some in divided(self.where.parts("measures", "item_id", asked) - differing):
            parts, rows = gathered(file, some, schema)
            mine = pc.is_in(rows["item_id"], asked)
            found.append(rows.filter(mine))
            near.append(parts[mine.to_numpy(zero_copy_only=False)])
        self._load("measures_after", came, schema)
        self._load("measures_before", went, schema)
        new = _ids(came)
        again = [schema.empty_table()]
        for some in divided(self.where.parts("measures", "item_id", new, often=2)):
            rows = gathered(file, some, schema)[1]
            again.append(rows.filter(pc.is_in(rows["item_id"], new)))
        self._load("measured", again, schema)
        known = _ids(found)
        alike = pa.chunked_array([rows["exact"].combine_chunks() for rows in found], schema.field("exact").type)
        alike = pc.unique(alike.drop_null())
        for some in divided(self.where.parts("measures", "exact", alike)):
            parts, rows = gathered(file, some, schema)
            beside = pc.and_(pc.is_in(rows["exact"], alike), pc.invert(pc.is_in(rows["item_id"], known)))
            found.append(rows.filter(beside))
            near.append(parts[beside.to_numpy(zero_copy_only=False)])
        self._load("measures", found, schema)
        self._near.update(np.unique(np.concatenate([np.zeros(0, np.int64), *near])).tolist())

    def _load_asked_fates(self, held: list[int]) -> None:
        """Load the fates asked for: at hand, or from the parts of whoever may have made the items, or from all."""
        file, wanted = self._file("fates", True), self._column(WANTED)
        found = [rows.filter(pc.is_in(rows["item_id"], wanted)) for rows in self._held]
        looked = set(held)
        owners = (self._column(OWNERS), wanted)  # an item of nobody has a part of its own
        for parts in (*(self._near | self._parts_of(some) for some in owners), file.present):
            missing = wanted.filter(pc.invert(pc.is_in(wanted, _ids(found))))
            for numbers in divided(parts & file.present - looked) if len(missing) else ():
                looked |= set(numbers)
                rows = gathered(file, numbers, SEALED["fates"])[1]
                found.append(rows.filter(pc.is_in(rows["item_id"], missing)))
        self._load("some_fates", found, SEALED["fates"])
        self._engine.execute("CREATE TABLE fates AS SELECT DISTINCT * FROM some_fates")
        self._held.clear()

    def _parts_of(self, owners: Any) -> set[int]:
        return set(buckets_of(owners, self._file("fates", True).buckets).tolist())

    def _column(self, query: str) -> Any:
        found = self._engine.sql(query).to_arrow_table().column(0)
        return pa.chunked_array(found.chunks, pa.string()).combine_chunks()

    def _load(self, name: str, tables: Iterable[Any], schema: Any) -> None:
        table(self._engine, name, pa.concat_tables([schema.empty_table(), *tables]))


def _ids(tables: list[Any]) -> Any:
    return pa.concat_arrays([_EMPTY, *(chunk for rows in tables for chunk in rows["item_id"].chunks)])


_EMPTY = pa.array([], pa.string())
_SLICED: Any = pa.schema([("record_id", pa.string()), ("slice", pa.string())])


def _contents(one: SliceDigest) -> tuple[str, str]:
    return one.file_digest, one.content_digest


def _records(folder: Path, one: SliceDigest | None) -> Any:
    if one is None or not one.records:
        return _EMPTY
    found = pq.ParquetFile(folder / one.path, pre_buffer=False).read(columns=["record_id"], use_threads=False)
    return found["record_id"].combine_chunks()
