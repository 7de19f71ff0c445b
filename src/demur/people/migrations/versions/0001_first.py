"""First schema: every table an event log keyed by subject and digest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "accounts",
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("person_id", KEY, nullable=False),
        sa.Column("valid_at", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_accounts_person_id", "accounts", ["person_id"], unique=False)
    op.create_table(
        "ages",
        sa.Column("person_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("born_on", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "campaign_statuses",
        sa.Column("campaign_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("valid_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "campaigns",
        sa.Column("campaign_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=True),
        sa.Column("notice_days", sa.Integer(), nullable=True),
        sa.Column("countries", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "compromises",
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("valid_at", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "consents",
        sa.Column("person_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("valid_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "contacts",
        sa.Column("person_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("contact", KEY, nullable=False),
        sa.Column("valid_at", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_contacts_contact", "contacts", ["contact"], unique=False)
    op.create_table(
        "holds",
        sa.Column("hold_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("countries", sa.Text(), nullable=True),
        sa.Column("services", sa.Text(), nullable=True),
        sa.Column("kinds", sa.Text(), nullable=True),
        sa.Column("created_from", sa.BigInteger(), nullable=True),
        sa.Column("created_until", sa.BigInteger(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=True),
        sa.Column("campaign_id", sa.Text(), nullable=True),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("people", sa.Text(), nullable=True),
        sa.Column("valid_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hold_id", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "links",
        sa.Column("person_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("other_person_id", KEY, nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("valid_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_links_other_person_id", "links", ["other_person_id"], unique=False)
    op.create_table(
        "notices",
        sa.Column("person_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("campaign_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("valid_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "objections",
        sa.Column("person_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("objection_id", KEY, nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("kinds", sa.Text(), nullable=True),
        sa.Column("services", sa.Text(), nullable=True),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("valid_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_objections_objection_id", "objections", ["objection_id"], unique=False)
    op.create_table(
        "profiles",
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("handle", sa.Text(), nullable=True),
        sa.Column("handle_key", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("private", sa.Boolean(), nullable=True),
        sa.Column("signal", sa.Text(), nullable=True),
        sa.Column("last_active_at", sa.BigInteger(), nullable=True),
        sa.Column("valid_at", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_profiles_handle_key", "profiles", ["handle_key"], unique=False)
    op.create_table(
        "residences",
        sa.Column("person_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.BigInteger(), nullable=True),
        sa.Column("valid_until", sa.BigInteger(), nullable=True),
        sa.Column("stream", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "suppressions",
        sa.Column("identifier_hash", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("identifier_hash", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "unmatched_objections",
        sa.Column("objection_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("kinds", sa.Text(), nullable=True),
        sa.Column("services", sa.Text(), nullable=True),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("valid_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("objection_id", "event_id"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """There is nothing before the first version; a registry is never emptied by a migration."""
    raise NotImplementedError("the first version of the registry has none before it")
