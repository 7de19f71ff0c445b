"""Screenshots of posts: how many are found, how many pictures are taken for one that they are not, what it costs.

    python benchmarks/bench_screenshots.py [--pictures 4] [--strangers 300] [found strangers cost]

Posts are sentences and tweets out of ../shared/data, drawn with the fonts of this machine as apps show them: name and
time above, counts below, other posts around, dark or light, turned a little, JPEG. CPU seconds of one core.
"""

from __future__ import annotations

import argparse
import io
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from demur.corpus.shown import SHARE, Known, shares, showing
from demur.corpus.similarity import words
from demur.media import Darkroom, MediaRecipe

SHARED = Path("../shared/data")
LANGUAGES = ("cs", "cy", "de", "es", "et", "ga-IE", "hu", "it", "lt", "lv", "mt", "nl", "pl", "ro", "sk", "sl", "sv-SE")
LEAST = 8
NAMES = ("Ana Alvarado", "M. Kowalski", "lena_89", "Jo Q.", "The Gardener")


def posts() -> dict[str, list[str]]:
    """Return posts by language, each once."""
    found: dict[str, list[str]] = {}
    for language in LANGUAGES:
        for path in sorted((SHARED / "commonvoice_sentences" / language).glob("*.txt")):
            if "singleword" not in path.name and "cities" not in path.name:
                found.setdefault(language, []).extend(path.read_text(errors="replace").splitlines())
    for path in sorted((SHARED / "germeval2018").glob("*.txt")):
        lines = path.read_text().splitlines()
        found.setdefault("tweets", []).extend(line.split("\t")[0].replace("|LBR|", "\n") for line in lines)
    each = {name: sorted({one.strip() for one in some if one.strip()}) for name, some in found.items()}
    return {name: some for name, some in each.items() if sum(9 <= len(words(one)) <= 45 for one in some) > 50}


def fonts() -> list[Path]:
    """Return usual fonts of this machine."""
    wanted = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "LiberationSans-Regular", "LiberationSerif-Italic",
              "LiberationSansNarrow-Regular", "DejaVuSans-Bold")  # fmt: skip
    return sorted(path for path in Path("/usr/share/fonts").rglob("*.ttf") if path.stem in wanted)


def screenshot(post: str, others: list[str], chance: random.Random) -> bytes:
    """Draw a post as an app shows it."""
    wide, size = chance.choice([(540, 15), (540, 26), (720, 18), (720, 32), (1080, 26), (1080, 40)])
    path = chance.choice(fonts())
    font, small = ImageFont.truetype(path, size), ImageFont.truetype(path, max(12, size * 3 // 4))
    dark, margin = chance.random() < 0.4, chance.randrange(16, 90)
    probe = ImageDraw.Draw(Image.new("RGB", (1, 1)))

    def lines(text: str) -> Iterator[tuple[str, ImageFont.FreeTypeFont]]:
        line = ""
        for word in text.split():
            if line and probe.textlength(f"{line} {word}", font=font) > wide - 2 * margin:
                yield line, font
                line = ""
            line = f"{line} {word}".strip()
        yield line, font

    def shown_by_app(text: str) -> list[tuple[str, ImageFont.FreeTypeFont]]:
        head = f"{chance.choice(NAMES)} @somebody · {chance.randrange(1, 23)}h"
        foot = f"{chance.randrange(1, 23)}:{chance.randrange(10, 59)} · 16 Mar 2025 · {chance.randrange(9999)} Views"
        return [(head, small), *lines(text), (foot, small), ("17   112   1 408", small)]

    around = chance.choice([0, 0, 1, 2, None])
    drawn = list(lines(post)) if around is None else shown_by_app(post)
    drawn = [
        *(line for one in chance.sample(others, min(around or 0, len(others))) for line in shown_by_app(one)),
        *drawn,
    ]
    step = int(size * chance.choice([1.25, 1.4, 1.6]))
    picture = Image.new("RGB", (wide, 2 * margin + step * len(drawn)), (21, 32, 43) if dark else "white")
    for place, (line, face) in enumerate(drawn):
        at = margin, margin + place * step
        ImageDraw.Draw(picture).text(at, line, font=face, fill="white" if dark else "black")
    scale = chance.choice([1, 1, 1, 0.8, 0.65])
    picture = picture.resize((int(picture.width * scale), int(picture.height * scale)))
    picture = picture.filter(ImageFilter.GaussianBlur(0.6)) if chance.random() < 0.2 else picture
    turned = chance.uniform(-2.5, 2.5) if chance.random() < 0.2 else 0
    out = io.BytesIO()
    picture.rotate(turned, Image.Resampling.BICUBIC).save(out, "JPEG", quality=chance.choice([30, 45, 60, 75, 90]))
    return out.getvalue()


def runs_of_words(left: str, right: str) -> float:
    """Return the same as ``shares`` by runs of three words of the right text: how it was done before."""
    one, other = (
        {some[at : at + 3] for some in [words(text)] for at in range(len(some) - 2)} for text in (left, right)
    )
    return len(one & other) / max(1, len(other))


def found(count: int) -> None:
    """Pictures in which the post is found, by share; whole posts and first halves of long ones."""
    whole: list[tuple[float, float]] = []
    halves: list[float] = []
    with Darkroom(MediaRecipe(chats="keep", detectors=()), "demur.corpus.redact:redact") as room:
        for name, some in posts().items():
            chance = random.Random(name)
            long = [one for one in some if 9 <= len(words(one)) <= 45]
            for _ in range(count):
                post = " ".join(chance.sample(long, chance.choice([1, 1, 2])))
                read = room.develop("picture", screenshot(post, long, chance)).seen["ocr_text"] or ""
                whole.append((shares(read, post), runs_of_words(read, post)))
            post = " ".join(chance.sample(long, 6))
            part = " ".join(post.split()[: len(post.split()) // 2])
            read = room.develop("picture", screenshot(part, [], chance)).seen["ocr_text"] or ""
            halves.append(shares(read, post))
    for share in (0.5, SHARE, 0.7, 0.8):
        signs, runs = (sum(one[way] >= share for one in whole) for way in (0, 1))
        print(f"  share {share}: {signs} of {len(whole)} by runs of signs, {runs} by runs of three words")
    print(f"  halves of long posts: {sum(one >= SHARE for one in halves)} of {len(halves)}; least {min(whole)[0]:.2f}")


def strangers(count: int) -> None:
    """Pictures with posts of their own, against all other posts: how many show one that they do not."""
    pictures, own, others = [], [], []
    for name, some in posts().items():
        chance = random.Random(name)
        chance.shuffle(some)
        mine = [one for one in some if len(words(one)) >= LEAST][:count]
        pictures += [
            f"Ana Alvarado · 3h\n{one}\n12:19 · 16 Mar 2025 · 1271 Views\n17 Reposts 112 Likes" for one in mine
        ]
        own += mine
        others += some
    ids, texts = pa.array([str(one) for one in range(len(others))]), pa.array(others)
    begun = time.process_time()
    hits = list(showing(lambda: iter([pictures]), [(ids, texts)], everybody, least=LEAST))
    spent = time.process_time() - begun
    pairs = [
        (shares(pictures[row], others[int(post)]), row)
        for rows, some, _ in hits
        for row, post in zip(rows.tolist(), some.to_pylist(), strict=True)
        if others[int(post)] != own[row]
    ]
    print(f"  {len(pictures)} pictures, {len(others)} posts: {spent:.1f} s, {spent / len(others) * 1e6:.1f} us a post")
    for share in (SHARE, 0.7, 0.8, 0.9):
        print(f"  share {share}: {len({row for one, row in pairs if one >= share})} pictures show another post too")


def everybody(ids: pa.Array) -> Known:
    """Say that all posts are allowed."""
    return Known(pa.array(np.zeros(len(ids), bool)), pa.array(np.ones(len(ids), bool)))


def cost(largest: int) -> None:
    """What comparing costs as pictures and posts become more: made-up words."""
    chance = np.random.default_rng(1)
    lexicon = np.array(
        ["".join(chr(97 + one) for one in chance.integers(0, 26, chance.integers(2, 9))) for _ in range(20_000)]
    )
    for count in (largest // 4, largest):
        drawn = lexicon[(20_000 * chance.random((count, 16)) ** 3).astype(int)]
        made = [" ".join(row) for row in drawn]
        pictures = [f"somebody 3h {made[row]} 12:19 Views" for row in range(0, count, 10)]
        begun = time.process_time()
        hits = list(
            showing(lambda some=pictures: iter([some]), [(pa.array(made), pa.array(made))], everybody, least=LEAST)
        )
        spent = time.process_time() - begun
        print(f"  {count:,} posts, {len(pictures):,} pictures: {spent:.1f} s, {spent / count * 1e6:.1f} us a post; "
              f"{sum(len(rows) for rows, _, _ in hits):,} found")  # fmt: skip


def main() -> None:
    """Measure what is asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["found", "strangers", "cost"])
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--strangers", type=int, default=300)
    parser.add_argument("--posts", type=int, default=200_000)
    asked = parser.parse_args()
    ways = {
        "found": lambda: found(asked.pictures),
        "strangers": lambda: strangers(asked.strangers),
        "cost": lambda: cost(asked.posts),
    }
    for what in asked.what:
        print(what)
        ways[what]()


if __name__ == "__main__":
    main()
