"""The room's tables: in clear only what the queue needs; whatever is about anybody is sealed. Nothing here runs SQL.

Instants are microseconds since 1970 UTC. A sealed column is AES-256-GCM under the request's own key (sealing.py).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, Table, Text

METADATA = MetaData()
_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only as INTEGER

REQUESTS = Table(
    "requests",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("state", Text, nullable=False),  # State
    Column("outcome", Text),  # Outcome
    Column("is_claim", Boolean, nullable=False),  # about what a model put out
    Column("country", Text),  # of the person, if they said it: names the authority
    Column("language", Text, nullable=False),  # of the answer
    Column("received_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("extended_at", BigInteger),
    Column("delay", Text),  # Delay
    Column("answered_at", BigInteger),
    Column("forget_at", BigInteger),  # when the content may go
    Column("forgotten_at", BigInteger),
    Column("snapshot", Text),  # digest of what the matcher reads; another one begins again
    Column("parts_done", Integer, nullable=False),
    Column("searched", BigInteger, nullable=False),
    Column("pictures", BigInteger, nullable=False),
    Column("overflow", BigInteger, nullable=False),
    Column("content", LargeBinary),  # sealed: Wanted
    Column("picture", LargeBinary),  # sealed: bytes as uploaded
    Column("evidence", LargeBinary),  # sealed: what the model said when asked again
    Column("answer", LargeBinary),  # sealed: the text as sent
    Index("ix_requests_queue", "state", "due_at"),
    sqlite_autoincrement=True,
)
"""One row a request; the number is never used again."""

PROPOSALS = Table(
    "request_proposals",
    METADATA,
    Column("number", BigInteger, primary_key=True),
    Column("item_id", Text, primary_key=True),
    Column("account_id", Text),  # who made it; told when it is taken out
    Column("rule", Text, nullable=False),  # Rule
    Column("score", Float, nullable=False),
    Column("certain", Boolean, nullable=False),
    Column("snippet", LargeBinary),  # sealed
    Column("verdict", Text, nullable=False),  # Verdict
    Column("reason", Text),  # Reason
    Column("decided_by", Text),
    Column("decided_at", BigInteger),
)
"""What the matcher found, and what staff decided about it."""
