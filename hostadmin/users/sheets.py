"""Passwords that were made for people and wait to be printed: in memory only, handed out once."""

import threading
from collections.abc import Iterable, Mapping
from typing import Final

from hostadmin.host.vault import Secrets
from hostadmin.users.steps import fingerprint

KIND: Final = "cards"


class Sheets:
    """The passwords of cohorts that nobody has fetched yet.

    Args:
        vault: where they lie.

    """

    def __init__(self, vault: Secrets) -> None:
        self._vault = vault
        self._lock = threading.Lock()

    def add(self, cohort_id: str, passwords: Mapping[str, str], hashes: Mapping[str, str]) -> None:
        """Keep passwords (login → clear) until they are fetched; with a print of the hash that each is to become.

        Raises:
            Failed: they cannot be kept; nothing must be set then.

        """
        with self._lock:
            kept = self._vault.get(KIND, cohort_id) or {}
            kept |= {login: {"password": password, "print": fingerprint(hashes[login])} for login, password in passwords.items()}
            self._vault.put(KIND, cohort_id, kept)

    def waiting(self, cohort_id: str) -> Iterable[str]:
        """Return whose passwords wait."""
        return list(self._vault.get(KIND, cohort_id) or {})

    def take(self, cohort_id: str, prints: Mapping[str, str]) -> Mapping[str, str]:
        """Return login → password of those that wait, and forget them all.

        Args:
            cohort_id: whose.
            prints: login → print of the hash in shadow now; a password that is not in force (any more) is left out.

        """
        with self._lock:
            kept = self._vault.take(KIND, cohort_id) or {}
        return {login: entry["password"] for login, entry in kept.items() if prints.get(login) == entry["print"]}

    def drop(self, cohort_id: str) -> None:
        """Forget what waits."""
        self._vault.drop(KIND, cohort_id)
