"""Holds say what they stop, by when, and what happens otherwise; how far the ledger has been taken in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Go to this version."""
    for name in ("artefact", "stages", "nature", "text", "penalty"):
        op.add_column("holds", sa.Column(name, sa.Text(), nullable=True))
    for name in ("deadline_at", "renotice_at"):
        op.add_column("holds", sa.Column(name, sa.BigInteger(), nullable=True))
    op.create_index("ix_objections_recorded_at", "objections", ["recorded_at"], unique=False)
    op.create_table(
        "marks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    """Refuse: what a hold stops must not be forgotten."""
    raise NotImplementedError("the stages of holds cannot be taken back")
