"""First schema."""

from __future__ import annotations

from alembic import op

from demur.requests.schema import METADATA

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables. While there is one version, the schema module is its description."""
    METADATA.create_all(op.get_bind())


def downgrade() -> None:
    """Refuse: what people asked must not be lost by a downgrade."""
    raise NotImplementedError("the first version of the request tables cannot be taken back")
