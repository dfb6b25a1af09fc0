"""Cohorts, the ledger of numbers, archives of homes; what a roster says of an account."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = ("mail", "starts", "cohort_id", "docker", "groups", "keys", "password_print", "adopted")


def columns() -> list[sa.Column]:
    return [
        sa.Column("mail", sa.Text(), nullable=False, server_default=""),
        sa.Column("starts", sa.String(length=10)),
        sa.Column("cohort_id", sa.String(length=36)),
        sa.Column("docker", sa.Boolean()),
        sa.Column("groups", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("keys", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("password_print", sa.String(length=16)),
        sa.Column("adopted", sa.Boolean(), nullable=False, server_default=sa.text("0")),
    ]


def upgrade() -> None:
    op.create_table(
        "cohorts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("profile", sa.String(length=64), nullable=False),
        sa.Column("starts", sa.String(length=10)),
        sa.Column("ends", sa.String(length=10)),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("removes", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("ended_at", sa.String(length=32)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cohorts")),
    )
    living = sa.text("state != 'ended'")
    op.create_index("uq_cohorts_living_name", "cohorts", ["name"], unique=True, sqlite_where=living, postgresql_where=living)
    for column in columns():
        op.add_column("users", column)
    op.create_index(op.f("ix_users_cohort_id"), "users", ["cohort_id"])
    op.add_column("plans", sa.Column("detail", sa.JSON(), nullable=False, server_default="{}"))
    op.create_table(
        "numbers",
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("subid_first", sa.BigInteger(), nullable=False),
        sa.Column("subid_count", sa.Integer(), nullable=False),
        sa.Column("subnet", sa.String(length=18)),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_numbers_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_numbers")),
        sa.UniqueConstraint("position", name=op.f("uq_numbers_position")),
    )
    op.create_table(
        "home_archives",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("keep_until", sa.String(length=32), nullable=False),
        sa.Column("deleted_at", sa.String(length=32)),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_home_archives_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_home_archives")),
    )
    op.create_index(op.f("ix_home_archives_user_id"), "home_archives", ["user_id"])
    for change in ("INSERT", "UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER numbers_{change.lower()}_version AFTER {change} ON numbers "
            "BEGIN UPDATE table_versions SET version = version + 1 WHERE part = 'users'; END"
        )


def downgrade() -> None:
    op.drop_column("plans", "detail")
    op.drop_index(op.f("ix_users_cohort_id"), "users")
    for name in COLUMNS:
        op.drop_column("users", name)
    for table in ("home_archives", "numbers", "cohorts"):
        op.drop_table(table)
