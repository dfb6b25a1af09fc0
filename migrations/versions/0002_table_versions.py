"""A number per part of the ledger that grows with every change of it, so that the guard keeps what has not changed.

The audit grows with every request; without these numbers each record would make the guard forget all that it knows.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PARTS = {"users": "users", "objects": "objects", "image_tags": "images", "image_holders": "images"}


def upgrade() -> None:
    table = op.create_table(
        "table_versions",
        sa.Column("part", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("part", name=op.f("pk_table_versions")),
    )
    op.bulk_insert(table, [{"part": part, "version": 0} for part in sorted(set(PARTS.values()))])
    for name, part in PARTS.items():
        for change in ("INSERT", "UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {name}_{change.lower()}_version AFTER {change} ON {name} "
                f"BEGIN UPDATE table_versions SET version = version + 1 WHERE part = '{part}'; END"
            )


def downgrade() -> None:
    for name in PARTS:
        for change in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER {name}_{change}_version")
    op.drop_table("table_versions")
