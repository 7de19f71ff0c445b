"""The registry's tables (docs/registry.md says why each column is kept and for how long). Nothing here runs SQL.

Every table holds events. The first column names whom it is about, ``event_id`` is the digest of the event without
``recorded_at``, and the two together are the key: recording an event twice changes nothing. The last column is
always ``recorded_at``. Instants are microseconds since 1970 UTC, dates are days since 1970 (instants.py).
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table, Text, func

METADATA = MetaData()

# Byte order on both databases: the export merges streams that must be sorted alike.
_KEY = Text().with_variant(Text(collation="C"), "postgresql")


def _events(name: str, subject: str, *columns: Column[Any], index: tuple[str, ...] = ()) -> Table:
    return Table(
        name,
        METADATA,
        Column(subject, _KEY, primary_key=True),
        Column("event_id", _KEY, primary_key=True),
        *columns,
        Column("recorded_at", BigInteger, nullable=False),
        *(Index(f"ix_{name}_{column}", column) for column in index),
        sqlite_with_rowid=False,
    )


def _text(name: str, *, required: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=not required)


def _key(name: str) -> Column[Any]:
    return Column(name, _KEY, nullable=False)


def _at(name: str, *, required: bool = False) -> Column[Any]:
    return Column(name, BigInteger, nullable=not required)


ACCOUNTS = _events("accounts", "account_id", _text("service", required=True), _key("person_id"), _at("valid_at"),
                   index=("person_id",))  # fmt: skip
"""Who owns an account from when on: one event an ownership epoch (PPL-01, PPL-06)."""

PROFILES = _events(
    "profiles",
    "account_id",
    _text("handle"),
    _text("handle_key"),
    _text("name"),
    _text("language"),
    _text("status"),
    Column("private", Boolean),
    _text("signal"),
    _at("last_active_at"),
    _at("valid_at"),
    index=("handle_key",),
)
"""What a source said about an account: handle, name, status, private flag … A null says nothing (PPL-05)."""

COMPROMISES = _events("compromises", "account_id", _at("valid_at", required=True), _at("valid_until"))
"""Windows in which somebody else held the account (OBJ-08)."""

CONTACTS = _events("contacts", "person_id", _key("contact"), _at("valid_at"))
"""Addresses for notices and confirmations."""
Index("ix_contacts_small", func.lower(CONTACTS.c.contact))

RESIDENCES = _events(
    "residences",
    "person_id",
    _text("country"),
    _at("valid_from"),
    _at("valid_until"),
    _text("stream"),
)
"""Residence episodes; with ``stream`` (an account) an observation that lasts until that stream's next one (PPL-04)."""

AGES = _events("ages", "person_id", Column("born_on", Integer, nullable=False), _text("source", required=True))
"""Age evidence with the rank of its source (PPL-02)."""

LINKS = _events("links", "person_id", _key("other_person_id"), _text("act", required=True),
                _at("valid_at", required=True), index=("other_person_id",))  # fmt: skip
"""Two person ids that are one human being (PPL-01)."""

CAMPAIGNS = _events(
    "campaigns",
    "campaign_id",
    _text("purpose", required=True),
    _at("effective_at"),
    Column("notice_days", Integer),
    _text("countries"),
    _text("kinds"),
)
"""What a campaign announces (NOT-01); ``kinds`` names what is new in a material change, null = all (NOT-07)."""

CAMPAIGN_STATUSES = _events("campaign_statuses", "campaign_id", _text("status", required=True),
                            _at("valid_at", required=True))  # fmt: skip
"""Where a campaign stands from when on (NOT-09)."""

NOTICES = _events(
    "notices",
    "person_id",
    _text("campaign_id", required=True),
    _text("channel", required=True),
    _text("state", required=True),
    _at("valid_at", required=True),
)
"""Delivery of a notice to a person over a channel (NOT-03)."""

OBJECTIONS = _events(
    "objections",
    "person_id",
    _key("objection_id"),
    _text("act", required=True),
    _text("kinds"),
    _text("services"),
    _text("door", required=True),
    _at("valid_at", required=True),
    index=("objection_id", "recorded_at"),
)
"""Objections and their withdrawals (OBJ-02, OBJ-05, OBJ-07)."""

UNMATCHED = _events(
    "unmatched_objections",
    "objection_id",
    _text("claim", required=True),
    _text("kinds"),
    _text("services"),
    _text("door", required=True),
    _at("valid_at", required=True),
)
"""Objections of which nobody knows yet whose they are (OBJ-09): a queue, never lost."""

CONSENTS = _events("consents", "person_id", _text("purpose", required=True), _text("act", required=True),
                   _at("valid_at", required=True))  # fmt: skip
"""Consents and their revocation."""

HOLDS = _events(
    "holds",
    "hold_id",
    _text("act", required=True),
    _text("countries"),
    _text("services"),
    _text("kinds"),
    _at("created_from"),
    _at("created_until"),
    _text("purpose"),
    _text("campaign_id"),
    _text("authority", required=True),
    _text("instrument", required=True),
    _text("people"),
    _at("valid_at", required=True),
    _text("artefact"),
    _text("stages"),
    _text("nature"),
    _text("text"),
    _at("deadline_at"),
    _text("penalty"),
    _at("renotice_at"),
)
"""Holds placed and lifted; ``people`` names who lifted it, two at least (HLD-02, HLD-04)."""
HOLDS_ADDED = 7
"""Columns of HOLDS that a later version added."""

SUPPRESSIONS = _events("suppressions", "identifier_hash", _text("origin", required=True))
"""Keyed hashes of identifiers that must never come back (PPL-09). No identifier stands here."""

ITEM_SUPPRESSIONS = _events("item_suppressions", "item_id", _text("origin", required=True),
                            _text("act", required=True), _at("valid_at", required=True))  # fmt: skip
"""Items that somebody in them had taken out, and when that was lifted; the origin names the request (TPD-02)."""

MARKS = Table("marks", METADATA, Column("name", Text, primary_key=True), Column("value", BigInteger, nullable=False))
"""What the registry knows about itself: up to which entry it has taken in what the ledger knows (SEC-10)."""

BY_NAME: dict[str, Table] = {table.name: table for table in METADATA.sorted_tables}


def event(subject: str, *values: Any, recorded_at: int, added: int = 0) -> tuple[Any, ...]:
    """Return a row: subject, digest of subject and values, the values, recorded_at.

    Args:
        subject: whom or what it is about.
        values: the table's columns between ``event_id`` and ``recorded_at``.
        recorded_at: microseconds.
        added: how many of the last columns a later version of the schema added; where they say nothing they are no
            part of the digest, so that an event that was recorded before is the same event when it is told again.
    """
    told = values
    while added and told[-1] is None:
        told, added = told[:-1], added - 1
    digest = hashlib.blake2b(orjson.dumps((subject, *told)), digest_size=16).hexdigest()
    return (subject, digest, *values, recorded_at)


def listed(values: Any) -> str | None:
    """Return a list column's stored form: sorted JSON, or ``None`` for no restriction (null or empty).

    >>> listed({"photo", "post"})
    '["photo","post"]'
    """
    return orjson.dumps(sorted(set(values))).decode() if values else None


def unlisted(stored: str | None) -> list[str] | None:
    """Return the list of a stored list column."""
    if stored is None:
        return None
    values: list[str] = orjson.loads(stored)
    return values
