# ruff: noqa: E501 (tables read better whole)
"""Redaction in one run: what is found by type and country, false hits, what is left, rows per CPU second.

Usage: python benchmarks/bench_redaction.py [PEERS_FOLDER] [--rows N]

PEERS_FOLDER is a copy of the peers' scripts in which ``gen.py``, ``pii_eval_gen.py > pii_eval.jsonl`` and
``pii_neg_gen.py > pii_neg.jsonl`` have run; without it only the held-out part runs. Held out: identifiers by Faker's
locales, which nobody looked at when the rules were made, in a sentence without and with a word for the thing. CPU
seconds are the least of three runs of one process with one thread. Figures of the libraries: EVIDENCE §3.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow as pa

from demur.corpus.redact import REDACTION, redact

BATCH = 8_192
LOCALES = {
    "AT": "de_AT", "BE": "nl_BE", "BG": "bg_BG", "BR": "pt_BR", "CH": "de_CH", "CY": "el_CY", "CZ": "cs_CZ", "DE": "de_DE", "DK": "da_DK",
    "EE": "et_EE", "ES": "es_ES", "FI": "fi_FI", "FR": "fr_FR", "GB": "en_GB", "GR": "el_GR", "HR": "hr_HR", "HU": "hu_HU", "IE": "en_IE",
    "IT": "it_IT", "LT": "lt_LT", "LV": "lv_LV", "NL": "nl_NL", "NO": "no_NO", "PL": "pl_PL", "PT": "pt_PT", "RO": "ro_RO", "SE": "sv_SE",
    "SI": "sl_SI", "SK": "sk_SK",
}  # fmt: skip
HELD_OUT = (
    "ssn",
    "phone_number",
    "iban",
    "street_address",
    "license_plate",
    "email",
    "ipv4",
    "ipv6",
    "mac_address",
    "credit_card_number",
)
WORDS = {"ssn": "personal id", "phone_number": "phone", "iban": "IBAN", "license_plate": "plate"}


def covered(texts: list[str], values: list[str]) -> list[bool]:
    """Say for each text whether every letter and digit of its value lies in a span."""
    redacted, result = redact(pa.array(texts)), []
    for text, spans, value in zip(redacted.normalised.to_pylist(), redacted.spans.to_pylist(), values, strict=True):
        at = text.find(value)
        inside = {place for span in spans for place in range(span["start"], span["end"])}
        result.append(at >= 0 and all(at + i in inside for i, sign in enumerate(value) if sign.isalnum()))
    return result


def wilson(hits: int, total: int) -> list[float]:
    z, share = 1.96, hits / total
    middle, half = share + z * z / (2 * total), z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return [round((middle + sign * half) / (1 + z * z / total), 4) for sign in (-1, 1)]


def table(found: dict[str, list[bool]]) -> dict[str, list[object]]:
    return {name: [sum(hits), len(hits), *wilson(sum(hits), len(hits))] for name, hits in sorted(found.items())}


def speed(texts: list[str]) -> int:
    """Return rows per CPU second, normalising, gates, finding, spans and masked texts together."""
    batches = [pa.array(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
    least = math.inf
    for _ in range(3):
        begun = time.process_time()
        for batch in batches:
            redact(batch)
        least = min(least, time.process_time() - begun)
    return round(len(texts) / least)


def peers(folder: Path, rows: int) -> dict[str, object]:
    """Measure on the peers' three sets."""
    planted = [json.loads(line) for line in (folder / "pii_eval.jsonl").open(encoding="utf-8")]
    hits = covered([row["text"] for row in planted], [row["value"] for row in planted])
    by_type: dict[str, list[bool]] = defaultdict(list)
    by_country: dict[str, list[bool]] = defaultdict(list)
    for row, hit in zip(planted, hits, strict=True):
        by_type[row["type"]].append(hit)
        if row["type"] == "national_id":
            by_country[row["country"]].append(hit)
    negatives = [json.loads(line) for line in (folder / "pii_neg.jsonl").open(encoding="utf-8")]
    spans = redact(pa.array([row["text"] for row in negatives])).spans.to_pylist()
    false = Counter(row["kind"] for row, some in zip(negatives, spans, strict=True) if some)
    posts, gold = [], []
    for path in sorted((folder / "data/jsonl").iterdir()):
        posts += [json.loads(line)["text"] for line in path.open(encoding="utf-8")]
    for path in sorted((folder / "data/gold").iterdir()):
        gold += [json.loads(line)["pii"] for line in path.open(encoding="utf-8")]
    posts, gold = posts[:rows], gold[:rows]
    left, total, clean, changed = Counter(), Counter(), 0, 0
    for at in range(0, len(posts), BATCH):
        redacted = redact(pa.array(posts[at : at + BATCH]))
        for text, some, known in zip(
            redacted.texts.to_pylist(), redacted.spans.to_pylist(), gold[at : at + BATCH], strict=True
        ):
            total.update(one["type"] for one in known)
            left.update(one["type"] for one in known if one["value"] in text)
            if not known and "://" not in text and not any(s["kind"].startswith("URL") for s in some):
                clean += 1
                changed += bool(some)
    return {
        "recall": table(by_type),
        "national id, worst country": min(table(by_country).items(), key=lambda one: one[1][0] / one[1][1]),
        "false hits of 2,000": [sum(false.values()), dict(false)],
        "gen.py": {
            "posts": len(posts),
            "planted": dict(total),
            "left": dict(left),
            "clean": clean,
            "clean changed": changed,
        },
        "rows per CPU second, gen.py": speed(posts[:40_000]),
        "rows per CPU second, pii_eval": speed([row["text"] for row in planted]),
    }


def held_out(each: int = 40) -> dict[str, object]:
    """Measure on what Faker makes up for each country."""
    from faker import Faker

    bare: dict[str, list[bool]] = defaultdict(list)
    worded: dict[str, list[bool]] = defaultdict(list)
    misses: dict[str, str] = {}
    for country, locale in LOCALES.items():
        fake = Faker(locale)
        fake.seed_instance(2026)
        for kind in HELD_OUT:
            values = [" ".join(str(getattr(fake, kind)()).split()) for _ in range(each)]
            hits = covered([f"so ... {value}, and then" for value in values], values)
            bare[kind] += hits
            if kind in ("ssn", "license_plate", "phone_number", "street_address"):
                misses[f"{kind} {country}"] = f"{sum(hits)}/{each}"
            if kind in WORDS:
                worded[kind] += covered([f"my {WORDS[kind]} is {value}, ok" for value in values], values)
    return {
        "without a word": table(bare),
        "with a word": table(worded),
        "by country": {name: share for name, share in misses.items() if share != f"{each}/{each}"},
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--rows", type=int, default=200_000)
    asked = parser.parse_args()
    pa.set_cpu_count(1)
    report: dict[str, object] = {"rules": REDACTION, "held out (Faker)": held_out()}
    if asked.folder:
        report |= peers(asked.folder, asked.rows)
    report["peak MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(report, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
