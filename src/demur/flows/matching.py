"""Looks through everything imported for what one person asks about: part by part, resumable, in flat memory.

    snapshot of the source ─▶ how common the names are ─▶ every part of the items ─▶ reshares ─▶ staff

After each part the hits and the place are on disk together, so a killed search goes on at the next part. The snapshot
holds posts in clear; it lies in ``work/`` and goes when nobody is searched for any more.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from demur.corpus import mentions, similarity
from demur.flows.service import Service
from demur.intake import snapshot, state_digest
from demur.requests import (
    COLUMNS,
    COPIES,
    Found,
    Matcher,
    Names,
    Rule,
    Similarity,
    Wanted,
    fold,
    folded,
    reference,
    reshares,
)
from demur.requests.pictures import file_fingerprint
from demur.store import read_commit, remove_tree

BATCH = 20_000
SECONDS = 3.0
MOST_ROUNDS = 50
"""Steps of a chain of reshares that are followed."""
FAILED_SECONDS, MOST_FAILED_SECONDS = 600.0, 6 * 3600.0
"""A request whose search failed waits so long, so that it keeps nobody else waiting; each time twice as long."""
_FAILED: dict[Path, dict[int, tuple[float, float]]] = {}
"""Workspace → request → monotonic seconds until which it waits, and how long it waits."""
_SAME = Similarity(similarity.jaccard_pairs, similarity.words, mentions.said_in)


def match_some(service: Service, *, seconds: float = SECONDS) -> int:
    """Go on with the request that is due first; return how many parts were read, 0 = idle or somebody else is at it."""
    with _alone(service) as mine:
        if not mine:
            return 0
        now, root = time.monotonic(), service.parts.workspace.root
        failed = _FAILED.setdefault(root, {})
        number = service.requests.waiting(but=[one for one, (until, _) in failed.items() if until > now])
        if number is None:
            remove_tree(_folder(service))  # also beside a search that failed: after an import it begins again
            return 0
        try:
            return _search(service, number, until=now + seconds)
        except Exception:  # the others have their turn first
            _, before = failed.get(number, (now, FAILED_SECONDS / 2))
            wait = min(2 * before, MOST_FAILED_SECONDS)
            failed[number] = now + wait, wait
            raise


def match_all(service: Service) -> int:
    """Search for everybody who waits; return how many parts were read."""
    total = 0
    while read := match_some(service, seconds=60.0):
        total += read
    return total


def _search(service: Service, number: int, *, until: float) -> int:
    book = service.requests
    wanted = book.wanted(number)
    if wanted is None:
        book.searched(number)
        return 1
    begun = book.place(number)[0]
    digest, folder = _snapshot(service, begun)
    if begun != digest:
        book.begin(number, digest)
    parts = sorted((folder / "items").glob("*.parquet"))
    names = _names(wanted, folder)
    read = 0
    for place in range(book.place(number)[1], len(parts)):
        matcher = Matcher(wanted, _SAME, names.is_rare, _pictures(service))
        hits = [hit for batch in _batches(parts[place], COLUMNS) for hit in matcher.batch(batch)]
        seen = matcher.searched
        book.found(number, hits, parts_done=place + 1, searched=seen.items, pictures=seen.unseen_pictures)
        service.parts.progress(f"search {reference(number)}", place + 1, len(parts))
        read += 1
        if time.monotonic() > until and place + 1 < len(parts):
            return read
    _follow(service, number, parts)
    book.searched(number)
    return read + 1


def _follow(service: Service, number: int, parts: list[Path]) -> None:
    """Propose what reshares or quotes a copy, and what reshares that, to the end of every chain."""
    book = service.requests
    known = {one.item_id for one in book.proposals(number)}
    carriers = frozenset(one.item_id for one in book.proposals(number) if one.rule in COPIES)
    sure = {one.item_id for one in book.proposals(number) if one.certain}
    for _ in range(MOST_ROUNDS):
        if not carriers:
            return
        found: dict[str, tuple[str | None, str]] = {}
        for part in parts:
            for batch in _batches(part, ["item_id", "account_id", "original_id"]):
                found |= {item: (account, original) for item, account, original in reshares(batch, carriers)}
        new = {item: told for item, told in found.items() if item not in known}
        sure |= {item for item, (_, original) in new.items() if original in sure}
        hits = [(Found(item, Rule.RESHARE, 1.0, item in sure), account) for item, (account, _) in sorted(new.items())]
        book.found(number, hits, parts_done=len(parts))
        known |= set(new)
        carriers = frozenset(new)


def _snapshot(service: Service, begun: str | None) -> tuple[str, Path]:
    """Return digest and folder of a snapshot of everything imported by now; one that is still right is used again.

    So is the one that a search was begun with, or it would never end where something is imported all the time.
    """
    source, folder = service.parts.workspace.source, _folder(service)
    done = read_commit(folder) if folder.exists() else None
    if done is None or (done["digest"] != begun and done["state"] != state_digest(source)):
        done = snapshot(source, folder, as_of=None, known_at=service.clock())
    return str(done["digest"]), folder


def _names(wanted: Wanted, folder: Path) -> Names:
    asked = [name for name in map(fold, wanted.names) if len(name.split()) >= 2]
    found = Names(asked)
    if asked:
        for part in sorted((folder / "people").glob("*.parquet")):
            for batch in _batches(part, ["display_name"]):
                found.count(folded(batch.column("display_name")).to_pylist())
    return found


def _pictures(service: Service) -> Callable[[str], dict[str, Any] | None]:
    """Return how the fingerprint of an item's picture is found: files lie in ``media/`` by the path they came with."""
    root = (service.parts.workspace.root / "media").resolve()

    @lru_cache(maxsize=10_000)
    def look(path: str) -> dict[str, Any] | None:
        place = (root / path).resolve()
        return file_fingerprint(place) if place.is_relative_to(root) and place.is_file() else None

    return look


def _batches(part: Path, columns: list[str]) -> Iterator[Any]:
    with pq.ParquetFile(part) as file:
        yield from file.iter_batches(batch_size=BATCH, columns=columns)


def _folder(service: Service) -> Path:
    return service.parts.workspace.work / "requests"


@contextmanager
def _alone(service: Service) -> Iterator[bool]:
    """Say whether this process is the one that searches now; the lock goes when it dies."""
    work = service.parts.workspace.work
    work.mkdir(parents=True, exist_ok=True)
    with (work / ".requests.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
