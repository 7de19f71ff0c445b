"""Describes an export in Croissant 1.0 with its responsible-AI vocabulary: what `mlcroissant` and search engines read.

Source: MLCommons, Croissant Format Specification 1.0 (2024-03-01); Croissant RAI Specification 1.0 (2024-03-06).
Everything is taken from the manifest and the export; nothing is counted again, nothing names a person. What was done
for people who object is said as the policy of the corpus has it, and not at all where that is unknown. Does not write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from demur.clock import iso
from demur.corpus.interchange import Exported, ExportFile
from demur.terms.content import Kind
from demur.terms.manifests import CorpusManifest
from demur.terms.policy import Regime, ThirdPartyScope
from demur.terms.tables import RECORDS

CONFORMS = ("http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0")
NO_LICENCE = "No licence is granted by this description; the rights in the texts stay with their authors."
_REPLACED = (
    "When somebody objects a new version without them replaces this one, and copies of this one must be destroyed."
)
_STAYS = "Who objects later is left out of versions that are made later; this one is not made again for them."
_GONE = {"mask": "replaced by placeholders", "drop": "dropped", "fake": "replaced by made-up ones"}
_MEDIA = {"parquet": "application/x-parquet", "jsonl": "application/jsonlines"}
_MEANINGS = {
    **{field.name: (field.metadata or {}).get(b"meaning", b"").decode() for field in RECORDS},
    "id": "opaque keyed hash of the record; says nothing about item or person",
    "region": "group of languages or dialects that the record belongs to",
}


@dataclass(frozen=True, slots=True)
class Described:
    """What only the operator can say about a corpus."""

    platform: str
    controller: str
    url: str
    """Page about the data set, or the platform's privacy page."""
    licences: Sequence[str] = ()
    """URLs or SPDX ids; empty = none is granted."""
    published_at: datetime | None = None


class _Promises:
    """What the policy of a corpus lets it say of people who object, and of what it is made of."""

    def __init__(self, manifest: CorpusManifest) -> None:
        facts = manifest.inputs.get("policy_facts", {})
        scope = facts.get("third_party_scope", ThirdPartyScope.OWN_CONTENT)
        self.copies = scope != ThirdPartyScope.OWN_CONTENT
        mentions = scope == ThirdPartyScope.COPIES_AND_MENTIONS
        self.names = " and of the names of objectors" if mentions else ""
        self.others = " who did not object" if mentions else ""
        self.erases = bool(facts.get("erase_on_objection"))
        self.chats = bool(manifest.counts.get("kinds", {}).get(Kind.AI_CHAT))
        regimes = {one["terms"]["regime"] for one in facts.get("jurisdictions", ())}
        if Regime.NO_CHOICE in regimes:
            self.choice = (
                "Where the policy gives a choice, people were told before and could object; elsewhere nobody was. "
            )
        elif Regime.OPT_IN in regimes:
            self.choice = "Everybody was told before and could object, or was asked before. "
        else:
            self.choice = "Everybody was told before and could object. " if regimes else ""


def croissant(manifest: CorpusManifest, exported: Exported, told: Described) -> dict[str, Any]:
    """Return the JSON-LD of an export.

    Args:
        manifest: of the corpus.
        exported: what was written.
        told: what only the operator can say.
    """
    inputs, counts, promises = manifest.inputs, manifest.counts, _Promises(manifest)
    languages = sorted(tag for tag in counts.get("languages", {}) if tag not in {"all", "unknown"})
    posted = "posted in public or said to its AI" if promises.chats else "posted in public"
    copied = "" if promises.copies else "; what others copied from them may be"
    return {
        "@context": _context(),
        "@type": "sc:Dataset",
        "conformsTo": list(CONFORMS),
        "@id": f"urn:sha256:{exported.digest}",
        "name": f"{_plain(told.platform)}-{manifest.corpus_id}",
        "description": (
            f"{exported.records} records of text that members of {told.platform} {posted}, built under the "
            f"policy {inputs['policy_name']} as of {inputs['as_of']} for the purpose {inputs['purpose']}. People who "
            f"objected by {inputs['narrowed_at']} are not in it{copied}."
        ),
        "version": f"1.0.0+{manifest.corpus_id}",
        "url": told.url,
        "identifier": f"urn:sha256:{manifest.digest}",
        "license": list(told.licences) or [NO_LICENCE],
        "creator": {"@type": "sc:Organization", "name": told.controller},
        "publisher": {"@type": "sc:Organization", "name": told.controller},
        "datePublished": iso(told.published_at)[:10] if told.published_at else inputs["narrowed_at"][:10],
        "dateCreated": inputs["narrowed_at"][:10],
        "inLanguage": languages,
        "keywords": ["text", "consent", "objection", f"policy {inputs['policy_name']}", *languages],
        "isLiveDataset": False,
        "citeAs": f"{told.controller}: corpus {manifest.digest}",
        **_responsible(manifest, languages, promises),
        "distribution": [_file(one, exported.form) for one in exported.files] + _set(exported),
        "recordSet": [_records(exported)],
    }


def _file(one: ExportFile, form: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": one.path,
        "name": one.path,
        "contentUrl": one.path,
        "contentSize": f"{one.bytes} B",
        "encodingFormat": _MEDIA[form],
        "sha256": one.digest,
    }


def _set(exported: Exported) -> list[dict[str, Any]]:
    ending = "*.parquet" if exported.form == "parquet" else "*.jsonl.zst"
    regions = sorted({one.path.split("/")[1] for one in exported.files})
    return [
        {
            "@type": "cr:FileSet",
            "@id": "all-records",
            "name": "all records",
            "encodingFormat": _MEDIA[exported.form],
            "includes": [f"data/{region}/{ending}" for region in regions] or f"data/{ending}",
        }
    ]


def _records(exported: Exported) -> dict[str, Any]:
    by_column = exported.form == "parquet"
    return {
        "@type": "cr:RecordSet",
        "@id": "records",
        "name": "records",
        "description": "One training example each, in no order of time.",
        "key": {"@id": "records/id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"records/{name}",
                "name": name,
                "description": _MEANINGS.get(name) or f"column {name}",
                **_kind(arrow),
                "source": {
                    "fileSet": {"@id": "all-records"},
                    "extract": {"column": name} if by_column else {"jsonPath": f"$.{name}"},
                },
            }
            for name, arrow in exported.columns
            if "struct<" not in arrow and "map<" not in arrow  # no data type of Croissant 1.0
        ],
    }


def _kind(arrow: str) -> dict[str, Any]:
    words = {"bool": "sc:Boolean", "int": "sc:Integer", "uint": "sc:Integer", "float": "sc:Float", "double": "sc:Float"}
    inner = arrow.removeprefix("list<").removeprefix("element: ").removeprefix("item: ")
    kind = next((kind for word, kind in words.items() if inner.startswith(word)), "sc:Text")
    return {"dataType": kind, "repeated": True} if arrow.startswith("list<") else {"dataType": kind}


def _responsible(manifest: CorpusManifest, languages: Sequence[str], promises: _Promises) -> dict[str, Any]:
    """Return the fields of Croissant RAI that the manifest can answer; what nobody measured is not claimed."""
    inputs, counts = manifest.inputs, manifest.counts
    withheld = sum(count for reason, count in counts.get("decisions", {}).items() if reason != "allowed")
    filtered = sum(counts.get("exclusions", {}).values())
    by_language = {tag: counts["languages"][tag] for tag in languages}
    largest = sorted(by_language, key=lambda tag: (-by_language[tag], tag))[:3]
    recipe = inputs["recipe"]
    return {
        "rai:dataCollection": (
            f"Content that members of the platform made public{' or said to its AI' if promises.chats else ''}, from "
            f"{counts['items']['all']} items of one snapshot. Private messages, other non-public content, content of "
            f"minors and of people of unknown age are never used. {promises.choice}Who objected was left out"
            f"{', also where others copied them' if promises.copies else '; copies by others were not looked for'}."
        ),
        "rai:dataCollectionType": ["Others"],
        "rai:dataCollectionMissingData": (
            f"{withheld} items were withheld by rights and rules, {filtered} more by filters (too short, language "
            "unknown, copies). Unknown age, audience, author or delivery of the notice counts as no."
        ),
        "rai:dataCollectionRawData": f"The snapshot with the digest {inputs['source']}; not part of this data set.",
        "rai:dataPreprocessingProtocol": [
            f"decisions under the policy with the digest {inputs['policy']}, known at {inputs['known_at']}",
            f"redaction of identifiers{promises.names} by the rule set {recipe['redaction']}",
            f"exact and near copies removed (Jaccard {recipe['near_duplicate_jaccard']})",
            f"language and dialect tags by {recipe['language']}",
        ],
        "rai:personalSensitiveInformation": [
            f"Identifiers are {_GONE[recipe.get('redaction_mode', 'mask')]}, by rules that miss some.",
            f"Names of people{promises.others}, and free-form addresses, are not looked for.",
            "The texts can hold personal data, also of special categories that people made public themselves.",
        ],
        "rai:dataBiases": [
            f"Languages are as people wrote: most records are in {', '.join(largest)}." if largest else "It is empty.",
            "People who object, minors and people of unknown age are missing.",
        ],
        "rai:dataLimitations": "Posts of one platform; facts in them were not checked.",
        "rai:dataUseCases": [
            f"{inputs['purpose']}; no other purpose was announced to the people whose texts these are"
        ],
        "rai:dataReleaseMaintenancePlan": (
            f"{_REPLACED if promises.erases else _STAYS} Check the corpus' digest with the publisher before each use."
        ),
    }


def _plain(name: str) -> str:
    return "".join(sign if sign.isalnum() else "-" for sign in name).strip("-").lower() or "platform"


def _context() -> dict[str, Any]:
    """Return the context that the specification wants to be given in full (§ "JSON-LD context")."""
    plain = {
        name: f"cr:{name}"
        for name in (
            *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet"),
            *("format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet"),
            *("references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField"),
            "transform",
        )
    }
    return {
        "@language": "en",
        "@vocab": "https://schema.org/",
        "sc": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "dct": "http://purl.org/dc/terms/",
        "conformsTo": "dct:conformsTo",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "examples": {"@id": "cr:examples", "@type": "@json"},
        **plain,
    }
