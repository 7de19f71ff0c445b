"""Texts that stand in pictures or are said in voices: which posts they show (COR-05, TPD-02).

A screenshot shows a post with other words around it, sometimes a part of it, and its letters are misread: blanks are
lost, accents go, *l* becomes *I*. So signs are compared, not words: letters and digits alone, without case, accents and
what looks alike, in runs of ``RUN``. One text shows another when of the runs of the shorter at least ``SHARE`` are in
both. Placeholders and handles are no part of a text, as in :mod:`demur.corpus.similarity`.

Nothing is compared with all: every text is looked up in one sieve of all pictures' runs, and only who has enough of
them there (a handful) is redacted as the corpus does it, and counted against each picture. Posts and pictures are
streamed; memory is the sieve and a block of posts. A verdict is a function of the two texts alone.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus.redact import redact
from demur.corpus.sieve import Sieve
from demur.corpus.similarity import distinct, words
from demur.corpus.text import normalised, own_words

Runs = npt.NDArray[np.uint64]

SHOWN = "demur-shown-1"
"""Name of the frozen settings below."""
RUN = 12
"""Signs of a run: two words, about."""
SHARE = 0.6
"""Of the runs of the shorter text (docs/media.md says how often that finds a copy, and how often something else)."""

_LIKELY = 0.2
"""Of a post's runs as it was written, handles and quotes among them, that the sieve must know; or
``_STREAK`` of them one after another, of a long post of which a picture shows a part."""
_STREAK = 24
_BITS_A_RUN = 16
_CHUNK = 2_048
BLOCK_SIGNS = 4_000_000
"""Signs of the posts that are in memory at once, about; each block is one more look at the pictures."""
MOST = 16
"""Allowed posts that are named of those a picture shows."""
_PAIRS = 4_000_000
_NOT_SAID = re.compile(r"<[A-Z_]{2,10}>|https?://\S+|[@\uff20]\S+")
_END = "\x1e"
_ALIKE = str.maketrans("øłđħŧıil|10ο", "oldhtlllllo" + "o")
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))

Pictures = Callable[[], Iterator[Sequence[str | None]]]
"""Yields the texts of pictures in batches, each time it is asked, in the same order."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of some posts: two masks."""

    protected: Any
    allowed: Any


def showing(
    pictures: Pictures,
    posts: Iterable[tuple[Any, Any]],
    known: Callable[[Any], Known],
    *,
    least: int,
) -> Iterator[tuple[Any, Any, Any]]:
    """Yield which pictures show which posts.

    Args:
        pictures: what was read in pictures or heard, redacted; null = nothing.
        posts: (ids, texts as they were written) in pieces, Arrow string arrays; null = no text.
        known: ids → which of them are protected, and which are allowed; all others are nobody's concern.
        least: of fewer words a text belongs to nobody.

    Yields:
        numbers of pictures in their order, Arrow ids of posts, whether they are protected. Of a picture the first
        protected post of a block and its first ``MOST`` allowed ones by their ids: whoever shows more shows a template.
    """
    sieve = _sieve(pictures)
    for ids, texts in _together(_likely(posts, sieve)) if sieve is not None else ():
        block = _Block.of(ids, texts, known(ids), least)
        if len(block.runs):  # else all of them are nobody's
            yield from _found(pictures, block, least)


def shares(left: str, right: str) -> float:
    """Return what part of the runs of the shorter of two texts is in both.

    >>> post = "we cooked potatoes with butter and garlic"
    >>> shares("Ana 10:15 we cooked p0tatoes withbutter and gar1ic 3 likes", post)
    1.0
    >>> shares("we cooked nothing with butter but garlic", post)
    0.0
    """
    (one, _), (other, _) = (_distinct(*runs_of([text])) for text in (left, right))
    return len(np.intersect1d(one, other)) / max(1, min(len(one), len(other)))


def runs_of(texts: Sequence[str | None]) -> tuple[Runs, Any]:
    """Return the hashes of all runs of some texts, and which text each is of."""
    said = _NOT_SAID.sub(" ", _END.join((text or "").replace(_END, " ") for text in texts) + _END)
    plain = unicodedata.normalize("NFKD", said.casefold())
    signs = _signs().take(np.frombuffer(plain.encode("utf-32-le", "surrogatepass"), "<u4"))
    owners = np.cumsum(signs == ord(_END))
    kept = (signs != 0) & (signs != ord(_END))
    signs, owners = signs[kept].astype(np.uint64), owners[kept]
    if len(signs) < RUN:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    two = _joined(signs, 1)
    four = _joined(two, 2)
    eight = _joined(four, 4)
    runs = _mix(eight[: len(signs) - RUN + 1] * _MIX[0] + four[8 : 8 + len(signs) - RUN + 1])
    whole = owners[: len(runs)] == owners[RUN - 1 :]
    return runs[whole], owners[: len(runs)][whole]


def _joined(hashed: Runs, step: int) -> Runs:
    return _mix(hashed[:-step] * _MIX[0] + hashed[step:])


def _mix(values: Runs) -> Runs:
    values = (values ^ (values >> np.uint64(29))) * _MIX[1]
    return values ^ (values >> np.uint64(32))


@lru_cache(maxsize=1)
def _signs() -> npt.NDArray[np.uint32]:
    """Return for every sign what it counts as: itself, what looks like it, or 0; accents stand alone by now."""
    table = np.zeros(sys.maxunicode + 1, np.uint32)
    for run in re.finditer(r"[^\W_]+", "".join(map(chr, range(len(table))))):
        table[run.start() : run.end()] = np.arange(run.start(), run.end())
    for sign, like in _ALIKE.items():
        table[sign] = like
    table[ord(_END)] = ord(_END)
    return table


def _distinct(runs: Runs, owners: Any) -> tuple[Runs, Any]:
    """Return every run of a text once; ordered by text."""
    order = np.lexsort((runs, owners))
    runs, owners = runs[order], owners[order]
    fresh = np.ones(len(runs), bool)
    fresh[1:] = (runs[1:] != runs[:-1]) | (owners[1:] != owners[:-1])
    return runs[fresh], owners[fresh]


def _sieve(pictures: Pictures) -> Sieve | None:
    """Return a sieve of the runs of all pictures, or ``None`` when there is nothing in them."""
    signs = sum(len(text) for some in pictures() for text in some if text)
    if not signs:
        return None
    made = Sieve(signs, each=_BITS_A_RUN)
    for some in pictures():
        made.add(distinct(runs_of(some)[0]))
    return made


def _likely(posts: Iterable[tuple[Any, Any]], sieve: Sieve) -> Iterator[tuple[Any, Any]]:
    """Yield the posts that enough of stands in pictures to look closer."""
    for ids, texts in posts:
        for at in range(0, len(ids), _CHUNK):
            some = texts.slice(at, _CHUNK)
            rows = np.flatnonzero(_passing(some.to_pylist(), sieve))
            if len(rows):
                yield ids.slice(at, _CHUNK).take(pa.array(rows)), some.take(pa.array(rows))


def _passing(texts: Sequence[str | None], sieve: Sieve) -> Any:
    runs, owners = runs_of(texts)
    hits = sieve.may(runs)
    all_of, met = (np.bincount(some, minlength=len(texts)) for some in (owners, owners[hits]))
    found = (met > 0) & (met >= _LIKELY * all_of)
    if len(runs) > _STREAK:
        until = np.concatenate([[0], np.cumsum(hits)])
        streak = until[_STREAK:] - until[:-_STREAK] == _STREAK
        found[owners[: len(streak)][streak & (owners[: len(streak)] == owners[_STREAK - 1 :])]] = True
    return found


def _together(posts: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """Yield posts in blocks of about so many signs; what is known of them is asked once a block."""
    waiting: list[tuple[Any, Any]] = []
    signs = 0
    for ids, texts in posts:
        waiting.append((ids, texts))
        signs += pc.sum(pc.utf8_length(texts)).as_py() or 0
        if signs >= BLOCK_SIGNS:
            yield _one(waiting)
            waiting, signs = [], 0
    if waiting:
        yield _one(waiting)


def _one(pieces: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    ids, texts = (pa.concat_arrays(column) for column in zip(*pieces, strict=True))
    return ids, texts


@dataclass(frozen=True, slots=True)
class _Block:
    """Posts that are counted against pictures: every run of each once, ordered by run."""

    ids: Any
    protected: Any
    runs: Runs
    owners: Any
    """Number of the post of each run."""
    sizes: Any
    """Number of runs of each post."""

    @classmethod
    def of(cls, ids: Any, texts: Any, known: Known, least: int) -> _Block:
        """Return the posts that are somebody's concern, redacted as the corpus does it and ordered by their ids."""
        order = pc.sort_indices(ids)
        kept = order.filter(pc.or_(known.protected, known.allowed).take(order))
        ids, protected = ids.take(kept), known.protected.take(kept)
        plain = normalised(redact(own_words(texts.take(kept), protected)).texts)
        runs, owners = _distinct(*runs_of([text if len(words(text)) >= least else None for text in plain]))
        sizes, by_run = np.bincount(owners, minlength=len(ids)), np.argsort(runs, kind="stable")
        return cls(ids, protected.to_numpy(zero_copy_only=False).astype(bool), runs[by_run], owners[by_run], sizes)


def _found(pictures: Pictures, block: _Block, least: int) -> Iterator[tuple[Any, Any, Any]]:
    begin = 0
    for texts in pictures():
        numbers, posts = _shown(texts, block, least)
        if len(numbers):
            yield begin + numbers, block.ids.take(pa.array(posts)), block.protected[posts]
        begin += len(texts)


def _shown(texts: Sequence[str | None], block: _Block, least: int) -> tuple[Any, Any]:
    """Return (picture, post) of a batch of pictures, ordered by both."""
    runs, rows = _distinct(*runs_of(texts))
    pairs, met = _shared(runs, rows, block)
    numbers, posts = np.divmod(pairs, len(block.sizes))
    copies = met >= SHARE * block.sizes[posts]
    parts = np.flatnonzero(~copies & (met >= SHARE * np.bincount(rows, minlength=len(texts))[numbers]))
    said = {row: len(words(texts[row] or "")) >= least for row in np.unique(numbers[parts]).tolist()}
    copies[parts] = [said[row] for row in numbers[parts].tolist()]
    numbers, posts = numbers[copies], posts[copies]
    kept = _first(numbers, block.protected[posts])
    return numbers[kept], posts[kept]


def _shared(runs: Runs, rows: Any, block: _Block) -> tuple[Any, Any]:
    """Return (picture and post as one number, how many runs are in both), in order of that number."""
    begins, ends = (np.searchsorted(block.runs, runs, side) for side in ("left", "right"))
    counts = ends - begins
    piece = np.cumsum(counts) // _PAIRS
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    for some in np.split(np.arange(len(runs)), np.flatnonzero(np.diff(piece)) + 1):
        many = counts[some]
        starts = np.repeat(begins[some] - np.cumsum(many) + many, many)
        posts = block.owners[starts + np.arange(many.sum())]
        both, together = np.unique_counts(np.repeat(rows[some], many) * len(block.sizes) + posts)
        found.append((both, together))
    pairs, met = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(pairs, kind="stable")
    pairs, met = pairs[order], met[order]
    first = np.flatnonzero(np.diff(pairs, prepend=-1))
    return pairs[first], np.add.reduceat(met, first) if len(first) else met


def _first(numbers: Any, protected: Any) -> Any:
    """Return which of the pairs stay: of each picture the first protected post and the first allowed ones."""
    place = np.empty(len(numbers), np.int64)
    for mine in (np.flatnonzero(protected), np.flatnonzero(~protected)):
        ordered = numbers[mine]
        place[mine] = np.arange(len(mine)) - np.searchsorted(ordered, ordered)
    return np.flatnonzero(place < np.where(protected, 1, MOST))
