"""The notice room's tables. Instants are microseconds since 1970 UTC. Nothing here runs SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint, text

METADATA = MetaData()

# Conditions of partial indexes: small ones, of what waits to be told. A query must say them in the same words.
UNSETTLED_SEEN = "state = 'seen' AND settled IS DISTINCT FROM state"
UNSETTLED_TRIES = "outcome IN ('accepted', 'bounced') AND settled IS DISTINCT FROM outcome"
_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only as INTEGER


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


CAMPAIGNS = Table(
    "notice_campaigns",
    METADATA,
    Column("campaign_id", Text, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("countries", Text, nullable=False),  # JSON list, sorted
    Column("kinds", Text),  # JSON list; null = all
    Column("channels", Text, nullable=False),  # JSON list, in order
    Column("effective_at", BigInteger, nullable=False),
    Column("notice_days", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("status_at", BigInteger, nullable=False),
    Column("policy", Text, nullable=False),
    Column("policy_digest", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", BigInteger),
    Column("freeze_as_of", BigInteger),  # the audience is who belonged to it then; null = not begun
    Column("freeze_cursor", Text),  # everybody up to this person has a row
    Column("frozen_at", BigInteger),  # the audience is complete
    Column("enrolled_until", BigInteger),  # latecomers looked at up to this instant
    Column("status_by", Text),  # who changed the status
    Column("status_reason", Text),
    Column("told_at", BigInteger),  # status_at that registry and ledger know of
    Column("emptied_at", BigInteger),  # the addresses are gone
)
"""What is announced, to whom, by when (NOT-01)."""

TEXTS = Table(
    "notice_texts",
    METADATA,
    Column("campaign_id", Text, primary_key=True),
    Column("language", Text, primary_key=True),
    Column("digest", Text, nullable=False),  # SHA-256 over the four parts
    Column("subject", Text, nullable=False),
    Column("body_txt", Text, nullable=False),
    Column("body_html", Text, nullable=False),
    Column("inapp", Text, nullable=False),
)
"""The texts of a campaign as approved; they cannot change afterwards (NOT-08)."""

DELIVERIES = Table(
    "notice_deliveries",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("campaign_id", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("country", Text),  # null = unknown
    Column("language", Text, nullable=False),
    Column("channel", Text, nullable=False),  # the one in use now
    Column("address", Text),  # of that channel; emptied when the campaign ends
    Column("destination", Text, nullable=False),
    Column("fallback", Text),  # JSON [[channel, address, destination], …]: where to go after a hard bounce, in order
    Column("state", Text, nullable=False),  # DeliveryState
    Column("detail", Text),  # Excluded, or the last reply
    Column("attempt", Integer, nullable=False),  # of the newest try; 0 = none yet
    Column("not_before", BigInteger, nullable=False),  # next try; 0 = at once
    Column("lease_until", BigInteger),
    Column("leased_by", Text),  # the worker whose lease it is
    Column("state_at", BigInteger, nullable=False),
    Column("message_digest", LargeBinary),  # SHA-256 of the exact message of the newest try
    Column("settled", Text),  # the state that registry and ledger know of
    UniqueConstraint("campaign_id", "person_id"),
    Index("ix_notice_deliveries_person", "person_id"),
    Index("ix_notice_deliveries_work", "campaign_id", "state", "not_before"),
    Index("ix_notice_deliveries_unsettled", "number", **_where(UNSETTLED_SEEN)),
    sqlite_autoincrement=True,
)
"""One row a person and campaign: the frozen audience and the delivery ledger (NOT-03)."""

ATTEMPTS = Table(
    "notice_attempts",
    METADATA,
    Column("number", BigInteger, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("wired_at", BigInteger, nullable=False),
    Column("result_at", BigInteger),  # null = unknown: killed on the wire; a duplicate may exist
    Column("outcome", Text),
    Column("code", Text),
    Column("message_digest", LargeBinary, nullable=False),
    Column("settled", Text),  # the outcome that registry and ledger know of
    Index("ix_notice_attempts_unsettled", "number", **_where(UNSETTLED_TRIES)),
)
"""Every try, written before the network sees it."""

BATCHES = Table(
    "notice_batches",
    METADATA,
    Column("batch", _NUMBER, primary_key=True, autoincrement=True),
    Column("campaign_id", Text, nullable=False),
    Column("root", Text, nullable=False),  # Merkle root over the leaves, hex
    Column("leaves", Integer, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("ledger_index", BigInteger),  # null = registry or ledger may not know it yet
    Index("ix_notice_batches_open", "batch", **_where("ledger_index IS NULL")),
    sqlite_autoincrement=True,
)
"""What was told to registry and ledger together (NOT-08)."""

PROOFS = Table(
    "notice_proofs",
    METADATA,
    Column("batch", BigInteger, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("channel", Text, nullable=False),
    Column("state", Text, nullable=False),  # accepted, bounced, seen
    Column("at", BigInteger, nullable=False),
    Column("message_digest", LargeBinary),
    Column("leaf_hash", LargeBinary, nullable=False),
    Index("ix_notice_proofs_number", "number"),
)
"""What one batch says about one delivery: a leaf of its tree."""

LETTERS = Table(
    "notice_letters",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("letter_key", Text, nullable=False, unique=True),  # natural key: one letter for one cause
    Column("kind", Text, nullable=False),
    Column("person_id", Text),
    Column("language", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("facts", Text, nullable=False),  # JSON: the slots
    Column("state", Text, nullable=False),  # waiting, sent, failed
    Column("attempt", Integer, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Column("message_digest", LargeBinary),
    Index("ix_notice_letters_work", "state", "not_before"),
    Index("ix_notice_letters_person", "person_id"),
    Index("ix_notice_letters_address", text("lower(address)"), "made_at"),
    sqlite_autoincrement=True,
)
"""Single mails: confirmations, answers, links to the own page."""

LEFT_OUT = "left_out"
"""State of a notice in the app whose person has objected: it is shown no more (OBJ-05)."""
APP_MESSAGES = Table(
    "notice_app_messages",
    METADATA,
    Column("number", BigInteger, primary_key=True),  # of the delivery
    Column("person_id", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON as the app gets it
    Column("state", Text, nullable=False),  # waiting, posted, pulled, seen, dead, left_out
    Column("attempt", Integer, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger),
    Index("ix_notice_app_messages_work", "state", "not_before"),
    Index("ix_notice_app_messages_person", "person_id"),
)
"""In-app notices: posted to the platform's webhook with retries and dead letters, or pulled by its app."""

STOPPED = Table(
    "notice_stopped_addresses",
    METADATA,
    Column("address_hash", LargeBinary, primary_key=True),  # keyed: the table names nobody
    Column("why", Text, nullable=False),  # complaint
    Column("stopped_at", BigInteger, nullable=False),
)
"""Addresses that get no mail that nobody asked for, because their owner called one spam (ADR 8)."""
