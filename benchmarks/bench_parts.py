"""Parts of pictures found again, pictures that have nothing to do with each other, and what reading text leaves whole.

    python benchmarks/bench_parts.py FOLDER [--pictures 60] [--known 1000 4000]

FOLDER holds photos (JPEG or PNG), the more different the better; two files of one scene count as a false finding. Each
photo is changed in every way below, read for text like any picture, and looked for among all photos. CPU seconds of one
core.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from demur.media.detect import shrunk
from demur.media.keypoints import keypoints, read
from demur.media.partial import showing_parts
from demur.media.reading import Reader

Change = Callable[[Image.Image, Image.Image], Image.Image]


def cut(left: float, top: float, right: float, bottom: float) -> Change:
    """Return what cuts shares of a picture away at its edges."""

    def change(one: Image.Image, _other: Image.Image) -> Image.Image:
        wide, high = one.size
        return one.crop((int(wide * left), int(high * top), int(wide * (1 - right)), int(high * (1 - bottom))))

    return change


def captioned(one: Image.Image, _other: Image.Image) -> Image.Image:
    """Return a picture with two lines above it."""
    wide, high = one.size
    page = Image.new("RGB", (wide, high * 13 // 10), "white")
    page.paste(one, (0, page.height - high))
    for line, text in enumerate(("me when the bus", "is late again")):
        font = ImageFont.load_default(max(10, high // 10))
        ImageDraw.Draw(page).text((wide // 20, high * (3 + 14 * line) // 100), text, fill="black", font=font)
    return page


def screen(one: Image.Image, _other: Image.Image) -> Image.Image:
    """Return a phone that shows a post with the picture."""
    page, wide = Image.new("RGB", (1080, 1920), (250, 250, 250)), 1080
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(40)
    draw.rectangle((0, 0, wide, 90), fill=(20, 20, 30))
    draw.text((40, 25), "12:41   Posts", fill="white", font=font)
    draw.ellipse((40, 150, 140, 250), fill=(90, 120, 200))
    draw.text((170, 170), "somebody_here", fill="black", font=font)
    shown = one.resize((wide, one.height * wide // one.width))
    shown = shown.crop((0, 0, wide, min(shown.height, 1200)))
    page.paste(shown, (0, 290))
    for place, text in enumerate(("like   comment   share   save", "1,204 likes", "view all 34 comments")):
        draw.text((40, 310 + shown.height + place * 70), text, fill="black", font=font)
    for place in range(5):
        x = 60 + place * 216
        draw.polygon([(x, 1830), (x + 60, 1836), (x + 30, 1890)], fill=(60, 60, 60))
    return page


def collage(one: Image.Image, other: Image.Image) -> Image.Image:
    """Return a picture as one of four."""
    page, side = Image.new("RGB", (800, 800)), 400
    for place, shown in enumerate((other, one, ImageOps.mirror(other), ImageOps.flip(other))):
        page.paste(ImageOps.fit(shown, (side, side)), (place % 2 * side, place // 2 * side))
    return page


def beside(one: Image.Image, other: Image.Image) -> Image.Image:
    """Return two pictures side by side."""
    page = Image.new("RGB", (1200, 600))
    for place, shown in enumerate((other, one)):
        page.paste(ImageOps.fit(shown, (600, 600)), (600 * place, 0))
    return page


CHANGES: dict[str, Change] = {
    "2 % cut away at each side": cut(0.02, 0.02, 0.02, 0.02),
    "10 % at each side": cut(0.1, 0.1, 0.1, 0.1),
    "the left half": cut(0, 0, 0.5, 0),
    "the middle two fifths each way": cut(0.3, 0.3, 0.3, 0.3),
    "turned by a quarter": lambda one, _: one.rotate(90, expand=True),
    "turned by 10 degrees and cut": lambda one, _: cut(0.12, 0.12, 0.12, 0.12)(one.rotate(10, Image.BICUBIC), one),
    "a third of it covered": lambda one, _: ImageOps.expand(
        cut(0, 0, 0, 1 / 3)(one, one), (0, 0, 0, one.height // 3), "white"
    ),
    "captioned": captioned,
    "on a screen": screen,
    "small: 10 % cut, 200 wide": lambda one, _: ImageOps.contain(cut(0.1, 0.1, 0.1, 0.1)(one, one), (200, 200)),
    "beside another": beside,
    "one of four": collage,
    "mirrored and cut": lambda one, _: ImageOps.mirror(cut(0.1, 0.05, 0.05, 0.1)(one, one)),
}


def again(one: Image.Image) -> Any:
    """Return the pixels of a picture as it comes after one more upload."""
    out = io.BytesIO()
    one.convert("RGB").save(out, "JPEG", quality=70)
    return np.ascontiguousarray(shrunk(np.asarray(Image.open(out).convert("RGB")), 1024)[0])


def photos(folder: Path, most: int) -> list[Image.Image]:
    """Return the photos of a folder, different ones."""
    found: dict[bytes, Image.Image] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in {".jpg", ".jpeg", ".png"} and len(found) < most:
            one = Image.open(path).convert("RGB")
            if min(one.size) >= 200:
                found.setdefault(one.resize((16, 16)).tobytes(), one)
    return list(found.values())


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--known", type=int, nargs="*", default=[1_000, 4_000])
    given = parser.parse_args()
    cv2.setNumThreads(1)
    reader, pictures = Reader(None), photos(given.folder, given.pictures)
    plain = [again(one) for one in pictures]
    begun = time.process_time()
    lines = [reader.read(one) for one in plain]
    reading = time.process_time() - begun
    hidden = [
        sum((box[2] - box[0]) * (box[3] - box[1]) for box in one.hidden[len(one.hidden) - one.unread :])
        for one in lines
    ]
    shares = np.array([area / one.shape[0] / one.shape[1] for area, one in zip(hidden, plain, strict=True)])
    print(f"{len(pictures)} pictures; read: {reading / len(plain):.2f} s each")
    print(f"hidden since it cannot be read: {shares.mean():.1%} of them, nine tenths of {(shares > 0.9).sum()}")
    begun = time.process_time()
    known = [read(keypoints(one, some.lines)) for one, some in zip(plain, lines, strict=True)]
    print(f"keypoints: {1000 * (time.process_time() - begun) / len(plain):.1f} ms each")
    strangers = total = 0
    print(f"{'change':34} found of {len(pictures)}   others taken for it")
    for name, change in CHANGES.items():
        asked = changed(pictures, change, reader)
        hits = np.array([showing_parts([one], lambda some=asked: some, len(asked)) for one in known])
        right = hits.diagonal()
        two = name in {"beside another", "one of four"}  # the next picture is in it too
        wrong = hits.sum() - right.sum() - (np.roll(hits, -1, axis=0).diagonal().sum() if two else 0)
        strangers, total = strangers + wrong, total + hits.size - len(right) * (2 if two else 1)
        print(f"{name:34} {right.sum():3} {right.mean():.2f}   {wrong}", flush=True)
    print(f"others taken for it, of {total} pairs: {strangers}")
    others = changed(pictures, lambda one, _: ImageOps.mirror(one), reader)  # as different as others, to keypoints
    for many in given.known:
        begun = time.process_time()
        showing_parts(islice(cycle(known), many), lambda: others, len(others))
        print(
            f"looked for among {many:,}: {1000 * (time.process_time() - begun) / len(others):.1f} ms each", flush=True
        )


def changed(pictures: list[Image.Image], change: Change, reader: Reader) -> list[Any]:
    """Return the keypoints of every picture after a change that is given the next one too."""
    found = []
    for one, other in zip(pictures, [*pictures[1:], pictures[0]], strict=True):
        pixels = again(change(one, other))
        found.append(read(keypoints(pixels, reader.read(pixels).lines)))
    return found


if __name__ == "__main__":
    main()
