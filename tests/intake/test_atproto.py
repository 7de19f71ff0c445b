"""The same record from Jetstream, from the firehose and from a repository is one item and one version."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytest.importorskip("libipld", reason="demur[atproto] is not installed")
import libipld

from demur.clock import parse
from demur.intake import intake, state_digest
from demur.intake.atproto import tid_instant
from demur.intake.bluesky import Bluesky

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "bluesky_jetstream_corpus"
real = pytest.mark.skipif(not DATA.exists(), reason="the sample data is not beside the repository")
AT = parse("2026-11-22")
DID = "did:plc:made"


def take(folder, *paths):
    return intake(Bluesky(), list(paths), store_folder=folder / "source", quarantine_folder=folder / "quarantine",
                  imported_at=AT)  # fmt: skip


def rows(folder, table="items"):
    return [
        row for part in sorted((folder / "source" / table).glob("*.parquet")) for row in pq.read_table(part).to_pylist()
    ]


@real
def test_the_firehose_says_what_jetstream_says(tmp_path):
    one, other = tmp_path / "jetstream", tmp_path / "frames"
    first = take(one, DATA / "expected_v1.jsonl")
    second = take(other, DATA / "frames.bin.zst")
    assert first.quarantined == second.quarantined == {}
    assert first.items > 30
    assert state_digest(one / "source") == state_digest(other / "source")
    both = take(one, DATA / "frames.bin.zst")
    assert (both.items, both.items_seen, both.people) == (0, first.items, 0)


@real
def test_a_repository_holds_every_record_that_its_listing_names(tmp_path):
    report = take(tmp_path, DATA / "repo.car")
    listed = [line.split("\t")[0] for line in (DATA / "car_expected_records.tsv").read_text().splitlines()]
    kept = [name for name in listed if name.split("/")[0] in ("app.bsky.feed.post", "app.bsky.feed.repost")]
    found = {row["item_id"].split("/", 3)[3] for row in rows(tmp_path) if "#" not in row["item_id"]}
    assert found == set(kept)
    assert sum(report.ignored.values()) == len(listed) - len(kept) - 1  # the profile is a person and two items
    assert report.quarantined == {}
    assert len(rows(tmp_path, "people")) == 1


# Made repositories ---------------------------------------------------------------------------------------------------


def varint(number):
    out = b""
    while True:
        number, low = number >> 7, number & 0x7F
        out += bytes([low | (0x80 if number else 0)])
        if not number:
            return out


class Blocks:
    def __init__(self):
        self.held = {}

    def put(self, value):
        raw = encode(value)
        name = b"\x01\x71\x12\x20" + hashlib.sha256(raw).digest()
        self.held[name] = raw
        return Cid(name)

    def car(self, root):
        header = encode({"version": 1, "roots": [root]})
        blocks = b"".join(varint(len(n) + len(raw)) + n + raw for n, raw in self.held.items())
        return varint(len(header)) + header + blocks


class Cid(bytes):
    """A link: DAG-CBOR writes it under tag 42."""


def encode(value):
    """Write DAG-CBOR with links, which libipld writes only as text."""
    if isinstance(value, Cid):
        return b"\xd8\x2a\x58\x25\x00" + value
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key), key))
        return head(5, len(value)) + b"".join(encode(key) + encode(value[key]) for key in keys)
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encode, value))
    return libipld.encode_dag_cbor(value)


def head(major, number):
    return bytes([major << 5 | number]) if number < 24 else bytes([major << 5 | 24, number])


def tid(micros):
    number, text = micros << 10, ""
    for _ in range(13):
        text = "234567abcdefghijklmnopqrstuvwxyz"[number & 31] + text
        number >>= 5
    return text


BEGIN = int(parse("2026-01-01").timestamp() * 1e6)


def rev(hour):
    return tid(BEGIN + hour * 3_600_000_000)


def post(text, **more):
    return {"$type": "app.bsky.feed.post", "text": text, "createdAt": "2026-01-01T00:00:00Z", "langs": ["en"], **more}


def repository(records, head_rev):
    """Write a repository with a tree of two levels: the first record at the root, the others below it."""
    blocks, links = Blocks(), []
    for path, record in sorted(records.items()):
        links.append((path, blocks.put(record)))
    below = None
    if len(links) > 1:
        entries, before = [], b""
        for path, link in links[1:]:
            key = path.encode()
            shared = next((n for n, (a, b) in enumerate(zip(key, before, strict=False)) if a != b),
                          min(len(key), len(before)))  # fmt: skip
            entries.append({"p": shared, "k": key[shared:], "v": link, "t": None})
            before = key
        below = blocks.put({"l": None, "e": entries})
    path, link = links[0]
    root = blocks.put({"l": None, "e": [{"p": 0, "k": path.encode(), "v": link, "t": below}]})
    commit = blocks.put({"did": DID, "version": 3, "rev": head_rev, "data": root, "prev": None, "sig": b"\0"})
    return blocks.car(commit)


def frame(operations, commit_rev):
    """Write a commit frame: operations are (action, path, record)."""
    blocks, ops = Blocks(), []
    for action, path, record in operations:
        ops.append({"action": action, "path": path, "cid": None if record is None else blocks.put(record)})
    root = blocks.put({"did": DID, "rev": commit_rev})
    body = {"repo": DID, "rev": commit_rev, "ops": ops, "blocks": blocks.car(root), "time": "2026-01-01T00:00:00Z"}
    return prefixed(encode({"op": 1, "t": "#commit"}) + encode(body))


def prefixed(raw):
    return len(raw).to_bytes(4, "little") + raw


def event(kind, **body):
    said = {"did": DID, "seq": 1, "time": "2026-01-02T00:00:00Z", **body}
    return prefixed(encode({"op": 1, "t": kind}) + encode(said))


def jetstream(action, path, record, commit_rev):
    collection, rkey = path.split("/")
    commit = {"rev": commit_rev, "operation": action, "collection": collection, "rkey": rkey}
    commit |= {} if record is None else {"record": record}
    return json.dumps({"did": DID, "time_us": BEGIN + 9, "kind": "commit", "commit": commit}).encode() + b"\n"


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


PATHS = [f"app.bsky.feed.post/{rev(hour)}" for hour in range(4)]
IMAGE = {"$type": "blob", "ref": Cid(b"\x01\x55\x12\x20" + bytes(32)), "mimeType": "image/jpeg", "size": 1}
RECORDS = {path: post(f"words {n}") for n, path in enumerate(PATHS)}
RECORDS[PATHS[3]] = post(
    "a picture", embed={"$type": "app.bsky.embed.images", "images": [{"alt": "a cat", "image": IMAGE}]}
)


def test_one_post_from_three_doors_is_one_version(tmp_path):
    plain = {
        path: json.loads(json.dumps(record, default=lambda link: {"$link": link.hex()}))
        for path, record in RECORDS.items()
    }
    lines = b"".join(jetstream("create", path, record, rev(n + 1)) for n, (path, record) in enumerate(plain.items()))
    frames = b"".join(frame([("create", path, record)], rev(n + 1)) for n, (path, record) in enumerate(RECORDS.items()))
    doors = {"a.jsonl": lines, "b.bin": frames, "c.car": repository(RECORDS, rev(9))}
    for name, content in doors.items():
        take(tmp_path / name, put(tmp_path / name / name, content))
    assert len({state_digest(tmp_path / name / "source") for name in doors}) == 1
    kinds = sorted(row["kind"] for row in rows(tmp_path / "c.car"))
    assert kinds == ["alt_text", "photo", "post", "post", "post", "post"]


def test_deletes_and_accounts_that_end_are_tombstones(tmp_path):
    frames = [frame([("create", PATHS[0], RECORDS[PATHS[0]])], rev(1)), frame([("delete", PATHS[0], None)], rev(2)),
              event("#account", active=False, status="takendown"), event("#identity", handle="made.example"),
              event("#info", name="OutdatedCursor"), event("#tombstone")]  # fmt: skip
    random.Random(1).shuffle(frames)
    report = take(tmp_path, put(tmp_path / "f.bin", b"".join(frames)))
    found = {row["state"]: row["version_at"] for row in rows(tmp_path)}
    assert found["deleted"] > found["live"]
    assert {row["status"] for row in rows(tmp_path, "people")} == {"suspended", "deleted", None}
    assert report.ignored == {"frame #info": 1}


def test_a_key_from_the_future_does_not_outlive_its_deletion(tmp_path):
    path = f"app.bsky.feed.post/{rev(9_000)}"
    take(
        tmp_path,
        put(tmp_path / "f.bin", frame([("create", path, post("x"))], rev(1)) + frame([("delete", path, None)], rev(2))),
    )
    found = {row["state"]: row["version_at"] for row in rows(tmp_path)}
    assert found["deleted"] > found["live"]


def test_a_declaration_in_a_repository_is_the_accounts_signal(tmp_path):
    declared = {"org.user-intents.declaration/self": {"$type": "org.user-intents.declaration",
                                                      "syntheticContentGeneration": {"allow": False}}}  # fmt: skip
    take(tmp_path, put(tmp_path / "r.car", repository(RECORDS | declared, rev(9))))
    assert [row["signal"] for row in rows(tmp_path, "people")] == ["n"]


def test_what_is_damaged_is_quarantined_and_nothing_is_made_of_it(tmp_path):
    good = repository(RECORDS, rev(9))
    changed = good.replace(b"words 1", b"words X")
    report = take(tmp_path / "changed", put(tmp_path / "changed.car", changed))
    assert report.quarantined == {"truncated": 1}
    assert "words X" not in {row["text"] for row in rows(tmp_path / "changed")}
    for cut in (3, 40, len(good) // 2, len(good) - 1):
        report = take(tmp_path / f"cut{cut}", put(tmp_path / f"{cut}.car", good[:cut]))
        assert report.quarantined == {"truncated": 1}
        assert report.items == 0
    frames = frame([("create", PATHS[0], RECORDS[PATHS[0]])], rev(1))
    report = take(tmp_path / "frames", put(tmp_path / "f.bin", frames + prefixed(b"noise") + frames + frames[:-3]))
    assert report.quarantined == {"wrong_type": 1, "truncated": 1}
    assert report.items == 1


def test_a_frame_without_its_record_is_quarantined(tmp_path):
    raw = encode({"op": 1, "t": "#commit"}) + encode({"repo": DID, "rev": rev(1), "blocks": b"", "tooBig": True,
        "ops": [{"action": "create", "path": PATHS[0], "cid": Cid(b"\x01\x71\x12\x20" + bytes(32))}]})  # fmt: skip
    assert take(tmp_path, put(tmp_path / "f.bin", prefixed(raw))).quarantined == {"truncated": 1}


@pytest.mark.parametrize(
    "tid_", ["", "self", "3mptbypluud2", "zzzzzzzzzzzzz", "2222222222222", "3MPTBYPLUUD2A", None, 5]
)
def test_what_is_no_tid_gives_no_instant(tid_):
    assert tid_instant(tid_) is None
