"""Resets: what was taken away of whom, and what it needs to come back."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "resets",
        sa.Column("plan_id", sa.String(length=36), nullable=False),
        sa.Column("hours", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("begun_at", sa.String(length=32)),
        sa.Column("until", sa.String(length=32)),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name=op.f("fk_resets_plan_id")),
        sa.PrimaryKeyConstraint("plan_id", name=op.f("pk_resets")),
    )
    op.create_table(
        "reset_items",
        sa.Column("plan_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.String(length=36), nullable=False),
        sa.Column("attribution", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("kept", sa.JSON(), nullable=False),
        sa.Column("saved", sa.JSON(), nullable=False),
        sa.Column("req", sa.String(length=36)),
        sa.Column("restored_ref", sa.Text()),
        sa.Column("message", sa.Text(), nullable=False, server_default=""),
        sa.ForeignKeyConstraint(["plan_id"], ["resets.plan_id"], name=op.f("fk_reset_items_plan_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_reset_items_owner_id")),
        sa.PrimaryKeyConstraint("plan_id", "kind", "ref", name=op.f("pk_reset_items")),
    )
    op.create_index(op.f("ix_reset_items_state"), "reset_items", ["state"])


def downgrade() -> None:
    op.drop_table("reset_items")
    op.drop_table("resets")
