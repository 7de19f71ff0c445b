"""An authority's order to erase: a slice, a corpus or a model, through the erasure of the main job, with its papers.

The order is recorded as a hold that nobody lifts, so that every later build denies the slice too; then it is erased.
Only when nothing of it is left does the ledger say that it was carried out, and once: the papers repeat that entry.
The pack holds what the authority needs to check it alone: the order, the certificate, the proofs of both in the ledger.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from demur import erasure
from demur.clock import iso
from demur.erasure import Destruction, Journal
from demur.errors import InputError, RefusedError
from demur.flows.erase import Erased, erase
from demur.flows.expire import destroy_version, left_the_house
from demur.flows.hold import find_hold, hold_facts, place_hold
from demur.flows.kept import forget as forget_decisions
from demur.flows.parts import Parts
from demur.flows.pending import pending, refuse_unfinished
from demur.flows.slice import Holder, Share, holders
from demur.ledger import Entry, EntryKind, Ledger
from demur.store import digest_file, read_json, write_bytes, write_json
from demur.terms.holds import Nature, PlacedHold
from demur.training import read_model

DESTROYED = "destroyed.jsonl"


@dataclass(frozen=True, slots=True)
class Executed:
    """What became of an order."""

    order: PlacedHold
    before: tuple[Holder, ...]
    """What held something of the slice when the order came."""
    after: tuple[Holder, ...]
    """The same question afterwards: every count of a slice is 0, and what was named as a whole is not here."""
    erased: Erased | None
    """``None``: nothing was left to erase, or a corpus or model was destroyed as a whole."""
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
        RefusedError: a corpus was named and an erasure for others is not finished, the erasure refuses, or something is
            left all the same; the order is recorded, and not carried out.
    """
    order = _record(parts, name, scope, clock())
    kept = parts.workspace.erasures / "orders" / order.hold_id
    before = _before(parts, order, kept)
    done = None
    if order.artefact is not None:
        _destroy(parts, order, kept, clock())
    elif any(one.share is None or one.share.items for one in before) or erasure.unfinished(parts.workspace.erasures):
        done = _erase(parts, clock, workers)
    after = holders(parts, order)
    _require_gone(order, after)
    pack = _pack(parts, order, kept, before=before, after=after, at=clock())
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
    """Finish what was begun, then erase what waits; ``None`` = nothing does."""
    begun, at = bool(erasure.unfinished(parts.workspace.erasures)), clock()
    if not begun and not pending(parts, by=at):
        return None
    done = erase(parts, at=at, workers=workers, clock=clock)
    return _erase(parts, clock, workers) or done if begun else done


def _require_gone(order: PlacedHold, after: Sequence[Holder]) -> None:
    """Refuse to call an order carried out while something of it is here, or while nobody can tell."""
    whole = order.artefact is not None
    left = [
        f"{one.what} {one.name}: {'unknown' if one.share is None else f'{one.share.items} items'}"
        for one in after
        if (one.name == order.artefact if whole else one.share is None or one.share.items)
    ]
    if left:
        raise RefusedError(
            "the order is recorded, but not carried out: something of it is left here, or nobody can tell, and nothing"
            " waits to be erased; run `demur corpus build`, then give the order again",
            left,
        )


def _destroy(parts: Parts, order: PlacedHold, kept: Path, at: datetime) -> None:
    """Destroy one corpus with the models that learned from it, or one model with its states."""
    space, name = parts.workspace, str(order.artefact)
    made = [read_model(path.parent) for path in sorted(space.models.glob("*/manifest.json"))]
    models = [one.model_id for one in made if one.status != "destroyed" and name in {one.model_id, one.corpus_id}]
    corpus = None if (space.models / name).exists() else name
    if corpus is not None:
        refuse_unfinished(parts)  # which stands on it; without a model it goes on
    destroy_version(parts, corpus, models, Destruction(space.root, kept / DESTROYED), at=at)
    forget_decisions(parts)


def _pack(
    parts: Parts,
    order: PlacedHold,
    kept: Path,
    *,
    before: tuple[Holder, ...],
    after: tuple[Holder, ...],
    at: datetime,
) -> Path:
    """Write the folder for the authority: order, counts before and after, what was destroyed, certificate, proofs."""
    journal = _journal(parts, order)
    if journal is not None:
        shutil.copyfile(journal.folder / "certificate.json", kept / "certificate.json")
    log = kept / DESTROYED
    facts: dict[str, Any] = {
        "order": hold_facts(order, at),
        "carried_out_at": iso(at),
        "before": [_plain(one) for one in before],
        "after": [_plain(one) for one in after],
        "certificate": None if journal is None else "certificate.json",
        "erasure": None if journal is None else journal.erasure_id,
        "destroyed": {DESTROYED: digest_file(log)} if log.exists() else None,
        "left_the_house": [
            one
            for corpus, left in left_the_house(parts).items()
            if corpus and corpus[:16] == order.artefact
            for one in left
        ],
    }
    placed = f"place:{order.hold_id}:{iso(order.valid_at)}"
    (index,) = parts.log(Entry(EntryKind.ERASURE, at, f"executed:{order.hold_id}", facts))
    with Ledger.open(parts.workspace.ledger, parts.keys) as ledger:
        facts = ledger.opening(index).facts  # of the first time, when it was carried out before
        write_json(kept / "order.json", facts)
        first = ledger.find(EntryKind.HOLD, placed)
        for number, name in ((first, "order"), (index, "execution")):
            if number is not None:
                write_bytes(kept / f"{name}.tlog-proof", ledger.prove(number).text().encode())
        write_bytes(kept / "ledger-key.txt", f"{ledger.verifier_key}\n".encode())
    write_bytes(kept / "READ-ME.txt", _words(facts).encode())
    return kept


def _journal(parts: Parts, order: PlacedHold) -> Journal | None:
    """Return the first erasure that took an order's slice out, of whichever round; ``None`` = there was none."""
    if order.artefact is not None:
        return None  # destroyed, not erased from
    since = parts.registry.restrictions_since(order.recorded_at - timedelta(microseconds=1))
    asked = {one.restriction_id for one in since if one.kind == "hold" and one.recorded_at == order.recorded_at}
    done = [Journal.load(path.parent) for path in parts.workspace.erasures.glob("*/certificate.json")]
    mine = [one for one in done if asked.intersection(one.request["restrictions"])]
    return min(mine, key=lambda one: str(one.request["facts"]["narrowed_at"]), default=None)


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
    if facts.get("left_the_house"):
        lines += ["", "Copies that left the house before, and that nobody here can destroy:"]
        lines += [f"  {one['at']}, ledger entry {one['ledger_entry']}" for one in facts["left_the_house"]]
    lines += ["", "order.json           the order and all counts"]
    if facts["certificate"]:
        lines.append("certificate.json     what was erased, destroyed and trained again; demur erase verify checks it")
    if facts.get("destroyed"):
        lines.append("destroyed.jsonl      every file that went: path, SHA-256, bytes, whether they were overwritten")
    lines.append(
        "*.tlog-proof         the order and its execution in the public ledger (c2sp.org/tlog-proof), ledger-key.txt"
    )
    return "\n".join(lines) + "\n"
