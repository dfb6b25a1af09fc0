"""Alembic's entry: runs on the connection that hostadmin hands over, or on a URL in a checkout."""

import os

from alembic import context

from hostadmin.store.database import Database
from hostadmin.store.tables import METADATA


def run(connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with Database(os.environ.get("HOSTADMIN_STORE__URL", "sqlite:///hostadmin-dev.db")).exclusive() as own:
        run(own)
