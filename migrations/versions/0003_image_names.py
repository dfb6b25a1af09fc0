"""Names under which a registry gave an image to an account, beside the one owner of a tag."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "image_names",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("image_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_image_names_user_id_users")),
        sa.PrimaryKeyConstraint("name", "user_id", name=op.f("pk_image_names")),
    )
    for change in ("INSERT", "UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER image_names_{change.lower()}_version AFTER {change} ON image_names "
            "BEGIN UPDATE table_versions SET version = version + 1 WHERE part = 'images'; END"
        )


def downgrade() -> None:
    op.drop_table("image_names")
