"""What became of deliveries, told in batches, and the proof of one that shows nothing of the others (NOT-08).

A batch is a Merkle tree over leaves, one for each thing that became of a delivery; its root goes to the ledger. A leaf
carries a keyed salt, so that the hashes beside a person's path tell nothing about other people. Does not know the
registry; the ledger's log is read by flows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

import sqlalchemy as sa

from demur.clock import from_micros, iso, micros
from demur.errors import BrokenError, InputError
from demur.ledger import Checkpoint, Opening, VerifierKey, read_proof, tree, verify_opening, verify_proof
from demur.notice.book import NoticeBook
from demur.notice.schema import ATTEMPTS, BATCHES, DELIVERIES, PROOFS, TEXTS, UNSETTLED_SEEN, UNSETTLED_TRIES
from demur.store.files import canonical, digest_json
from demur.store.keys import keyed_hash
from demur.terms.notice import DeliveryState

BATCH_LEAVES = 4_096
_LOCK = 0x64656D7572  # "demur": one settler at a time on PostgreSQL


class Told(NamedTuple):
    """One thing that became of a delivery."""

    number: int
    attempt: int
    channel: str
    state: str
    """``accepted``, ``bounced`` or ``seen``."""
    at: int
    digest: bytes | None
    """SHA-256 of the exact message."""
    campaign_id: str
    person_id: str
    language: str
    text: str | None
    """Digest of the approved text."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is told to registry and ledger together."""

    batch: int
    campaign_id: str
    root: str
    leaves: int
    made_at: datetime
    rows: tuple[Told, ...]


def leaf_of(told: Told, key: bytes, batch: int, position: int) -> dict[str, Any]:
    """Return a leaf as the person gets it."""
    return {
        "v": 1,
        "campaign": told.campaign_id,
        "person": told.person_id,
        "number": told.number,
        "attempt": told.attempt,
        "channel": told.channel,
        "language": told.language,
        "state": told.state,
        "at": iso(from_micros(told.at)),
        "text": told.text,
        "message": None if told.digest is None else told.digest.hex(),
        "salt": keyed_hash(key, "notice-leaf", str(batch), str(position))[:16].hex(),
    }


# Telling ----------------------------------------------------------------------------------------------------------

_TRIES = (
    sa.select(
        ATTEMPTS.c.number,
        ATTEMPTS.c.attempt,
        ATTEMPTS.c.channel,
        ATTEMPTS.c.outcome.label("state"),
        ATTEMPTS.c.result_at.label("at"),
        ATTEMPTS.c.message_digest,
        DELIVERIES.c.campaign_id,
        DELIVERIES.c.person_id,
        DELIVERIES.c.language,
        TEXTS.c.digest.label("text"),
    )
    .join(DELIVERIES, DELIVERIES.c.number == ATTEMPTS.c.number)
    .outerjoin(
        TEXTS, sa.and_(TEXTS.c.campaign_id == DELIVERIES.c.campaign_id, TEXTS.c.language == DELIVERIES.c.language)
    )
)
_SEEN = (
    sa.select(
        DELIVERIES.c.number,
        DELIVERIES.c.attempt,
        DELIVERIES.c.channel,
        DELIVERIES.c.state,
        DELIVERIES.c.state_at.label("at"),
        ATTEMPTS.c.message_digest,
        DELIVERIES.c.campaign_id,
        DELIVERIES.c.person_id,
        DELIVERIES.c.language,
        TEXTS.c.digest.label("text"),
    )
    .outerjoin(ATTEMPTS, sa.and_(ATTEMPTS.c.number == DELIVERIES.c.number, ATTEMPTS.c.attempt == DELIVERIES.c.attempt))
    .outerjoin(
        TEXTS, sa.and_(TEXTS.c.campaign_id == DELIVERIES.c.campaign_id, TEXTS.c.language == DELIVERIES.c.language)
    )
)


def next_batch(book: NoticeBook, key: bytes, *, at: datetime, leaves: int = BATCH_LEAVES) -> Batch | None:
    """Take what nobody was told of yet into a new batch, of one campaign, durably; ``None`` = there is nothing.

    Args:
        book: the notice room's database.
        key: secret of the leaves' salts.
        at: now.
        leaves: at most.
    """
    with book.database.writing() as connection:
        if book.database.is_postgresql:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        tries = _window(connection, _TRIES, "notice_attempts", UNSETTLED_TRIES, leaves)
        seen = _window(connection, _SEEN, "notice_deliveries", UNSETTLED_SEEN, leaves - len(tries))
        if not tries and not seen:
            return None
        campaign = (tries or seen)[0].campaign_id
        rows = tuple(row for row in (*tries, *seen) if row.campaign_id == campaign)
        values = {"campaign_id": campaign, "root": "", "leaves": len(rows), "made_at": micros(at)}
        batch = int(connection.execute(sa.insert(BATCHES).values(values).returning(BATCHES.c.batch)).scalar_one())
        hashes = [_leaf_hash(row, key, batch, place) for place, row in enumerate(rows)]
        root = tree.tree_root(hashes).hex()
        connection.execute(sa.update(BATCHES).where(BATCHES.c.batch == batch).values(root=root))
        connection.execute(
            sa.insert(PROOFS), [_stored(batch, place, row, hashes[place]) for place, row in enumerate(rows)]
        )
        _settled(connection, rows)
    return Batch(batch, campaign, root, len(rows), at, rows)


def _window(connection: sa.Connection, query: sa.Select[Any], table: str, condition: str, rows: int) -> list[Told]:
    """Return the first rows that wait, in the words of the partial index; read by number, joined afterwards."""
    if rows <= 0:
        return []
    waiting = sa.text(f"SELECT number FROM {table} WHERE {condition} ORDER BY number LIMIT :rows")  # noqa: S608  (our words)
    numbers = list(dict.fromkeys(connection.execute(waiting, {"rows": rows}).scalars()))
    found: list[Told] = []
    for start in range(0, len(numbers), 400):
        some = DELIVERIES.c.number.in_(numbers[start : start + 400])
        named = condition
        for column in ("state", "settled", "outcome"):
            named = named.replace(column, f"{table}.{column}")
        found += [Told._make(row) for row in connection.execute(query.where(some, sa.text(named)))]
    return sorted(found)[:rows]


def _leaf_hash(row: Told, key: bytes, batch: int, place: int) -> bytes:
    return tree.leaf_hash(canonical(leaf_of(row, key, batch, place)))


def _stored(batch: int, place: int, row: Told, leaf_hash: bytes) -> dict[str, Any]:
    return {
        "batch": batch,
        "position": place,
        "number": row.number,
        "attempt": row.attempt,
        "channel": row.channel,
        "state": row.state,
        "at": row.at,
        "message_digest": row.digest,
        "leaf_hash": leaf_hash,
    }


def _settled(connection: sa.Connection, rows: Iterable[Told]) -> None:
    tries = [{"n": row.number, "a": row.attempt, "s": row.state} for row in rows if row.state != DeliveryState.SEEN]
    seen = [{"n": row.number, "s": row.state} for row in rows if row.state == DeliveryState.SEEN]
    if tries:
        same = (ATTEMPTS.c.number == sa.bindparam("n"), ATTEMPTS.c.attempt == sa.bindparam("a"))
        connection.execute(sa.update(ATTEMPTS).where(*same).values(settled=sa.bindparam("s")), tries)
    if seen:
        same_row = DELIVERIES.c.number == sa.bindparam("n")
        connection.execute(sa.update(DELIVERIES).where(same_row).values(settled=sa.bindparam("s")), seen)


def open_batches(book: NoticeBook) -> list[Batch]:
    """Return the batches that registry or ledger may not know, oldest first: what a kill left."""
    query = sa.select(BATCHES).where(sa.text("ledger_index IS NULL")).order_by(BATCHES.c.batch)
    with book.database.reading() as connection:
        return [_batch(connection, row) for row in connection.execute(query)]


def close_batch(book: NoticeBook, batch: int, ledger_index: int) -> None:
    """Note that registry and ledger know a batch."""
    with book.database.writing() as connection:
        connection.execute(sa.update(BATCHES).where(BATCHES.c.batch == batch).values(ledger_index=ledger_index))


_RECORDED = (
    sa.select(
        PROOFS.c.number,
        PROOFS.c.attempt,
        PROOFS.c.channel,
        PROOFS.c.state,
        PROOFS.c.at,
        PROOFS.c.message_digest,
        DELIVERIES.c.campaign_id,
        DELIVERIES.c.person_id,
        DELIVERIES.c.language,
        TEXTS.c.digest.label("text"),
    )
    .join(DELIVERIES, DELIVERIES.c.number == PROOFS.c.number)
    .outerjoin(
        TEXTS, sa.and_(TEXTS.c.campaign_id == DELIVERIES.c.campaign_id, TEXTS.c.language == DELIVERIES.c.language)
    )
)


def _batch(connection: sa.Connection, row: Any) -> Batch:
    query = _RECORDED.where(PROOFS.c.batch == row.batch).order_by(PROOFS.c.position)
    rows = tuple(Told._make(found) for found in connection.execute(query))
    return Batch(row.batch, row.campaign_id, row.root, row.leaves, from_micros(row.made_at), rows)


# Proving ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Member:
    """One thing that became of a delivery, with its path in its batch."""

    batch: int
    ledger_index: int | None
    """``None`` = not in the ledger yet."""
    leaf: dict[str, Any]
    position: int
    leaves: int
    path: tuple[str, ...]
    root: str


def members_of(book: NoticeBook, key: bytes, number: int) -> list[Member]:
    """Return everything that became of one delivery, in order, each provable.

    Raises:
        BrokenError: the rows no longer give the leaf that was told to the ledger.
    """
    with book.database.reading() as connection:
        query = sa.select(PROOFS.c.batch, PROOFS.c.position).where(PROOFS.c.number == number)
        places = [(row.batch, row.position) for row in connection.execute(query.order_by(*PROOFS.primary_key))]
        return [_member(connection, key, *place) for place in places]


def _member(connection: sa.Connection, key: bytes, batch: int, position: int) -> Member:
    head = connection.execute(sa.select(BATCHES).where(BATCHES.c.batch == batch)).one()
    mine = (PROOFS.c.batch == batch, PROOFS.c.position == position)
    leaf = leaf_of(Told._make(connection.execute(_RECORDED.where(*mine)).one()), key, batch, position)
    query = sa.select(PROOFS.c.leaf_hash).where(PROOFS.c.batch == batch).order_by(PROOFS.c.position)
    hashes = [bytes(found) for found in connection.execute(query).scalars()]
    if tree.leaf_hash(canonical(leaf)) != hashes[position]:
        raise BrokenError(
            f"the delivery of batch {batch} is not what was told to the ledger; restore the notice tables"
        )
    path = tree.inclusion_proof(position, len(hashes), tree.complete_subtrees(hashes))
    return Member(batch, head.ledger_index, leaf, position, head.leaves, tuple(one.hex() for one in path), head.root)


def verify_notice_proof(proof: Mapping[str, Any], key: VerifierKey) -> Checkpoint:
    """Check offline that a person got what a proof says; return the checkpoint that it was checked against.

    1. the ledger's entry stands in the log (c2sp.org/tlog-proof, signed checkpoint)
    2. the opening belongs to that entry, and names the batch's root
    3. the leaf stands in the batch
    4. the text that is shown is the one that the leaf names
    5. so is the message, where it is shown

    Args:
        proof: one of ``proofs`` of ``demur campaign proof``, with ``text`` beside it where it should be checked.
        key: the log's verifier key.

    Raises:
        BrokenError: something was changed.
        InputError: it is no such proof.
    """
    try:
        leaf, inside, ledger = proof["leaf"], proof["batch"], proof["ledger"]
        entry = read_proof(ledger["proof"])
        opening = Opening(**ledger["opening"])
        path = [bytes.fromhex(one) for one in inside["path"]]
        position, leaves = int(inside["position"]), int(inside["leaves"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "expected a proof of a notice, found something else; `demur campaign proof` makes one"
        ) from error
    head = verify_proof(entry, key)
    if opening.index != entry.index or not verify_opening(entry.leaf, opening):
        raise BrokenError("the facts are not those of the ledger's entry: the proof was changed")
    root = tree.root_from_path(tree.leaf_hash(canonical(leaf)), position, leaves, path)
    told = (opening.facts.get("root"), opening.facts.get("leaves"), opening.facts.get("campaign"))
    if root is None or told != (root.hex(), leaves, leaf.get("campaign")):
        raise BrokenError("the delivery does not stand in the batch of the ledger's entry: the proof was changed")
    _verify_words(proof, leaf)
    return head


def _verify_words(proof: Mapping[str, Any], leaf: Mapping[str, Any]) -> None:
    text, message = proof.get("text"), proof.get("message")
    if text is not None and digest_json(text) != leaf["text"]:
        raise BrokenError("the text is not the one that was sent: its digest is another")
    if message is not None and sha256(message.encode()).hexdigest() != leaf["message"]:
        raise BrokenError("the message is not the one that was sent: its digest is another")


class Delivered(NamedTuple):
    """One person's row in one campaign."""

    number: int
    campaign_id: str
    person_id: str
    country: str | None
    language: str
    channel: str
    address: str | None
    state: str
    detail: str | None
    state_at: datetime


def deliveries_of(book: NoticeBook, people: Iterable[str]) -> list[Delivered]:
    """Return the rows of some people in all campaigns, by number."""
    table = DELIVERIES.c
    columns = (table.number, table.campaign_id, table.person_id, table.country, table.language, table.channel,
               table.address, table.state, table.detail, table.state_at)  # fmt: skip
    query = sa.select(*columns).where(table.person_id.in_(sorted(set(people)))).order_by(table.number)
    with book.database.reading() as connection:
        rows: list[Any] = list(connection.execute(query))
    return [Delivered._make((*row[:-1], from_micros(row.state_at))) for row in rows]


def made_at(book: NoticeBook, number: int, attempt: int) -> datetime | None:
    """Return the instant that a try was rendered at; ``None`` = no such try."""
    query = sa.select(ATTEMPTS.c.wired_at).where(ATTEMPTS.c.number == number, ATTEMPTS.c.attempt == attempt)
    with book.database.reading() as connection:
        found = connection.scalar(query)
    return None if found is None else from_micros(found)
