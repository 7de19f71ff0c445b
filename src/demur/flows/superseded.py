"""What is beside the current corpus and model when an erasure comes: what of it goes, and what may stay.

An older corpus is not built again. It stays only when nothing in it can be otherwise now: nobody who leaves is in it,
no name of theirs stands in it, and no item of theirs could begin to protect copies that somebody else made (COR-05).
Where nobody can tell, it goes. Older models go with what they learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.clock import parse
from demur.corpus import read_manifest, touched
from demur.flows.parts import Parts
from demur.flows.pending import SOURCE_STATE
from demur.lineage import SealedFile
from demur.people import Restriction
from demur.terms.content import Kind
from demur.terms.reasons import Reason, bits
from demur.training import read_model

_SAID_NO = bits({Reason.OBJECTED, Reason.SUPPRESSED})
"""An item with one of these protects its copies already, and the copies of what carries it."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """What is in the workspace beside the current corpus and model, and must go in an erasure."""

    corpora: tuple[str, ...]
    models: tuple[str, ...]
    kept: tuple[str, ...]
    """Older corpora in which nothing can be otherwise now."""


def superseded(
    parts: Parts,
    restrictions: Sequence[Restriction],
    *,
    before: Path,
    after: Path,
    model: Path | None,
    people: Sequence[str],
    names: Sequence[str],
    source: str,
) -> Superseded:
    """Return older corpora and models that somebody who leaves may be in, or matter to.

    Args:
        parts: the workspace.
        restrictions: what the erasure honours; one that is about no person (a hold) may be about anything.
        before: the corpus before.
        after: the corpus after.
        model: the current model before.
        people: everybody whom the restrictions are about, with linked ids.
        names: their full names.
        source: state of the imported tables; a corpus that was made from another one may hold what was deleted.
    """
    unbound = any(one.person_id is None and one.kind != "source" for one in restrictions)
    leaving = _Leaving(parts, people, names)
    gone: list[str] = []
    kept: list[str] = []
    for folder in sorted(parts.workspace.corpora.glob("[!.]*")):
        if folder not in (before, after):
            whole = not unbound and (folder / "manifest.json").exists()
            stays = whole and read_manifest(folder).inputs.get(SOURCE_STATE) == source and not leaving.matter_to(folder)
            (kept if stays else gone).append(folder.name)
    fine = {*kept, *([before.name] if after == before else [])}
    models = []
    for path in sorted(parts.workspace.models.glob("*/manifest.json")):
        made = read_model(path.parent)
        if path.parent != model and made.status != "destroyed" and made.corpus_id not in {*fine, after.name}:
            models.append(path.parent.name)
    return Superseded(tuple(gone), tuple(models), tuple(kept))


class _Leaving:
    """Those who leave, asked of one corpus after the other."""

    def __init__(self, parts: Parts, people: Sequence[str], names: Sequence[str]) -> None:
        self._parts, self._people, self._names = parts, sorted(set(people)), names

    def matter_to(self, corpus: Path) -> bool:
        """Say whether anything in a corpus may be otherwise without them, or nobody can tell."""
        return (
            bool(touched(corpus, self._people, keys=self._parts.keys, names=self._names))
            or self._may_protect(corpus)
            or self._unknown_to(corpus)
            or self._beside_others
        )

    def _may_protect(self, corpus: Path) -> bool:
        """Say whether they have an item there that was not out for an objection: from now on it protects its copies."""
        fates = SealedFile(corpus / "sealed" / "fates.sealed", "fates", secret=self._parts.keys.secret("lineage"))
        for person in self._people:
            for table in fates.bucket(person):
                said = pc.bit_wise_and(pc.fill_null(table["reason_bits"], 0), _SAID_NO)
                if pc.any(pc.and_(pc.equal(table["person_id"], person), pc.equal(said, 0))).as_py():
                    return True
        return False

    def _unknown_to(self, corpus: Path) -> bool:
        """Say whether an account of theirs had another owner, or none, when the corpus was made."""
        made = parse(read_manifest(corpus).inputs["narrowed_at"])
        return any(row["recorded_at"] > made or row["person_id"] not in self._people for row in self._accounts)

    @cached_property
    def _beside_others(self) -> bool:
        """Whether any item has one of their accounts as a co-author: its fate lies with its author's.

        An item names its co-authors; whoever made another version of it is one too (``intake/latest.py``).
        """
        accounts = pa.array(sorted({row["account_id"] for row in self._accounts}), pa.string())
        theirs: set[str] = set()
        for part in self._items:
            table = pq.read_table(part, columns=["item_id", "account_id", "co_account_ids"])
            if pc.any(pc.is_in(pc.list_flatten(table["co_account_ids"]), value_set=accounts)).as_py():
                return True
            made = table["item_id"].filter(pc.is_in(table["account_id"], value_set=accounts))
            theirs.update(made.unique().to_pylist())
        return bool(theirs) and any(self._made_by_others(part, theirs, accounts) for part in self._items)

    @staticmethod
    def _made_by_others(part: Path, theirs: set[str], accounts: pa.Array) -> bool:
        """Say whether a part has a version of some items that another account made, or nobody knows which."""
        table = pq.read_table(part, columns=["item_id", "account_id", "kind"])
        here = pc.is_in(table["item_id"], value_set=pa.array(sorted(theirs), pa.string()))
        other = pc.invert(pc.is_in(table["account_id"], value_set=accounts))
        silent = pc.and_(pc.is_null(table["account_id"]), pc.equal(table["kind"], Kind.METADATA.value))
        return bool(pc.any(pc.and_(here, pc.and_not(other, silent))).as_py())

    @cached_property
    def _items(self) -> list[Path]:
        return sorted((self._parts.workspace.source / "items").glob("*.parquet"))

    @cached_property
    def _accounts(self) -> list[dict[str, Any]]:
        """Who owned their accounts, as ever recorded."""
        return [row for person in self._people for row in self._parts.registry.about(person)["accounts"]]
