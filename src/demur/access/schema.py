"""The access room's tables. Instants are microseconds since 1970 UTC. Nothing here runs SQL."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

METADATA = MetaData()
_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only as INTEGER

STAFF = Table(
    "access_staff",
    METADATA,
    Column("staff_id", Text, primary_key=True),
    Column("email", Text, nullable=False, unique=True),  # case-folded
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("countries", Text),  # JSON list; null = not scoped. A regulator always has one
    Column("password_hash", Text),  # argon2id; null = logs in with the identity provider only
    Column("made_at", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("disabled_at", BigInteger),  # never deleted: the audit trail names them
)
"""Who works here, and as what (SEC-01)."""

SESSIONS = Table(
    "access_sessions",
    METADATA,
    Column("token_digest", LargeBinary, primary_key=True),  # SHA-256 of 32 random bytes; the token is kept nowhere
    Column("kind", Text, nullable=False),  # staff, member
    Column("subject", Text, nullable=False),  # staff id or person id
    Column("made_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Index("ix_access_sessions_subject", "kind", "subject"),
    Index("ix_access_sessions_expires", "expires_at"),
)
"""Who is logged in."""

ATTEMPTS = Table(
    "access_attempts",
    METADATA,
    Column("bucket", LargeBinary, primary_key=True),  # keyed digest of account and address prefix; neither stands here
    Column("failures", Integer, nullable=False),
    Column("last_at", BigInteger, nullable=False),
)
"""Failed logins since the last good one: how long the next try waits."""

AUDIT = Table(
    "access_audit",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("subject", Text, nullable=False),  # staff id
    Column("action", Text, nullable=False),
    Column("object_id", Text),
    Column("at", BigInteger, nullable=False),
    Index("ix_access_audit_object", "object_id"),
    Index("ix_access_audit_subject", "subject"),
)
"""Who did what, and who looked at whom (SEC-04)."""

PROPOSALS = Table(
    "access_proposals",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("action", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("closed_by", Text),
    Column("closed_at", BigInteger),
    Column("outcome", Text),  # confirmed, refused; null = waits for a second person
    Index("ix_access_proposals_open", "action", "object_id", "closed_at"),
)
"""What needs two people: the first proposes here, another one confirms (HLD-04)."""
