"""An address is found whatever its capitals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Go to this version."""
    op.drop_index("ix_contacts_contact", table_name="contacts")
    op.create_index("ix_contacts_small", "contacts", [sa.text("lower(contact)")], unique=False)


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_index("ix_contacts_small", table_name="contacts")
    op.create_index("ix_contacts_contact", "contacts", ["contact"], unique=False)
