"""Recompute a whole ledger from its files and say what does not fit, and where.

Needs the public folder and the verifier key only. Not handled here: openings (``Ledger.opening`` checks one), repair.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from demur.errors import BrokenError, DemurError
from demur.ledger import tree
from demur.ledger.entries import read_leaf
from demur.ledger.note import VerifierKey, read_checkpoint
from demur.ledger.tiles import read_tile_path, split_tile, tile_files, tile_path, tiles_of, unpack_bundle

_WIDTH = tree.TILE_WIDTH


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """What an audit of a ledger's files found."""

    origin: str
    size: int
    root: str
    """Hex, as the checkpoint says it."""
    kinds: dict[str, int]
    """Entries by kind."""
    key_from_folder: bool
    """The key was taken from the folder itself, so somebody who can replace everything could replace it too."""
    faults: tuple[str, ...]
    """Where something was changed, removed or added; empty when everything fits."""

    @property
    def ok(self) -> bool:
        """Say whether nothing was found."""
        return not self.faults


def verify(folder: Path, key: VerifierKey | None = None) -> LedgerFacts:
    """Recompute a ledger and compare it with its signed checkpoint.

    Args:
        folder: the ledger, or only its public part.
        key: the log's verifier key from a source that you trust; ``None`` takes the one in the folder.

    Returns:
        Facts with every fault found; a damaged ledger is a result, not an exception.
    """
    public = folder / "public" if (folder / "public").is_dir() else folder
    faults: list[str] = []
    own = _own_key(public, faults)
    if key is not None and own is not None and own != key:
        faults.append("vkey: is not the key that you trust")
    trusted = key or own
    checkpoint = None
    if trusted is not None:
        try:
            checkpoint = read_checkpoint((public / "checkpoint").read_bytes().decode(), trusted)
        except (OSError, ValueError, DemurError) as error:
            faults.append(f"checkpoint: {_reason(error)}")
    if checkpoint is None or trusted is None:
        return LedgerFacts(trusted.name if trusted else "", 0, "", {}, key is None, tuple(faults))
    audit = _Audit(public, checkpoint.size)
    audit.run(checkpoint.root)
    return LedgerFacts(
        trusted.name, checkpoint.size, checkpoint.root.hex(), dict(sorted(audit.kinds.items())), key is None,
        tuple(faults + audit.faults),
    )  # fmt: skip


def _own_key(public: Path, faults: list[str]) -> VerifierKey | None:
    try:
        text = (public / "vkey").read_bytes().decode()
        found = VerifierKey.read(text)
    except (OSError, ValueError, DemurError) as error:
        faults.append(f"vkey: {_reason(error)}")
        return None
    if text != f"{found}\n":
        faults.append("vkey: is not in its one written form")
    return found


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, DemurError) else f"cannot be read ({type(error).__name__})"


class _Audit:
    """Walks the tiles level by level; collects faults with the place of each."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        self.faults: list[str] = []
        self.kinds: Counter[str] = Counter()
        self._content: dict[str, bytes] = {}

    def run(self, root: bytes) -> None:
        """Compare bundles with leaf tiles, each level with the one above, and the edge with the root."""
        self._strangers()
        found: list[bytes] = []
        rows: list[list[bytes]] = []
        above = list(self._bundle_hashes())
        level = 0
        while (count := self.size >> 8 * level) > 0:
            row = self._row(level, count)
            self._compare(level, row, above)
            rows.append(row[count - count % _WIDTH :])
            above = [
                tree.complete_root(row[start : start + _WIDTH]) for start in range(0, count - count % _WIDTH, _WIDTH)
            ]
            level += 1
        for row in reversed(rows):
            found += tree.peaks(row)
        if tree.root_of_peaks(found) != root:
            self.faults.append("checkpoint: its root is not the root of the tiles")

    def _bundle_hashes(self) -> Iterator[bytes]:
        for index in range(-(-self.size // _WIDTH)):
            width = min(_WIDTH, self.size - index * _WIDTH)
            path = tile_path(None, index, width)
            raw = self._read(path)
            leaves = unpack_bundle(raw) if raw is not None else None
            if leaves is None or len(leaves) != width:
                if raw is not None:
                    self.faults.append(f"{path}: expected {width} entries, found other lengths")
                yield from [b""] * width
                continue
            for position, leaf in enumerate(leaves):
                self._count(leaf, path, index * _WIDTH + position)
                yield tree.leaf_hash(leaf)

    def _count(self, leaf: bytes, path: str, index: int) -> None:
        try:
            self.kinds[str(read_leaf(leaf).get("kind"))] += 1
        except DemurError:
            self.faults.append(f"{path}: entry {index} is no leaf of demur's ledger")

    def _row(self, level: int, count: int) -> list[bytes]:
        row: list[bytes] = []
        for index in range(-(-count // _WIDTH)):
            width = min(_WIDTH, count - index * _WIDTH)
            path = tile_path(level, index, width)
            raw = self._read(path)
            if raw is not None and len(raw) != 32 * width:
                self.faults.append(f"{path}: expected {32 * width} bytes, found {len(raw)}")
            row += split_tile(raw) if raw is not None and len(raw) == 32 * width else [b""] * width
        return row

    def _compare(self, level: int, row: Sequence[bytes], below: Sequence[bytes]) -> None:
        """Report where a level differs from what the one below gives; an empty hash was reported already."""
        for position, (stands, computed) in enumerate(zip(row, below, strict=True)):
            if stands == computed or not stands or not computed:
                continue
            index = position // _WIDTH
            tile = tile_path(level, index, min(_WIDTH, len(row) - index * _WIDTH))
            if level == 0:
                bundle = tile.replace("tile/0/", "tile/entries/")
                self.faults.append(
                    f"{bundle}: entry {position} does not fit its hash in {tile}: one of them was changed"
                )
            else:
                child = tile_path(level - 1, position)
                self.faults.append(f"{child}: does not fit hash {position} of {tile}: one of them was changed")

    def _strangers(self) -> None:
        """Report files that are no part of the log, and old partial tiles that are no beginning of the newer ones."""
        wanted = {tile_path(*one) for one in tiles_of(self.size)}
        for path in tile_files(self.folder):
            if path in wanted:
                continue
            named = read_tile_path(path)
            if named is None:
                self.faults.append(f"{path}: is no file of a ledger")
                continue
            level, index, width = named
            count = (self.size >> 8 * (level or 0)) - index * _WIDTH
            if width > count:
                self.faults.append(f"{path}: lies beyond the checkpoint's size {self.size} (a killed append, or a cut)")
            elif not self._begins(path, tile_path(level, index, min(_WIDTH, count))):
                self.faults.append(f"{path}: is no beginning of the newer tile")
        expected = {"checkpoint", "vkey", "tile"}
        self.faults += [
            f"{one.name}: is no file of a ledger" for one in self.folder.iterdir() if one.name not in expected
        ]

    def _begins(self, older: str, newer: str) -> bool:
        short, long = (self.folder / older).read_bytes(), self._content.get(newer)
        if long is None:
            long = self._content[newer] = (self.folder / newer).read_bytes() if (self.folder / newer).exists() else b""
        named = read_tile_path(older)
        if named is None or not long.startswith(short):
            return False
        leaves = unpack_bundle(short) if named[0] is None else split_tile(short)
        return leaves is not None and len(leaves) == named[2] and (named[0] is None or len(short) == 32 * named[2])

    def _read(self, path: str) -> bytes | None:
        try:
            return (self.folder / path).read_bytes()
        except OSError as error:
            self.faults.append(f"{path}: {'is missing' if isinstance(error, FileNotFoundError) else 'cannot be read'}")
            return None


def require_intact(folder: Path, key: VerifierKey | None = None) -> LedgerFacts:
    """Verify a ledger and refuse to go on with a damaged one.

    Raises:
        BrokenError: with every fault.
    """
    facts = verify(folder, key)
    if facts.faults:
        raise BrokenError(f"the ledger {facts.origin} was changed; restore it from a backup", facts.faults)
    return facts
