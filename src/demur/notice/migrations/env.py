"""Alembic's entry: runs the migrations on the connection that ``Database.migrate`` hands in."""

from __future__ import annotations

from alembic import context

from demur.notice.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=context.config.attributes["versions"],
    transactional_ddl=False,  # the caller holds the transaction
)
context.run_migrations()
