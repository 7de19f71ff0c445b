"""Signed, chained receipts: ``out = F(parent, records, plan)`` for every (region, shard, slice) (ERASURE §5).

Receipts name nobody: the people of a slice are a Merkle root that the caller hands in. Not handled here: the tree
(ledger.people_tree), training.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from demur.errors import BrokenError
from demur.ledger.people_tree import people_root
from demur.store.contents import EMPTY
from demur.store.files import canonical, digest_json, read_json, write_json
from demur.terms.manifests import Receipt, SliceDigest, SliceRef, TrainPlan
from demur.training.plan import plan_digest
from demur.training.states import StateFacts

PeopleRoots = Mapping[SliceRef, tuple[str, int]]
"""Slice → (root, leaves) over its blinded persons, from ``ledger.people_tree.people_root``."""


def initial_state(digest: str, region: str, shard: int) -> str:
    """Return the digest that stands for the state before slice 0: it follows from plan, region and shard alone."""
    return digest_json(["initial", digest, region, shard])


def write_chain(
    folder: Path,
    plan: TrainPlan,
    region: str,
    shard: int,
    facts: Mapping[int, StateFacts],
    *,
    slices: Mapping[SliceRef, SliceDigest],
    people: PeopleRoots,
    platform: str,
    signer: Ed25519PrivateKey,
) -> list[Receipt]:
    """Write one shard's receipts, one a slice, each naming the one before; empty slices leave the state as it was.

    Args:
        folder: the model folder.
        plan: published constants.
        region: where the shard belongs.
        shard: its number.
        facts: what was learned, for the slices with records.
        slices: the corpus' slices with records.
        people: roots by slice; a slice not named has nobody.
        platform: digest of the fingerprint.
        signer: the workspace's signing key.

    Returns:
        The receipts in order.
    """
    state, parent, chain, digest = initial_state(plan_digest(plan), region, shard), None, [], plan_digest(plan)
    for number in range(plan.slices):
        place = SliceRef(region, shard, number)
        found, corpus = facts.get(number), slices.get(place)
        root, leaves = people.get(place, people_root([]))
        receipt = Receipt(
            plan_digest=digest,
            corpus_slice_digest=corpus.content_digest if corpus else EMPTY,
            region=region,
            shard=shard,
            slice=number,
            parent_receipt=parent,
            parent_state=state,
            out_state=found.out_state if found else state,
            people_root=root,
            people_leaves=leaves,
            records=found.records if found else 0,
            tokens=found.tokens if found else 0,
            holes=found.holes if found else plan.epochs * plan.cells,
            platform=platform,
        )
        receipt = sign(receipt, signer)
        chain.append(receipt)
        state, parent = receipt.out_state, receipt_digest(receipt)
    write_json(chain_path(folder, region, shard), [asdict(receipt) for receipt in chain])
    return chain


def chain_path(folder: Path, region: str, shard: int) -> Path:
    """Return the file of a shard's receipts."""
    return folder / "receipts" / region / f"shard-{shard:03d}.json"


def read_chain(folder: Path, region: str, shard: int) -> list[Receipt]:
    """Read one shard's receipts.

    Raises:
        BrokenError: the file is missing, damaged or of another shape.
    """
    path = chain_path(folder, region, shard)
    try:
        return [Receipt(**entry) for entry in read_json(path)]
    except TypeError as error:
        raise BrokenError(f"expected receipts in {path.name}, found another shape; restore the file") from error


def all_chains(folder: Path, plan: TrainPlan) -> Iterator[list[Receipt]]:
    """Yield every shard's receipts, regions and shards in order."""
    for region in plan.regions:
        for shard in range(plan.shards):
            yield read_chain(folder, region, shard)


def receipt_digest(receipt: Receipt) -> str:
    """Return the digest that the next receipt, the head and the certificate name a receipt by."""
    return digest_json(asdict(receipt))


def sign(receipt: Receipt, signer: Ed25519PrivateKey) -> Receipt:
    """Return the receipt with its signature (Ed25519, RFC 8032, over canonical JSON)."""
    return replace(receipt, signature=base64.b64encode(signer.sign(_body(receipt))).decode())


def _body(receipt: Receipt) -> bytes:
    plain: dict[str, Any] = asdict(receipt)
    del plain["signature"]
    return canonical(plain)


def chain_faults(chain: Sequence[Receipt], digest: str, platform: str, verifier: Ed25519PublicKey) -> list[str]:
    """Return what is wrong with one shard's chain: signatures, order, links, plan, platform; empty = nothing."""
    if not chain:
        return ["a shard without receipts"]
    faults: list[str] = []
    state, parent = initial_state(digest, chain[0].region, chain[0].shard), None
    for number, receipt in enumerate(chain):
        name = f"{receipt.region}/{receipt.shard:03d}/{receipt.slice}"
        checks = {
            "its signature does not verify": _signed(receipt, verifier),
            "it is out of order": receipt.slice == number and receipt.region == chain[0].region,
            "it does not name the receipt before it": receipt.parent_receipt == parent,
            "it does not begin where the one before ended": receipt.parent_state == state,
            "it was made under another plan": receipt.plan_digest == digest,
            "it was made on another platform": receipt.platform == platform,
            "it changed the state without a record": receipt.records > 0 or receipt.out_state == receipt.parent_state,
        }
        faults += [f"receipt {name}: {fault}" for fault, holds in checks.items() if not holds]
        state, parent = receipt.out_state, receipt_digest(receipt)
    return faults


def _signed(receipt: Receipt, verifier: Ed25519PublicKey) -> bool:
    try:
        verifier.verify(base64.b64decode(receipt.signature, validate=True), _body(receipt))
    except (InvalidSignature, binascii.Error):
        return False
    return True
