"""Items that somebody in them had taken out (TPD-02)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "item_suppressions",
        sa.Column("item_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("valid_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("item_id", "event_id"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Refuse: what was taken out must not come back by a downgrade."""
    raise NotImplementedError("suppressed items would come back; restore a backup instead")
