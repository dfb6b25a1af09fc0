"""Quotas: the sizes of images, and the blocks of host ports."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PARTS = {"image_sizes": "images", "port_blocks": "users"}


def upgrade() -> None:
    op.create_table(
        "image_sizes",
        sa.Column("image_id", sa.Text(), nullable=False),
        sa.Column("own_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_image_sizes")),
    )
    op.create_table(
        "port_blocks",
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_port_blocks_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_port_blocks")),
    )
    for name, part in PARTS.items():
        for change in ("INSERT", "UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {name}_{change.lower()}_version AFTER {change} ON {name} "
                f"BEGIN UPDATE table_versions SET version = version + 1 WHERE part = '{part}'; END"
            )


def downgrade() -> None:
    op.drop_table("port_blocks")
    op.drop_table("image_sizes")
