"""The ledger: append-only, public, and without a word about anybody (EVIDENCE §2, SYSTEM §9).

``ledger/public`` is a C2SP tlog-tiles log, to be served as it is; ``ledger/private`` opens its commitments and never
leaves the house. Order of an append: openings (durable), tiles (durable), checkpoint (replaced last). A kill at any
point leaves a ledger that opens, with everything that was acknowledged and nothing that was not.
"""

from __future__ import annotations

import fcntl
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from demur.clock import iso
from demur.errors import RefusedError
from demur.ledger import entries as words
from demur.ledger import tree
from demur.ledger.note import VerifierKey, read_checkpoint
from demur.ledger.openings import Openings, Row
from demur.ledger.proof import Proof
from demur.ledger.tiles import TileLog
from demur.store import KeyRing

Chance = Callable[[int], bytes]


class Ledger:
    """One workspace's ledger. Several processes may append; each append holds the ledger's lock.

    Use ``Ledger.open``; close it (or use it as a context) when done.
    """

    def __init__(
        self, folder: Path, signer: Ed25519PrivateKey, secret: bytes, origin: str, chance: Chance = secrets.token_bytes
    ) -> None:
        self._folder = folder
        self._signer = signer
        self._secret = secret
        self._origin = origin
        self._chance = chance
        self._openings = Openings(folder / "private" / "openings.db")
        self._swept = False
        with self._lock():
            self._log = TileLog(folder / "public", signer, origin)

    @classmethod
    def open(cls, folder: Path, keys: KeyRing, origin: str = "demur.invalid/ledger") -> Ledger:
        """Open the ledger of a folder, or begin one.

        Args:
            folder: ``workspace.ledger``.
            keys: signs checkpoints (``signing``) and hides natural keys (``ledger``).
            origin: public name of the log, usually a URL without scheme; must stay the same.

        Raises:
            BrokenError: the checkpoint is of another key or origin, or tiles are damaged.
        """
        return cls(folder, keys.signer(), keys.secret("ledger"), origin)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the files."""
        self._openings.close()

    @property
    def size(self) -> int:
        """Entries in the log."""
        return self._log.size

    @property
    def verifier_key(self) -> VerifierKey:
        """Public key of the log, as auditors need it."""
        return self._log.key

    def checkpoint(self) -> str:
        """Return the newest checkpoint, a signed note."""
        return self._log.checkpoint()

    def append(self, entries: Sequence[words.Entry]) -> list[int]:
        """Log events durably as one commit; return the index of each. An event known by its key keeps its index.

        Raises:
            InputError: an entry is malformed or too large; nothing was appended.
            OutsideError: the disk refuses; nothing was appended.
        """
        batch = list(entries)
        words.check_entries(batch)
        naturals = [words.key_digest(self._secret, entry.kind, entry.key) for entry in batch]
        with self._lock():
            self._refresh()
            first = self.size
            leaves, rows = self._commit(batch, naturals, first)
            if self._openings.add_all_new(rows):
                self._publish(leaves)
                return list(range(first, first + len(batch)))
            return self._append_unknown(batch, naturals)

    def _append_unknown(self, batch: list[words.Entry], naturals: list[bytes]) -> list[int]:
        first = self.size
        where: dict[bytes, int] = {}
        fresh: list[words.Entry] = []
        for entry, natural in zip(batch, naturals, strict=True):
            if natural in where:
                continue
            known = self._openings.known(natural)
            where[natural] = first + len(fresh) if known is None else known
            if known is None:
                fresh.append(entry)
        leaves, rows = self._commit(fresh, [natural for natural in where if where[natural] >= first], first)
        if rows and not self._openings.add_all_new(rows):
            raise RefusedError("another process wrote to the ledger without its lock; run the same command again")
        self._publish(leaves)
        return [where[natural] for natural in naturals]

    def _commit(
        self, batch: Sequence[words.Entry], naturals: Sequence[bytes], first: int
    ) -> tuple[list[bytes], list[Row]]:
        salts = self._chance(words.SALT_BYTES * len(batch))
        leaves: list[bytes] = []
        rows: list[Row] = []
        written: dict[datetime, str] = {}
        for position, entry in enumerate(batch):
            salt = salts[position * words.SALT_BYTES : (position + 1) * words.SALT_BYTES]
            at = written.get(entry.at) or written.setdefault(entry.at, iso(entry.at))
            leaf, facts = words.commit(entry, salt, at)
            leaves.append(leaf)
            rows.append((first + position, naturals[position], salt, facts))
        return leaves, rows

    def _publish(self, leaves: list[bytes]) -> None:
        self._swept = False  # stays so when the append fails: the next one clears away what it left
        self._log.append(leaves)
        self._swept = True

    def entry(self, index: int) -> bytes:
        """Return a leaf as it was logged.

        Raises:
            InputError: there is no such entry.
        """
        return self._log.reader.leaf(index)

    def entries(self, first: int = 0, last: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield index and leaf of the entries from ``first`` to before ``last``; what holds many is read once."""
        last, width = self.size if last is None else min(last, self.size), tree.TILE_WIDTH
        for bundle in range(first // width, -(-last // width)):
            for index, leaf in enumerate(self._log.reader.bundle(bundle), bundle * width):
                if first <= index < last:
                    yield index, leaf

    def find(self, kind: words.EntryKind, key: str) -> int | None:
        """Return the index of an event by its natural key, or ``None``."""
        natural = words.key_digest(self._secret, kind, key)
        found = self._openings.known(natural)
        return found if found is not None and found < self.size else None

    def prove(self, index: int) -> Proof:
        """Return the proof that an entry is in the log under its newest checkpoint.

        Raises:
            InputError: there is no such entry.
        """
        reader = self._log.reader
        leaf = reader.leaf(index)
        path = tree.inclusion_proof(index, reader.size, reader.node)
        return Proof(index, tuple(path), self.checkpoint(), leaf)

    def extension(self, older: str) -> list[bytes]:
        """Return the proof that the newest checkpoint extends an older one of this log.

        Raises:
            BrokenError: the older note is not of this log.
        """
        old = read_checkpoint(older, self._log.key)
        if old.size > self.size:
            raise RefusedError(
                f"expected a checkpoint of at most {self.size} entries, found {old.size}: this log was cut"
            )
        return tree.consistency_proof(old.size, self.size, self._log.reader.node)

    def opening(self, index: int) -> words.Opening:
        """Return salt and facts of an entry, for the one that it is about.

        Raises:
            InputError: there is no such entry.
            RefusedError: its salt was erased.
        """
        self.entry(index)
        row = self._openings.get(index)
        if row is None:
            raise RefusedError(f"the opening of entry {index} was erased; the entry stays, its facts are gone")
        return words.Opening(index, row[0].hex(), orjson.loads(row[1]))

    def erase_opening(self, index: int) -> bool:
        """Erase salt and facts of an entry for good; the public log does not change. Say whether there were any."""
        with self._lock():
            return self._openings.erase(index)

    def _refresh(self) -> None:
        """Take in what other processes appended; clear away what a killed one left."""
        if read_checkpoint(self.checkpoint(), self._log.key).size != self.size:
            self._log = TileLog(self._folder / "public", self._signer, self._origin)
            self._swept = False
        if not self._swept:
            self._log.sweep()
            self._openings.drop_from(self.size)
            self._swept = True

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self._folder / "private" / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
