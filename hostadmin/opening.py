"""What guard and service both open at their start: the database and the profiles. Light: the guard imports no more."""

from pathlib import Path

from hostadmin.policy import profiles
from hostadmin.policy.profiles import Profiles
from hostadmin.settings import PolicySettings, Settings
from hostadmin.store.database import Database
from hostadmin.store.migrate import data_dir, upgrade


def open_database(settings: Settings) -> Database:
    """Open the database and bring it to the newest schema."""
    database = Database(settings.store.url)
    upgrade(database)
    return database


def load_profiles(policy: PolicySettings) -> Profiles:
    """Read the configured profiles; where the default file is missing, those that ship with hostadmin.

    Raises:
        Invalid: the file is not acceptable.

    """
    file = Path(policy.profiles)
    if not file.exists() and policy.profiles == PolicySettings().profiles:
        file = data_dir("config") / "profiles.toml"
    return profiles.load(file, policy.default)
