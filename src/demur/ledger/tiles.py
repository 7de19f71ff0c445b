"""A tiled log on plain files (c2sp.org/tlog-tiles): opaque leaves in, tiles, entry bundles and a checkpoint out.

Crash safety: tile files of a size are written and flushed first, under names that no published checkpoint refers to;
the signed checkpoint is replaced last. A kill before that leaves files that nothing names; ``open`` removes them.
Not handled here: what a leaf means; locking (``log.py`` holds the lock); the clock.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from demur.errors import BrokenError, InputError, OutsideError
from demur.ledger import tree
from demur.ledger.note import Checkpoint, VerifierKey, read_checkpoint, sign_checkpoint
from demur.store import write_bytes

MAX_LEAF_BYTES = 65535
"""Entries carry a uint16 length (tlog-tiles, Log entries)."""

_WIDTH = tree.TILE_WIDTH
_NAME = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


def tile_path(level: int | None, index: int, width: int = _WIDTH) -> str:
    """Return a tile's path below the log; ``level`` ``None`` names an entry bundle.

    >>> tile_path(0, 1234067)
    'tile/0/x001/x234/067'
    >>> tile_path(None, 5, 17)
    'tile/entries/005.p/17'
    """
    parts = [f"{index % 1000:03d}"]
    while index := index // 1000:
        parts.insert(0, f"x{index % 1000:03d}")
    suffix = "" if width == _WIDTH else f".p/{width}"
    return f"tile/{'entries' if level is None else level}/{'/'.join(parts)}{suffix}"


def read_tile_path(path: str) -> tuple[int | None, int, int] | None:
    """Return (level, index, width) of a canonical tile path; ``None`` for any other file."""
    found = _NAME.fullmatch(path)
    if found is None:
        return None
    level = None if found[1] == "entries" else int(found[1])
    index = int(found[2].replace("x", "").replace("/", ""))
    width = int(found[3]) if found[3] else _WIDTH
    return (level, index, width) if tile_path(level, index, width) == path else None


def tiles_of(size: int) -> list[tuple[int | None, int, int]]:
    """Return every (level, index, width) that a log of that size needs, bundles first, then level by level."""
    wanted: list[tuple[int | None, int, int]] = []
    levels: list[tuple[int | None, int]] = [(None, size)]
    level = 0
    while (count := size >> 8 * level) > 0:
        levels.append((level, count))
        level += 1
    for name, count in levels:
        wanted += [(name, index, _WIDTH) for index in range(count // _WIDTH)]
        if count % _WIDTH:
            wanted.append((name, count // _WIDTH, count % _WIDTH))
    return wanted


def pack_bundle(leaves: Iterable[bytes]) -> bytes:
    """Return an entry bundle: each leaf behind its big-endian uint16 length."""
    return b"".join([len(leaf).to_bytes(2, "big") + leaf for leaf in leaves])


def unpack_bundle(raw: bytes) -> list[bytes] | None:
    """Return the leaves of a bundle; ``None`` when the lengths do not add up."""
    leaves, offset = [], 0
    while offset + 2 <= len(raw):
        end = offset + 2 + (raw[offset] << 8 | raw[offset + 1])
        leaves.append(raw[offset + 2 : end])
        offset = end
    return leaves if offset == len(raw) else None


def split_tile(raw: bytes) -> list[bytes]:
    """Return the hashes of a tile."""
    return [raw[start : start + 32] for start in range(0, len(raw), 32)]


class TileReader:
    """Reads complete subtrees of a log of one size from its tiles, for proofs.

    Args:
        folder: the log, holding ``tile/``.
        size: size of the checkpoint that the reader answers for.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self.size = size
        self._tile = lru_cache(maxsize=64)(self._load)

    def node(self, height: int, index: int) -> bytes:
        """Return the hash of a complete subtree (``tree.NodeReader``)."""
        level, inside = divmod(height, 8)
        first = index << inside
        return self._tile(level, first // _WIDTH)(inside, (first % _WIDTH) >> inside)

    def _load(self, level: int, index: int) -> tree.NodeReader:
        width = self.width(level, index)
        raw = self._read(tile_path(level, index, width))
        if len(raw) != 32 * width:
            raise BrokenError(f"expected {32 * width} bytes in {tile_path(level, index, width)}, found {len(raw)}")
        return tree.complete_subtrees(split_tile(raw))

    def width(self, level: int, index: int) -> int:
        """Return how many hashes of a tile exist at this size."""
        return min(_WIDTH, (self.size >> 8 * level) - index * _WIDTH)

    def bundle(self, index: int) -> list[bytes]:
        """Return the leaves of an entry bundle."""
        path = tile_path(None, index, self.width(0, index))
        leaves = unpack_bundle(self._read(path))
        if leaves is None or len(leaves) != self.width(0, index):
            raise BrokenError(
                f"expected {self.width(0, index)} entries in {path}, found others; run demur ledger verify"
            )
        return leaves

    def leaf(self, index: int) -> bytes:
        """Return one leaf.

        Raises:
            InputError: the log has no such entry.
        """
        if not 0 <= index < self.size:
            raise InputError(f"expected an entry below the ledger's size {self.size}, found {index}")
        return self.bundle(index // _WIDTH)[index % _WIDTH]

    def _read(self, path: str) -> bytes:
        try:
            return (self._folder / path).read_bytes()
        except FileNotFoundError as error:
            raise BrokenError(f"expected the ledger file {path}, found none; run demur ledger verify") from error


class TileLog:
    """An append-only log of opaque leaves in a folder.

    Args:
        folder: holds ``checkpoint``, ``vkey`` and ``tile/``; may be published as it is.
        signer: key of the checkpoints.
        origin: name of the log, for instance ``example.org/demur``.

    Raises:
        BrokenError: the checkpoint is not ours, or tiles that it needs are gone.
    """

    def __init__(self, folder: Path, signer: Ed25519PrivateKey, origin: str) -> None:
        self.folder = folder
        self._signer = signer
        self.key = VerifierKey(origin, signer.public_key().public_bytes_raw())
        if not (folder / "checkpoint").exists():
            write_bytes(folder / "vkey", f"{self.key}\n".encode())
            write_bytes(folder / "checkpoint", sign_checkpoint(Checkpoint(origin, 0, tree.EMPTY_ROOT), signer).encode())
        head = read_checkpoint(self.checkpoint(), self.key)
        self._reader = TileReader(folder, head.size)
        self._frontier = tree.Frontier(head.size, self._open_rows(head.size))
        if self._frontier.root() != head.root:
            raise BrokenError(f"the tiles of {folder} do not give the checkpoint's root; run demur ledger verify")
        rest = head.size % _WIDTH
        self._open_leaves = self._reader.bundle(head.size // _WIDTH) if rest else []

    @property
    def size(self) -> int:
        """Entries that the published checkpoint covers."""
        return self._frontier.size

    @property
    def reader(self) -> TileReader:
        """Reader of the tiles at the present size."""
        return self._reader

    def checkpoint(self) -> str:
        """Return the published checkpoint, a signed note."""
        return (self.folder / "checkpoint").read_text(encoding="utf-8")

    def append(self, leaves: Sequence[bytes]) -> range:
        """Append leaves as one commit and publish a checkpoint over them; return their indexes.

        Raises:
            InputError: a leaf is longer than 65,535 bytes; nothing was appended.
            OutsideError: the disk refuses; nothing was appended.
        """
        if any(len(leaf) > MAX_LEAF_BYTES for leaf in leaves):
            raise InputError(f"expected ledger entries of at most {MAX_LEAF_BYTES} bytes, found a longer one")
        first = self.size
        if not leaves:
            return range(first, first)
        before = self._frontier
        frontier = tree.Frontier(before.size, before.levels)
        try:
            self._write(frontier, leaves)
            head = Checkpoint(self.key.name, frontier.size, frontier.root())
            write_bytes(self.folder / "checkpoint", sign_checkpoint(head, self._signer).encode())
            _flush(self.folder)
        except OSError as error:
            raise OutsideError(
                f"cannot write the ledger {self.folder}; free space and run again, nothing is lost"
            ) from error
        self._frontier = frontier
        self._reader = TileReader(self.folder, frontier.size)
        open_count = frontier.size % _WIDTH
        self._open_leaves = [*self._open_leaves, *leaves][-open_count:] if open_count else []
        self._drop_covered_partials(first)
        return range(first, self.size)

    def sweep(self) -> list[str]:
        """Remove what a killed append left: tiles that the checkpoint does not cover, half-written files."""
        removed = [str(one.relative_to(self.folder)) for one in self.folder.rglob(".*.part")]
        for name in removed:
            (self.folder / name).unlink()
        for path in tile_files(self.folder):
            named = read_tile_path(path)
            if named is None:
                continue
            level, index, width = named
            if index * _WIDTH + width > self.size >> 8 * (level or 0):
                (self.folder / path).unlink()
                removed.append(path)
        return removed

    def _open_rows(self, size: int) -> list[list[bytes]]:
        rows = []
        level = 0
        while (count := size >> 8 * level) > 0:
            width = count % _WIDTH
            raw = (self.folder / tile_path(level, count // _WIDTH, width)).read_bytes() if width else b""
            rows.append(split_tile(raw))
            level += 1
        return rows

    def _write(self, frontier: tree.Frontier, leaves: Sequence[bytes]) -> None:
        files = _Files(self.folder)
        first = frontier.size
        prefix = [b"\x00" + leaf for leaf in leaves]
        for level, index, hashes in frontier.extend([sha256(leaf).digest() for leaf in prefix]):
            files.write(tile_path(level, index), b"".join(hashes))
        for level, row in enumerate(frontier.levels):
            if row:
                files.write(tile_path(level, (frontier.size >> 8 * level) // _WIDTH, len(row)), b"".join(row))
        everything = [*self._open_leaves, *leaves]
        begin = first - first % _WIDTH
        for start in range(0, len(everything), _WIDTH):
            chunk = everything[start : start + _WIDTH]
            files.write(tile_path(None, (begin + start) // _WIDTH, len(chunk)), pack_bundle(chunk))
        files.flush()

    def _drop_covered_partials(self, first: int) -> None:
        """Remove partial tiles whose full tile is published now (tlog-tiles: MAY be deleted)."""
        for name in (None, *range(len(self._frontier.levels))):
            index = (first >> 8 * (name or 0)) // _WIDTH
            partial = (self.folder / tile_path(name, index, 1)).parent
            if (self.size >> 8 * (name or 0)) >= (index + 1) * _WIDTH and partial.is_dir():
                for file in partial.iterdir():
                    file.unlink()
                partial.rmdir()


class _Files:
    """Writes new files and makes them durable together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: list[Path] = []
        self._folders: set[Path] = set()

    def write(self, path: str, content: bytes) -> None:
        target = self._folder / path
        if target.parent not in self._folders:
            target.parent.mkdir(parents=True, exist_ok=True)
            inside = target.relative_to(self._folder).parents
            self._folders.update(self._folder / parent for parent in inside)
        if target.exists() and target.read_bytes() == content:
            return  # the checkpoint before needs it: a kill in the middle of writing it again would lose it
        part = target.with_name(f".{target.name}.part")
        part.write_bytes(content)
        part.replace(target)
        self._written.append(target)

    def flush(self) -> None:
        for path in (*self._written, *sorted(self._folders)):
            _flush(path)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def tile_files(folder: Path) -> list[str]:
    """Return the paths of all files under ``tile/``, sorted."""
    return sorted(str(path.relative_to(folder).as_posix()) for path in (folder / "tile").rglob("*") if path.is_file())
