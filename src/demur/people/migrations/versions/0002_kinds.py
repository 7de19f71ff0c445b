"""A campaign may name the kinds of content that it announces (NOT-07)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Go to this version. A copy of the table keeps the order of its columns: ``recorded_at`` stays the last one."""
    key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.rename_table("campaigns", "campaigns_before")
    op.create_table(
        "campaigns",
        sa.Column("campaign_id", key, nullable=False),
        sa.Column("event_id", key, nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=True),
        sa.Column("notice_days", sa.Integer(), nullable=True),
        sa.Column("countries", sa.Text(), nullable=True),
        sa.Column("kinds", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "event_id", name="campaigns_key"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO campaigns (campaign_id, event_id, purpose, effective_at, notice_days, countries, recorded_at) "
        "SELECT campaign_id, event_id, purpose, effective_at, notice_days, countries, recorded_at FROM campaigns_before"
    )
    op.drop_table("campaigns_before")


def downgrade() -> None:
    """Refuse: which kinds were announced must not be forgotten."""
    raise NotImplementedError("the kinds of campaigns cannot be taken back")
