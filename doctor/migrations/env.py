"""What Alembic runs: the steps, in the transaction that `doctor.database` holds open."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
