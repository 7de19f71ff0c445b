"""Writes a made-up network as a platform's export that people can look at, with the ground truth beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from demur.errors import InputError
from demur.store.files import write_bytes, write_json
from demur.terms.progress import Progress, silent
from demur.testing import media
from demur.testing.network import AS_OF, Network, Person

FILES = ("accounts.jsonl", "items.jsonl", "events.jsonl", "after.jsonl", "truth.jsonl")
_MOST_MEDIA = 2000
_README = """A made-up network, written by demur.testing. Nobody in it is real.

accounts.jsonl  one account a line: the columns of the table PEOPLE
items.jsonl     one version of an item a line: the columns of the table ITEMS; some lines cannot be read on purpose
events.jsonl    what the registry learned up to as_of: notices, objections, consents, moves, ages, holds, campaigns
after.jsonl     what it learns later, once a model is trained: objections and a corrected age
media/          small real photos (with planted camera data) and voice notes
truth.jsonl     what the plan intends for each item under the policy demur-strict at as_of, and what was planted where
about.json      seed, size, as_of, counts

Names are drawn from lists of common names, numbers by chance with valid checksums; any likeness is chance.
"""


def write_dump(
    folder: Path, seed: int, people: int, progress: Progress = silent, as_of: datetime = AS_OF
) -> dict[str, Any]:
    """Write a network into a folder and return the content of ``about.json``, which is written last.

    Args:
        folder: made when missing; files of an earlier dump are replaced.
        seed: seed of the network.
        people: how many.
        progress: told after every hundred people.
        as_of: instant at which the plans are judged.
    """
    network = Network(seed, people, as_of)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "about.json").unlink(missing_ok=True)
    counts = dict.fromkeys(("accounts", "items", "versions", "events", "after", "spoiled", "media"), 0)
    with ExitStack() as stack:
        out = {name: stack.enter_context((folder / name).open("wb")) for name in FILES}
        _lines(out["events.jsonl"], network.campaigns())
        counts["events"] += len(network.campaigns())
        for person in network.stream():
            _write_person(folder, network, person, out, counts)
            if person.profile.index % 100 == 99:
                progress("network", person.profile.index + 1, people)
    write_bytes(folder / "README.txt", _README.encode())
    about = {"seed": seed, "people": people, "as_of": as_of, **counts}
    write_json(folder / "about.json", about)
    return about


def truth(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the ground truth of a dump, one item at a time.

    Raises:
        InputError: the folder holds no whole dump.
    """
    if not (folder / "about.json").exists():
        raise InputError(f"expected a whole dump of a made-up network in {folder}, found none; write one first")
    with (folder / "truth.jsonl").open("rb") as lines:
        for line in lines:
            yield orjson.loads(line)


def _write_person(
    folder: Path, network: Network, person: Person, out: Mapping[str, BinaryIO], counts: dict[str, int]
) -> None:
    _lines(out["accounts.jsonl"], person.accounts)
    _lines(out["events.jsonl"], person.events)
    _lines(out["after.jsonl"], person.after)
    for work in person.works:
        _lines(out["items.jsonl"], work.rows)
        path = work.row["media_path"]
        if path is not None and counts["media"] < _MOST_MEDIA:
            make = media.photo if path.endswith(".jpg") else media.voice
            target = folder / path
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(make(network.world.seed, path))
            counts["media"] += 1
        counts["versions"] += len(work.rows)
    _lines(out["items.jsonl"], person.spoiled)
    _lines(out["truth.jsonl"], (network.truth_row(person.profile, work) for work in person.works))
    for name, rows in (("accounts", person.accounts), ("events", person.events), ("after", person.after),
                       ("spoiled", person.spoiled), ("items", person.works)):  # fmt: skip
        counts[name] += len(rows)


def _lines(out: BinaryIO, rows: Any) -> None:
    for row in rows:
        out.write(orjson.dumps(row, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE))
