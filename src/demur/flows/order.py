"""An authority's order to erase: a slice, a corpus or a model, through the erasure of the main job, with its papers.

The order is recorded as a hold that nobody lifts, so that every later build denies the slice too; then it is erased.
The pack holds what the authority needs to check it alone: the order, the certificate, the proofs of both in the ledger.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from demur import erasure
from demur.clock import iso
from demur.erasure import Destruction
from demur.errors import InputError, RefusedError
from demur.flows.erase import Erased, erase
from demur.flows.hold import find_hold, hold_facts, place_hold
from demur.flows.kept import forget as forget_decisions
from demur.flows.media import doomed_with
from demur.flows.parts import Parts, current, set_current
from demur.flows.pending import refuse_unfinished
from demur.flows.slice import Holder, Share, holders
from demur.ledger import Entry, EntryKind, Ledger
from demur.store import read_json, write_bytes, write_json
from demur.terms.holds import Nature, PlacedHold
from demur.training import doomed, forget, read_model


@dataclass(frozen=True, slots=True)
class Executed:
    """What became of an order."""

    order: PlacedHold
    before: tuple[Holder, ...]
    """What held something of the slice when the order came."""
    after: tuple[Holder, ...]
    """The same question afterwards; every count is 0."""
    erased: Erased | None
    """``None``: nothing held anything of it, or a corpus or model was destroyed as a whole."""
    pack: Path


def execute(
    parts: Parts, name: str, scope: Mapping[str, Any], *, clock: Callable[[], datetime], workers: int | None = None
) -> Executed:
    """Carry out an order to erase; killed in between, the same call goes on.

    Args:
        parts: the workspace, alone.
        name: of the order.
        scope: as for ``place_hold``; ``artefact`` = one whole corpus or model.
        clock: the present instant.
        workers: processes.

    Raises:
        InputError: the order cannot be read, or the corpus or model is not here.
        RefusedError: an erasure for others was begun and not finished.
    """
    order = _record(parts, name, scope, clock())
    kept = parts.workspace.erasures / "orders" / order.hold_id
    before = _before(parts, order, kept)
    done = None
    if order.artefact is not None:
        refuse_unfinished(parts)
        _destroy(parts, order, kept, clock())
    elif any(one.share is None or one.share.items for one in before) or erasure.unfinished(parts.workspace.erasures):
        done = _erase(parts, clock, workers)
    after = holders(parts, order)
    pack = _pack(parts, order, kept, before=before, after=after, done=done, at=clock())
    return Executed(order, before, after, done, pack)


def _record(parts: Parts, name: str, scope: Mapping[str, Any], at: datetime) -> PlacedHold:
    known = [one for one in parts.registry.holds() if one.hold_id == name]
    if known:
        if known[-1].nature is not Nature.ORDER:
            raise InputError("expected the name of an order, found that of a hold; choose another name")
        return known[-1]  # a killed run is going on
    if any(part in name for part in "/\\") or name.startswith("."):
        raise InputError("expected a name without slashes that does not begin with a dot: it names a folder")
    artefact = scope.get("artefact")
    space = parts.workspace
    if artefact and not any((folder / artefact / "manifest.json").exists() for folder in (space.corpora, space.models)):
        raise InputError(
            "expected the id of a corpus or model in this workspace, found none; `demur status` names them"
        )
    place_hold(parts, name, {**scope, "nature": Nature.ORDER.value}, at=at)
    return find_hold(parts, name)


def _before(parts: Parts, order: PlacedHold, kept: Path) -> tuple[Holder, ...]:
    path = kept / "before.json"
    if not path.exists():
        write_json(path, [_plain(one) for one in holders(parts, order)])
    return tuple(
        Holder(one["what"], one["name"], None if one["share"] is None else Share(**one["share"]))
        for one in read_json(path)
    )


def _plain(one: Holder) -> dict[str, Any]:
    return {"what": one.what, "name": one.name, "share": None if one.share is None else asdict(one.share)}


def _erase(parts: Parts, clock: Callable[[], datetime], workers: int | None) -> Erased | None:
    begun = bool(erasure.unfinished(parts.workspace.erasures))
    try:
        done = erase(parts, at=clock(), workers=workers, clock=clock)
    except RefusedError:
        if begun:
            raise
        return None  # it was carried out by a round before this one
    return _erase(parts, clock, workers) or done if begun else done


def _destroy(parts: Parts, order: PlacedHold, kept: Path, at: datetime) -> None:
    """Destroy one corpus with the models that learned from it, or one model with its states."""
    space, name, here = parts.workspace, str(order.artefact), current(parts.workspace)
    made = [(path.parent, read_model(path.parent)) for path in sorted(space.models.glob("*/manifest.json"))]
    gone = [path for path, model in made if model.status != "destroyed" and name in {model.model_id, model.corpus_id}]
    rest = [path for path, model in made if model.status != "destroyed" and path not in gone]
    shards = {(head.region, head.shard) for path, model in made if path in gone for head in model.heads}
    paths = [space.corpora / name, *doomed_with(parts, name)] if (space.corpora / name).is_dir() else []
    paths += doomed(space.models, shards, gone=gone, kept=rest)
    Destruction(space.root, kept / "destroyed.jsonl").destroy(paths, at)
    for path in gone:
        forget(path)
    set_current(
        space,
        corpus=None if here.corpus == name else here.corpus,
        model=None if here.model in {path.name for path in gone} or here.corpus == name else here.model,
    )
    forget_decisions(parts)


def _pack(
    parts: Parts,
    order: PlacedHold,
    kept: Path,
    *,
    before: tuple[Holder, ...],
    after: tuple[Holder, ...],
    done: Erased | None,
    at: datetime,
) -> Path:
    """Write the folder for the authority: order, counts before and after, what was destroyed, certificate, proofs."""
    certificate = done.certificate if done else None
    facts = {
        "order": hold_facts(order, at),
        "carried_out_at": iso(at),
        "before": [_plain(one) for one in before],
        "after": [_plain(one) for one in after],
        "certificate": None if certificate is None else "certificate.json",
        "erasure": done.erasure_id if done else None,
    }
    write_json(kept / "order.json", facts)
    if certificate is not None:
        shutil.copyfile(certificate, kept / "certificate.json")
    entry = Entry(EntryKind.ERASURE, at, f"order:{order.hold_id}", {"order": order.hold_id, **facts})
    placed = f"place:{order.hold_id}:{iso(order.recorded_at)}"
    (index,) = parts.log(entry)
    with Ledger.open(parts.workspace.ledger, parts.keys) as ledger:
        first = ledger.find(EntryKind.HOLD, placed)
        for number, name in ((first, "order"), (index, "execution")):
            if number is not None:
                write_bytes(kept / f"{name}.tlog-proof", ledger.prove(number).text().encode())
        write_bytes(kept / "ledger-key.txt", f"{ledger.verifier_key}\n".encode())
    write_bytes(kept / "READ-ME.txt", _words(facts).encode())
    return kept


def _words(facts: Mapping[str, Any]) -> str:
    order = facts["order"]
    lines = [
        f"Order {order['hold']} of {order['authority']} ({order['instrument']})",
        f"Recorded {order['recorded_at']}, carried out {facts['carried_out_at']}.",
        "",
        "What held something of the slice, in items: before → after",
    ]
    left = {(one["what"], one["name"]): one["share"] for one in facts["after"]}
    for one in facts["before"]:
        now = left.get((one["what"], one["name"]), "gone")
        counts = [part if isinstance(part, str) else "unknown" if part is None else part["items"]
                  for part in (one["share"], now)]  # fmt: skip
        lines.append(f"  {one['what']} {one['name']}: {counts[0]} → {counts[1]}")
    lines += [
        "",
        "order.json           the order and all counts",
        "certificate.json     what was erased, destroyed and trained again; demur erase verify checks it",
        "*.tlog-proof         the order and its execution in the public ledger (c2sp.org/tlog-proof), ledger-key.txt",
    ]
    return "\n".join(lines) + "\n"
