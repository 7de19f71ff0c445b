"""A dump is whole, repeats byte for byte, and is read by the source ``demo``; its media are real files."""

import hashlib
import wave

import orjson
import pytest
from PIL import Image

from demur.errors import InputError
from demur.intake.demo import Demo
from demur.intake.source import Context, ItemRow, PersonRow, Unreadable
from demur.terms.tables import ITEMS, PEOPLE
from demur.testing import AS_OF, Network, truth, write_dump

PEOPLE_COUNT = 300


@pytest.fixture(scope="module")
def dump(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dump")
    write_dump(folder, 3, PEOPLE_COUNT)
    return folder


def lines(path):
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_two_dumps_are_equal_byte_for_byte(dump, tmp_path):
    write_dump(tmp_path, 3, PEOPLE_COUNT)
    files = sorted(path.relative_to(dump) for path in dump.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    for name in files:
        assert (
            hashlib.sha256((dump / name).read_bytes()).digest()
            == hashlib.sha256((tmp_path / name).read_bytes()).digest()
        )


def test_about_counts_what_is_there(dump):
    about = orjson.loads((dump / "about.json").read_bytes())
    assert about["items"] == len(list(truth(dump)))
    assert about["versions"] + about["spoiled"] == len(lines(dump / "items.jsonl"))
    assert about["accounts"] == len(lines(dump / "accounts.jsonl"))
    assert about["events"] == len(lines(dump / "events.jsonl"))
    assert about["media"] == len(list((dump / "media").iterdir()))


def test_media_open_and_carry_what_must_be_stripped(dump):
    photos, voices = list((dump / "media").glob("*.jpg")), list((dump / "media").glob("*.wav"))
    assert photos
    assert voices
    for path in photos:
        with Image.open(path) as image:
            image.load()
            assert image.format == "JPEG"
            assert image.getexif().get_ifd(0x8825), "expected a GPS position in the EXIF"
    for path in voices:
        with wave.open(str(path)) as sound:
            assert sound.getnframes() == 2000


def test_every_media_path_that_was_written_exists(dump):
    rows = [row for row in lines(dump / "items.jsonl") if row.get("media_path")]
    assert rows
    assert all((dump / row["media_path"]).is_file() for row in rows)


def test_the_source_reads_every_row_or_says_why_not(dump):
    source = Demo()
    context = Context("demo", AS_OF)
    rows = [row for given in source.inputs([dump]) for row in source.read(given, context)]
    items = [row for row in rows if isinstance(row, ItemRow)]
    people = [row for row in rows if isinstance(row, PersonRow)]
    faults = [row for row in rows if isinstance(row, Unreadable)]
    about = orjson.loads((dump / "about.json").read_bytes())
    assert len(people) == about["accounts"]
    assert len(items) + len(faults) == about["versions"] + about["spoiled"]
    assert {fault.reason for fault in faults} == {"not_a_date"}
    assert all(row.keys() <= set(ITEMS.names) for row in items)
    assert all(row.keys() <= set(PEOPLE.names) for row in people)
    whole = next(row for row in items if not row["item_id"].endswith("x"))
    assert whole.keys() == set(ITEMS.names) - {"version_id", "source", "imported_at"}
    assert people[0].keys() == set(PEOPLE.names) - {"version_id", "source", "imported_at"}


def test_a_broken_line_is_counted_and_the_rest_is_read(dump, tmp_path):
    (tmp_path / "accounts.jsonl").write_bytes((dump / "accounts.jsonl").read_bytes())
    whole = (dump / "items.jsonl").read_bytes().splitlines(keepends=True)[:3]
    (tmp_path / "items.jsonl").write_bytes(b"".join([whole[0], b'{"item_id": \n', b"[1]\n", b'"text"\n', *whole[1:]]))
    source, context = Demo(), Context("demo", AS_OF)
    rows = list(source.read(source.inputs([tmp_path / "items.jsonl"])[0], context))
    assert [type(row).__name__ for row in rows] == ["ItemRow", *["Unreadable"] * 3, "ItemRow", "ItemRow"]
    assert [row.position for row in rows[1:4]] == ["line 2", "line 3", "line 4"]


def test_a_folder_without_a_dump_is_refused(tmp_path):
    with pytest.raises(InputError, match="write a dump first"):
        Demo().inputs([tmp_path])
    with pytest.raises(InputError, match="write one first"):
        next(truth(tmp_path))


def test_progress_is_told(tmp_path):
    told = []
    write_dump(tmp_path, 3, 200, lambda stage, done, total: told.append((stage, done, total)))
    assert told == [("network", 100, 200), ("network", 200, 200)]


def test_a_dump_says_the_same_as_the_network(dump):
    network = Network(3, PEOPLE_COUNT)
    from_network = [network.truth_row(person.profile, work) for person in network.stream() for work in person.works]
    assert [orjson.loads(orjson.dumps(row)) for row in from_network] == list(truth(dump))
