"""A small made-up erasure: corpora, a model with real receipts, and a certificate over them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from demur.corpus.manifest import corpus_digest
from demur.erasure import (
    Certificate,
    Destroyed,
    ModelChange,
    Phases,
    RecordDelta,
    draft,
    file_digests,
    issue,
    plan,
    request_commitment,
)
from demur.ledger import Entry, EntryKind, Ledger, people_root
from demur.store import KeyRing
from demur.store.files import digest_json
from demur.terms.manifests import (
    CorpusManifest,
    CorpusRecipe,
    ErasurePlan,
    ModelManifest,
    Receipt,
    RegionModel,
    SliceDigest,
    SliceRef,
)
from demur.training.modelfiles import model_digest_of
from demur.training.receipts import initial_state, receipt_digest, sign

AT = datetime(2025, 6, 1, 12, tzinfo=UTC)
RECIPE = CorpusRecipe(regions={"fr": "fr"}, shards=3, slices=3)
PLAN_DIGEST = digest_json("plan")
PLATFORM = digest_json("platform")


def place(person: str) -> SliceRef:
    number = int(hashlib.sha256(person.encode()).hexdigest(), 16)
    return SliceRef("fr" if number % 5 else "other", number // 5 % RECIPE.shards, number // 97 % RECIPE.slices)


def blind(person: str) -> str:
    return KeyRing(Path("/nowhere"), seed=b"world").mac("blind", person).hex()


def by_slice(people: Mapping[str, int]) -> dict[SliceRef, list[str]]:
    """Slice → blinded persons in it."""
    found: dict[SliceRef, list[str]] = {}
    for person, records in people.items():
        if records:
            found.setdefault(place(person), []).append(blind(person))
    return {where: sorted(who) for where, who in found.items()}


def corpus(people: Mapping[str, int]) -> CorpusManifest:
    """A corpus in which each person has some records; equal content gives equal digests."""
    slices = []
    for where in sorted(by_slice(people), key=lambda one: (one.region, one.shard, one.slice)):
        content = sorted((person, count) for person, count in people.items() if count and place(person) == where)
        path = f"data/{where.region}/shard-{where.shard:03d}/slice-{where.slice}.parquet"
        raw = repr(content).encode()
        digest = hashlib.sha256(raw).hexdigest()
        slices.append(
            SliceDigest(where.region, where.shard, where.slice, path, sum(n for _, n in content), digest, digest)
        )
    digest = corpus_digest(RECIPE, slices)
    inputs = {"recipe": RECIPE.as_json(), "source": "s", "as_of": "2025-05-27", "known_at": str(len(people))}
    return CorpusManifest(digest[:16], digest, inputs, tuple(slices), {}, {})


def write_corpus(folder: Path, people: Mapping[str, int]) -> None:
    for one in corpus(people).slices:
        where = SliceRef(one.region, one.shard, one.slice)
        content = sorted((person, count) for person, count in people.items() if count and place(person) == where)
        (folder / one.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / one.path).write_bytes(repr(content).encode())


def chains(people: Mapping[str, int], keys: KeyRing, *, named: bool = True) -> list[list[Receipt]]:
    """What an ideal training leaves: the state is a digest of everything before it."""
    contents = {SliceRef(one.region, one.shard, one.slice): one for one in corpus(people).slices}
    inside = by_slice(people) if named else {}
    found = []
    for region in ("fr", "other"):
        for shard in range(RECIPE.shards):
            state, parent, chain = initial_state(PLAN_DIGEST, region, shard), None, []
            for number in range(RECIPE.slices):
                where = SliceRef(region, shard, number)
                here = contents.get(where)
                root, leaves = people_root(inside.get(where, []))
                out = digest_json([state, here.content_digest]) if here else state
                receipt = Receipt(
                    plan_digest=PLAN_DIGEST,
                    corpus_slice_digest=here.content_digest if here else hashlib.sha256(b"").hexdigest(),
                    region=region,
                    shard=shard,
                    slice=number,
                    parent_receipt=parent,
                    parent_state=state,
                    out_state=out,
                    people_root=root,
                    people_leaves=leaves,
                    records=here.records if here else 0,
                    tokens=10 * (here.records if here else 0),
                    holes=0,
                    platform=PLATFORM,
                )
                chain.append(sign(receipt, keys.signer()))
                state, parent = out, receipt_digest(chain[-1])
            found.append(chain)
    return found


def model(people: Mapping[str, int], keys: KeyRing, status: str = "complete") -> ModelManifest:
    regions = []
    for region in ("fr", "other"):
        heads = [chain[-1].out_state for chain in chains(people, keys) if chain[0].region == region]
        regions.append(RegionModel(region, region, digest_json(heads), "acc", digest_json(heads)))
    digest, made = model_digest_of(regions), corpus(people)
    return ModelManifest(
        made.corpus_id, digest, status, {}, PLAN_DIGEST, made.corpus_id, made.digest, "base", {}, PLATFORM,
        tuple(regions), (), {}, {}, {},
    )  # fmt: skip


PEOPLE = {f"so:{number}": 1 + number % 4 for number in range(40)}


def without(gone: str) -> dict[str, int]:
    return {person: count for person, count in PEOPLE.items() if person != gone}


def tokens(people: Mapping[str, int]) -> dict[SliceRef, int]:
    return {SliceRef(one.region, one.shard, one.slice): 10 * one.records for one in corpus(people).slices}


def planned(gone: str) -> ErasurePlan:
    rest = without(gone)
    return plan(
        corpus(PEOPLE),
        corpus(rest),
        tokens=tokens(rest),
        tokens_per_second=50.0,
        persons=[blind(gone)],
        records=RecordDelta(PEOPLE[gone]),
    )


@dataclass(frozen=True)
class World:
    """Where a made-up certificate and what it is about lie."""

    certificate: Certificate
    ledger: Path
    model_dir: Path
    corpus_dir: Path
    keys: KeyRing

    @property
    def public_key(self) -> str:
        return self.keys.verifier().public_bytes_raw().hex()


def certified(folder: Path, gone: str = "so:7", *, with_model: bool = True) -> World:
    """Issue a certificate for one person that left."""
    keys, rest = KeyRing(folder / "keys", seed=b"world"), without(gone)
    model_dir, corpus_dir = folder / "model", folder / "corpus"
    model_dir.mkdir()
    (model_dir / "model.safetensors").write_bytes(b"weights without them")
    (model_dir / "manifest.json").write_bytes(b"{}")
    write_corpus(corpus_dir, rest)
    change = ModelChange(
        before=model(PEOPLE, keys),
        rolled_back=replace(model(rest, keys), status="rolled_back"),
        after=model(rest, keys),
        files=file_digests(model_dir),
        chains=chains(rest, keys),
        people=by_slice(rest),
    )
    made = draft(
        certificate_id="0123456789abcdef",
        issued_at=AT,
        requests=[request_commitment("objection-1", bytes(32))],
        plan=planned(gone),
        before=corpus(PEOPLE),
        after=corpus(rest),
        model=change if with_model else None,
        phases=Phases(AT - timedelta(hours=1), AT - timedelta(minutes=59), 7, AT, 4300),
        destroyed=[Destroyed("models/states/x", digest_json("x"), 327_000, "2025-06-01T12:00:00Z", overwritten=True)],
        not_recalled=["export 4 to partner 2"],
    )
    with Ledger.open(folder / "ledger", keys, "example.org/demur") as ledger:
        ledger.append([Entry(EntryKind.BUILD, AT, str(number), {}) for number in range(5)])
        certificate = issue(made, signer=keys.signer(), ledger=ledger, at=AT)
        ledger.append([Entry(EntryKind.BUILD, AT, "later", {})])
    return World(certificate, folder / "ledger", model_dir, corpus_dir, keys)
