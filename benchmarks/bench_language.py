# ruff: noqa: E501 (a report; chance is seeded and guards nothing)
"""Languages, dialects and code-switching: accuracy on texts never trained on, and posts per CPU-second beside peers.

    python benchmarks/bench_language.py [../shared/data]

Posts of people are in no training set; sentences of Common Voice and xSID are the held-out folds of
``tools/language_samples.py``. Posts with fewer than twenty letters aren't counted: nobody can tell them.
"""

from __future__ import annotations

import csv
import json
import math
import random
import re
import sys
import time
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import language_samples as source

from demur.corpus.dialect import DIALECTS, tag_dialect
from demur.corpus.language import LANGUAGES, WRITTEN, eld, tag_language
from demur.corpus.mixed import tag_mixed

ROWS = 1500
SENTENCES = 400
_SWEDISH = re.compile("(?i)[äö]")
_DANISH = re.compile("(?i)[æø]")


def letters(text: str) -> int:
    """Return the letters outside handles, hashtags, addresses and placeholders."""
    return sum(map(str.isalpha, re.sub(r"<[A-Z_]{2,10}>|(?:https?://|www\.)\S+|[@#][\w.]+", " ", text)))


def some(texts: Iterator[str] | list[str], rows: int) -> list[str]:
    """Return the first distinct texts by SHA-256 that are long enough."""
    return sorted({text for text in texts if letters(text) >= 20}, key=source.order_of)[:rows]


def table(path: Path, column: str) -> Iterator[str]:
    """Yield one column of a CSV file."""
    with path.open(encoding="utf-8", newline="") as lines:
        yield from (row[column] for row in csv.DictReader(lines))


def danish(data: Path) -> Iterator[str]:
    """Yield DKHate's posts without the Swedish answers among them: ä or ö, and neither æ nor ø."""
    for path in sorted((data / "dkhate").rglob("*.tsv")):
        for line in path.read_text("utf-8").splitlines()[1:]:
            if line.count("\t") >= 2 and (_DANISH.search(line) or not _SWEDISH.search(line)):
                yield line.split("\t")[1]


def french(data: Path) -> Iterator[str]:
    """Yield MLMA's French tweets."""
    with zipfile.ZipFile(next((data / "mlma_french").rglob("*.zip"))) as archive:
        for name in archive.namelist():
            if re.search(r"(^|/)fr[^/]*\.csv$", name):
                with archive.open(name) as stream:
                    yield from (row["tweet"] for row in csv.DictReader(TextIOWrapper(stream, "utf-8")))


def latvian(data: Path) -> Iterator[str]:
    """Yield the texts of the Latvian food tweets."""
    for path in sorted((data / "ltec_latvian_food_tweets").glob("ltec-sentiment-*.json")):
        for row in json.loads(path.read_text("utf-8")):
            yield from (value for key, value in row.items() if key in {"tweet_text", "text", "question", "reply"}
                        and isinstance(value, str))  # fmt: skip


def english(data: Path) -> Iterator[str]:
    """Yield WNUT 2017's tweets and comments."""
    for name in ("wnut17train.conll", "emerging.dev.conll"):
        for block in re.split(r"\n\s*\n", (data / "wnut17_ner" / name).read_text("utf-8")):
            yield " ".join(line.split("\t")[0] for line in block.splitlines())


def posts(data: Path) -> dict[str, list[str]]:
    """Return real posts by language and set."""
    swedish = [line.split("\t") for line in (data / "tatoeba_swedish/swe.txt").read_text("utf-8").splitlines()]
    irish = [row["text"] for path in sorted((data / "twittirish_ud").glob("*.conllu")) for row in source.conll(path)]
    german = (data / "germeval2018/germeval2018.test.txt").read_text("utf-8").splitlines()
    sets: dict[str, Any] = {
        "da DKHate": danish(data), "de GermEval": [line.split("\t")[0] for line in german],
        "de Pol.is Austria": [text for name in ("energie", "mobilitaet")
                              for text in table(data / f"polis_austria_climate/{name}/comments.csv", "comment-body")],
        "en WNUT": english(data), "es Decide Madrid": table(data / "decide_madrid_2019/comments.csv", "text"),
        "fr MLMA": french(data), "ga TwittIrish": irish, "lv LTEC": latvian(data),
        "pt ToLD-Br": table(data / "told_br/ToLD-BR.csv", "text"),
        "ro RO-FB-Offense": [text for path in sorted((data / "ro_fb_offense").glob("*.csv")) for text in table(path, "text")],
        "sv Tatoeba": [row[1] for row in swedish], "en Tatoeba": [row[0] for row in swedish],
    }  # fmt: skip
    return {name: some(texts, ROWS) for name, texts in sets.items()}


def held_out(data: Path) -> dict[str, list[str]]:
    """Return held-out sentences by class and source."""
    sets = defaultdict(list)
    for text, label, key in [*source.voice(data, 3500), *source.treebanks(data)]:
        if source.fold(key) < 2:
            sets[f"{label} {'Common Voice' if key.startswith('voice') else 'treebanks'}"].append(text)
    return {name: found for name, texts in sorted(sets.items()) if len(found := some(texts, SENTENCES)) >= 40}


def interval(hits: int, total: int) -> str:
    """Return a share with its 95 % Wilson interval."""
    if not total:
        return "-"
    share, z = hits / total, 1.96
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return f"{hits}/{total} = {share:.3f} ({middle - half:.3f}–{middle + half:.3f})"


def told(sets: dict[str, list[str]], tag: Callable[[list[str]], list[str]], shown: bool) -> float:
    """Print right, unknown and wrong by set; return the mean share of right answers over languages."""
    by_language = defaultdict(list)
    for name, texts in sets.items():
        language = WRITTEN.get(name.split()[0], name.split()[0])
        found = tag(texts)
        right, unknown = sum(one == language for one in found), sum(one == "und" for one in found)
        by_language[language].append(right / len(texts))
        if shown:
            wrong = Counter(one for one in found if one not in {language, "und"}).most_common(3)
            print(f"| {name} | {interval(right, len(texts))} | {unknown / len(texts):.3f} | "
                  f"{1 - (right + unknown) / len(texts):.3f} {' '.join(f'{one} {n}' for one, n in wrong)} |")  # fmt: skip
    return sum(sum(one) / len(one) for one in by_language.values()) / len(by_language)


def ours(texts: list[str]) -> list[str]:
    """Tag with no hint."""
    return tag_language(pa.array(texts, pa.string()))[0].to_pylist()


def eld_alone(texts: list[str]) -> list[str]:
    """Tag with ELD alone; its Norwegian counts as Bokmål."""
    detect = eld().detect
    return ["nb" if (tag := detect(text)) == "no" else tag for text in texts]


def peers() -> dict[str, Callable[[list[str]], list[str]]]:
    """Return what else is installed."""
    found: dict[str, Callable[[list[str]], list[str]]] = {"ELD alone": eld_alone}
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        return found
    langid = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    langid.set_languages(sorted(set(LANGUAGES) & set(langid.nb_classes)))
    found["py3langid alone"] = lambda texts: [langid.classify(text)[0] for text in texts]
    return found


def rate(work: Callable[[], Any], rows: int) -> float:
    """Return rows per CPU-second, the best of three runs."""
    spent = []
    for _ in range(3):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return rows / min(spent)


def dialects(data: Path) -> None:
    """Print recall and precision of each dialect on held-out sentences, end to end with our language tags."""
    rows = [sample for sample in source.treebanks(data) if source.fold(sample[2]) < 2]
    plain = [
        sample for sample in source.voice(data, 3500) if source.fold(sample[2]) < 2 and sample[1] in {"de", "it", "nl"}
    ]
    rows = [sample for sample in rows + plain if len(sample[0].split()) >= 3]
    texts = pa.array([text for text, _, _ in rows])
    found = tag_dialect(texts, tag_language(texts)[0]).to_pylist()
    scores = []
    print("\n| dialect | found | of those named so, right | F1 |\n|---|---|---|---|")
    for name in DIALECTS:
        of = [tag for tag, (_, label, _) in zip(found, rows, strict=True) if label == name]
        hits, named = of.count(name), found.count(name)
        scores.append(2 * hits / max(1, len(of) + named))
        print(f"| {name} | {interval(hits, len(of))} | {interval(hits, named)} | {scores[-1]:.3f} |")
    print(f"macro F1 {sum(scores) / len(scores):.3f}")
    for name in sorted({label for _, label, _ in rows} - set(DIALECTS)):
        of = [tag for tag, (_, label, _) in zip(found, rows, strict=True) if label == name]
        print(f"| {name} (no dialect) named one | {interval(sum(tag is not None for tag in of), len(of))} |")


def switches(data: Path, sets: dict[str, list[str]]) -> None:
    """Print how often a second language is named: joined sentences, Irish tweets with English, posts of one language."""
    chance, many = random.Random(3), 3000
    voices = {name.split()[0]: texts for name, texts in sets.items() if name.endswith("Common Voice")}
    drawn = [chance.sample(sorted(voices), 2) for _ in range(many)]
    joined = [" ".join(chance.choice(voices[name]) for name in pair) for pair in drawn]
    second = [{one, two} for one, two in zip(ours(joined), mixed(joined), strict=True)]
    print(
        f"\ntwo joined sentences: both languages {sum(a == set(b) for a, b in zip(second, drawn, strict=True)) / many:.3f}"
    )
    runs = english_runs(data)
    texts = [text for text, _ in runs]
    pairs = list(zip(ours(texts), mixed(texts), runs, strict=True))
    for low, high in ((0, 0), (1, 2), (3, 5), (6, 99)):
        of = [(one, two) for one, two, (_, run) in pairs if low <= run <= high]
        print(f"Irish tweets, longest run of English words {low}–{high}: English and Irish named "
              f"{interval(sum({one, two} == {'ga', 'en'} for one, two in of), len(of))}")  # fmt: skip


def mixed(texts: list[str]) -> list[str | None]:
    """Tag language and second language."""
    array = pa.array(texts, pa.string())
    found: list[str | None] = tag_mixed(array, tag_language(array)[0]).to_pylist()
    return found


def english_runs(data: Path) -> list[tuple[str, int]]:
    """Return TwittIrish tweets with their longest run of words marked English."""
    found = []
    for path in sorted((data / "twittirish_ud").glob("*.conllu")):
        for block in path.read_text("utf-8").split("\n\n"):
            if text := re.search(r"^# text = (.*)$", block, re.MULTILINE):
                rows = [line.split("\t") for line in block.splitlines() if "\t" in line]
                marks = "".join("e" if "Lang=en" in row[9] else "." for row in rows if row[3] not in {"PUNCT", "SYM"})
                found.append((text[1], max(map(len, marks.split(".")), default=0)))
    return found


def main(data: Path) -> None:
    """Measure everything."""
    real, held = posts(data), held_out(data)
    languages = {name: texts for name, texts in held.items() if WRITTEN.get(name.split()[0]) in {None, "sr"}}
    print("| set, no hint | right | unknown | wrong |\n|---|---|---|---|")
    print(f"macro, real posts and Tatoeba: {told(real, ours, True):.4f}")
    print(f"macro, held-out sentences: {told(languages, ours, True):.4f}")
    everything = [text for texts in real.values() for text in texts]
    random.Random(1).shuffle(everything)
    array = pa.array(everything)
    own = tag_language(array)[0]
    speed = rate(lambda: tag_language(array), len(everything))
    same = {name: texts[:300] for name, texts in real.items()}
    print(f"\n| what | macro, 300 posts a set | posts per CPU-second | ratio |\n|---|---|---|---|\n| demur | {told(same, ours, False):.3f} | "
          f"{speed:,.0f} | 1 |")  # fmt: skip
    for name, tag in peers().items():
        rows = everything[: 3000 if "py3" in name else len(everything)]
        fast = rate(lambda tag=tag, rows=rows: tag(rows), len(rows))
        print(f"| {name} | {told(same, tag, False):.3f} | {fast:,.0f} | {fast / speed:.2f} |")
    print(f"| tag_dialect | | {rate(lambda: tag_dialect(array, own), len(everything)):,.0f} | |")
    print(f"| tag_mixed | | {rate(lambda: tag_mixed(array, own), len(everything)):,.0f} | |")
    named = sum(two is not None for two in tag_mixed(array, own).to_pylist())
    dialects(data)
    switches(data, held)
    print(f"real posts of all sets with a second language: {interval(named, len(everything))}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "shared/data")
