"""Alembic's entry: runs migrations in the connection that `schema.migrate` opened."""

from __future__ import annotations

from alembic import context

from tidegate.store.models import Base

connection = context.config.attributes["connection"]
# SQLite cannot alter a table: batch mode copies it.
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
