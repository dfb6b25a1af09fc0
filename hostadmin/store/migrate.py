"""Bring the database to the newest schema. Alembic is imported only when there is something to do."""

import io
from importlib.resources import files
from pathlib import Path

from sqlalchemy import column, inspect, select, table

from hostadmin.core.errors import Failed
from hostadmin.store.database import Database, Tx


def data_dir(name: str) -> Path:
    """Return the folder ``migrations`` or ``config``, from the wheel or from the checkout."""
    packed = Path(str(files("hostadmin"))) / f"_{name}"
    return packed if packed.is_dir() else Path(__file__).resolve().parent.parent.parent / name


def stored_revision(tx: Tx) -> str | None:
    """Return the schema revision of the database, ``None`` for an empty one."""
    if not inspect(tx).has_table("alembic_version"):
        return None
    revision: str | None = tx.execute(select(column("version_num")).select_from(table("alembic_version"))).scalar()
    return revision


def newest_revision() -> str:
    """Return the revision that this program needs: the last file of ``migrations/versions``."""
    names = sorted(p.stem for p in (data_dir("migrations") / "versions").glob("[0-9]*.py"))
    return names[-1].split("_", 1)[0]


def upgrade(database: Database) -> bool:
    """Migrate to the newest schema in one transaction; return whether there was anything to do.

    Raises:
        Failed: the database is newer than this program.

    """
    with database.read() as tx:
        stored = stored_revision(tx)
    newest = newest_revision()
    if stored == newest:
        return False
    if stored is not None and stored > newest:
        raise Failed(f"The database has schema {stored}, this program knows up to {newest}: install the newer one.")
    from alembic import command  # noqa: PLC0415  # 0.9 s to import
    from alembic.config import Config  # noqa: PLC0415

    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(data_dir("migrations")).replace("%", "%%"))
    with database.exclusive() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        command.check(config)
    return True
