"""A small world for corpus tests: people, items, decisions made by a few plain rules, all seeded.

Not the made-up network: only what the corpus room reads, with the ground truth at hand.
"""

from __future__ import annotations

import importlib
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from demur.corpus import CorpusInputs, build
from demur.lineage import SealedFile
from demur.store import KeyRing, digest_json, read_commit, remove_tree, write_json
from demur.terms.content import Kind
from demur.terms.manifests import CorpusManifest, CorpusRecipe
from demur.terms.policy import Jurisdiction, Policy, Regime, SignalUnknown, Terms, ThirdPartyScope
from demur.terms.reasons import BIT, Reason, reasons_of
from demur.terms.tables import (
    ACCOUNTS,
    CAMPAIGNS,
    DECISIONS,
    HOLDS,
    ITEMS,
    NOTICES,
    OBJECTIONS,
    RESIDENCE,
    STANDING,
    SUPPRESSED,
    SUPPRESSED_WORDS,
)

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
DELIVERED = datetime(2026, 1, 1, tzinfo=UTC)

_ENGLISH = """
the weather in our small town was lovely today and people walked along the river while children played near
old bridge before dinner we cooked potatoes with butter garlic fresh herbs then watched stars shine over quiet
hills tomorrow morning everyone will travel by train to visit museum gallery market library garden castle
harbour
""".split()  # noqa: SIM905  (words read better as a text)
_GERMAN = """
das Wetter in unserer kleinen Stadt war heute wunderschön und viele Leute gingen am Fluss spazieren während
Kinder bei der alten Brücke spielten vor dem Abendessen kochten wir Kartoffeln mit Butter Knoblauch frischen
Kräutern danach sahen wir Sterne über stillen Hügeln leuchten morgen früh fahren alle mit dem Zug ins Museum
""".split()  # noqa: SIM905  (words read better as a text)

TERMS = Terms(
    regime=Regime.OPT_OUT,
    min_age_years=18,
    age_at_creation_years=18,
    notice_days=30,
    effective_at=datetime(2026, 2, 1, tzinfo=UTC),
    kinds=frozenset(Kind),
    services=None,
    content_not_before=None,
    min_public_days=0,
    signal_unknown=SignalUnknown.IGNORE,
    special_category_allowed=True,
)
POLICY = Policy(
    name="test",
    version=1,
    purpose="train",
    legal_basis="legitimate_interest",
    description="for tests",
    jurisdictions=(Jurisdiction("everywhere", frozenset({"*"}), None, None, TERMS, "test"),),
    third_party_scope=ThirdPartyScope.COPIES_AND_MENTIONS,
    erase_on_objection=True,
    profile_fields_of_private_accounts=False,
    audiences=frozenset({"public"}),
    statuses=frozenset({"active"}),
    grace_months=12,
    copy_min_words=8,
    digest="0" * 64,
)
RECIPE = CorpusRecipe(regions={"en": "en", "de": "de"}, shards=3, slices=2, quality="")


@dataclass
class World:
    """People and items by id; what is derived from them is derived again on every write."""

    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    scope: ThirdPartyScope = ThirdPartyScope.COPIES_AND_MENTIONS
    words: list[str] = field(default_factory=list)
    """Keyed hashes of suppressed names and handles."""
    named: dict[str, str] = field(default_factory=dict)
    """Person → who they turned out to be."""

    def person(self, name: str, **facts: Any) -> str:
        row = {
            "born_on": date(1980, 1, 1),
            "objected": False,
            "display": f"{name.title()} Tester",
            "private": False,
            "status": "active",
            "delivered": True,
        }
        self.people[name] = row | facts
        return name

    def item(self, item_id: str, person: str, text: str | None, **facts: Any) -> str:
        row = {
            "item_id": item_id,
            "version_id": item_id,
            "version_at": LONG_AGO,
            "state": "live",
            "service": "t",
            "kind": "post",
            "account_id": f"a:{person}",
            "created_at": datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=len(self.items)),
            "audience": "public",
            "text": text,
            "source": "test",
            "imported_at": AS_OF,
        }
        self.items[item_id] = row | facts
        return item_id

    def decide(self, row: dict[str, Any]) -> int:
        """Return the reasons of an item as a mask, by the few rules that this world has."""
        mask = self._own(row)
        original = self.items.get(row.get("original_id") or "")
        if row.get("original_id"):
            if original is None:
                mask |= BIT[Reason.ORIGINAL_UNKNOWN]
            elif (inherited := self.decide(original)) != 0:
                said = inherited & (BIT[Reason.OBJECTED] | BIT[Reason.ORIGINAL_OBJECTED])
                mask |= BIT[Reason.ORIGINAL_OBJECTED if said else Reason.ORIGINAL_WITHHELD]
        return mask

    def _own(self, row: dict[str, Any]) -> int:
        person = self.people[row["account_id"].removeprefix("a:")]
        co = [self.people[one.removeprefix("a:")] for one in row.get("co_account_ids") or []]
        tests = {
            Reason.PRIVATE_MESSAGE: row["kind"] == "private_message",
            Reason.NOT_PUBLIC: row["audience"] != "public",
            Reason.DELETED: row["state"] != "live",
            Reason.AGE_UNKNOWN: any(one["born_on"] is None for one in [person, *co]),
            Reason.MINOR: any(one["born_on"] and one["born_on"].year > 2007 for one in [person, *co]),
            Reason.MINOR_AT_CREATION: any(one["born_on"] and one["born_on"].year > 2006 for one in [person, *co]),
            Reason.OBJECTED: any(one["objected"] for one in [person, *co]),
            Reason.NOT_NOTIFIED: not all(one["delivered"] for one in [person, *co]),
        }
        return sum(BIT[reason] for reason, applies in tests.items() if applies)

    def write(self, folder: Path, *, parts: int = 1, seed: int = 0) -> dict[str, Path]:
        """Write snapshot, decisions and people tables in some order and number of parts."""
        chance = random.Random(seed)
        rows = list(self.items.values())
        decisions = [self._decision(row) for row in rows]
        chance.shuffle(rows)
        chance.shuffle(decisions)
        _parts(folder / "items", rows, ITEMS, parts)
        _parts(folder / "decisions", decisions, DECISIONS, parts)
        for name, (schema, made) in self._people().items():
            chance.shuffle(made)
            (folder / "standing").mkdir(exist_ok=True)
            pq.write_table(pa.Table.from_pylist(made, schema=schema), folder / "standing" / f"{name}.parquet")
        return {name: folder / name for name in ("items", "decisions", "standing")}

    def inputs(self, folder: Path, *, parts: int = 1, seed: int = 0, **other: Any) -> CorpusInputs:
        paths = self.write(folder, parts=parts, seed=seed)
        given = {
            "policy": replace(POLICY, third_party_scope=self.scope),
            "recipe": RECIPE,
            "as_of": AS_OF,
            "known_at": AS_OF,
            "narrowed_at": AS_OF,
            "source_digest": "s",
            "purpose": "train",
        }
        return CorpusInputs(**paths, **(given | other))

    def _decision(self, row: dict[str, Any]) -> dict[str, Any]:
        mask = self.decide(row)
        reasons = [reason.value for reason in reasons_of(mask)]
        return {
            "item_id": row["item_id"],
            "allowed": mask == 0,
            "primary_reason": reasons[0] if reasons else None,
            "reasons": reasons,
            "reason_bits": mask,
            "person_id": self._who(row["account_id"].removeprefix("a:")),
            "country": "DE",
            "kind": row["kind"],
            "audience": row["audience"],
        }

    def _who(self, name: str) -> str:
        return self.named.get(f"p:{name}", f"p:{name}")

    def _people(self) -> dict[str, tuple[Any, list[dict[str, Any]]]]:
        standing, accounts, notices = [], [], []
        for name, one in self.people.items():
            told = one["delivered"]
            standing.append(
                {
                    "person_id": self._who(name),
                    "born_on": one["born_on"],
                    "age_conflict": False,
                    "countries_now": ["DE"],
                    "countries_at_notice": ["DE"],
                    "objected": one["objected"],
                    "consent_purposes": [],
                    "first_delivered_at": DELIVERED if told else None,
                    "last_delivered_at": DELIVERED if told else None,
                    "campaigns": ["c"] if told else [],
                }
            )
            accounts.append(
                {
                    "account_id": f"a:{name}",
                    "service": "t",
                    "person_id": self._who(name),
                    "status": one["status"],
                    "private": one["private"],
                    "handles": [name],
                    "names": [one["display"]],
                }
            )
            if told:
                notices.append(
                    {
                        "person_id": self._who(name),
                        "campaign_id": "c",
                        "channel": "email",
                        "state": "delivered",
                        "valid_at": DELIVERED,
                        "recorded_at": DELIVERED,
                    }
                )
        campaign = {
            "campaign_id": "c",
            "status": "running",
            "purpose": "train",
            "effective_at": DELIVERED,
            "notice_days": 30,
        }
        return {
            "standing": (STANDING, standing),
            "accounts": (ACCOUNTS, accounts),
            "residence": (RESIDENCE, []),
            "notices": (NOTICES, notices),
            "campaigns": (CAMPAIGNS, [campaign]),
            "objections": (OBJECTIONS, []),
            "holds": (HOLDS, []),
            "suppressed": (SUPPRESSED, []),
            "suppressed_words": (SUPPRESSED_WORDS, [{"identifier_hash": one} for one in self.words]),
        }


def _parts(folder: Path, rows: list[dict[str, Any]], schema: Any, parts: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.parquet"):
        old.unlink()
    for number in range(parts):
        pq.write_table(pa.Table.from_pylist(rows[number::parts], schema=schema), folder / f"part-{number}.parquet")


def sentence(chance: random.Random, words: int = 16, *, german: bool = False) -> str:
    return " ".join(chance.choice(_GERMAN if german else _ENGLISH) for _ in range(words))


def network(seed: int, people: int = 10, items: int = 60) -> World:
    """Return a world with copies, near copies, reshares, private messages, minors and objectors."""
    chance = random.Random(seed)
    world = World()
    names = [f"n{seed}x{number}" for number in range(people)]
    for name in names:
        born = chance.choice([date(1980, 1, 1)] * 8 + [date(2012, 5, 5), None])
        world.person(name, born_on=born, objected=chance.random() < 0.15, delivered=chance.random() < 0.9)
    for number in range(items):
        author, facts = chance.choice(names), {}
        text: str | None = sentence(chance, chance.randint(1, 24), german=chance.random() < 0.4)
        if world.items and chance.random() < 0.35:
            other = chance.choice(list(world.items.values()))
            words = (other["text"] or "").split()
            if words and chance.random() < 0.5:
                words[chance.randrange(len(words))] = "meanwhile"
            text = " ".join(words)
            if chance.random() < 0.3:
                facts = {"kind": "reshare", "original_id": other["item_id"]}
        if chance.random() < 0.1:
            facts = chance.choice([{"kind": "private_message"}, {"audience": "direct"}, {"state": "deleted"}])
        if chance.random() < 0.1:
            facts = facts | {"co_account_ids": [f"a:{chance.choice(names)}"]}
        if chance.random() < 0.05:
            text = None
        world.item(f"i:{number}", author, text, **facts)
    return world


def ring(folder: Path) -> KeyRing:
    return KeyRing(folder / "keys", seed=b"test")


def here(target: str, folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a stage in this process: the same contract as ``run_stage``, without the cost of a child."""
    call = digest_json({"target": target, "arguments": arguments})
    done = read_commit(folder)
    if done is not None and done.get("call") == call:
        return done
    remove_tree(folder)
    folder.mkdir(parents=True)
    module, function = target.split(":")
    getattr(importlib.import_module(module), function)(folder, **arguments)
    facts = read_commit(folder)
    assert facts is not None
    write_json(folder / "COMMIT.json", facts | {"call": call})
    return facts | {"call": call}


def made(world: World, folder: Path, **options: Any) -> tuple[CorpusManifest, Path]:
    """Build a world's corpus in this process; return manifest and corpus folder. Keys are the same everywhere."""
    narrowed_at = options.pop("narrowed_at", AS_OF)
    recipe = options.pop("recipe", RECIPE)
    parts, seed = options.pop("parts", 1), options.pop("seed", 0)
    given = {"narrowed_at": narrowed_at, "recipe": recipe, "source_digest": options.pop("source", "s")}
    given["toxicity"] = options.pop("toxicity", None)
    inputs = world.inputs(folder / "in", parts=parts, seed=seed, **given)
    options = {"runner": here, "work": folder / "work", "out": folder / "corpora"} | options
    manifest = build(inputs, keys=ring(folder), **options)
    return manifest, options["out"] / manifest.corpus_id


def records(corpus: Path) -> dict[str, dict[str, Any]]:
    rows = [row for file in corpus.rglob("slice-*.parquet") for row in pq.read_table(file).to_pylist()]
    assert len({row["record_id"] for row in rows}) == len(rows)
    return {row["record_id"]: row for row in rows}


def fates(corpus: Path, keys: KeyRing) -> dict[str, dict[str, Any]]:
    sealed = SealedFile(corpus / "sealed" / "fates.sealed", "fates", secret=keys.secret("lineage"))
    return {row["item_id"]: row for table in sealed.all() for row in table.to_pylist()}


def lineage(corpus: Path, keys: KeyRing) -> list[dict[str, Any]]:
    sealed = SealedFile(corpus / "sealed" / "lineage.sealed", "lineage", secret=keys.secret("lineage"))
    return [row for table in sealed.all() for row in table.to_pylist()]
