"""Logs of containers: always bounded. The engine's json-file driver is unbounded by itself (``engine-api.md`` 3.2)."""

import re
from typing import Any, Final

from hostadmin.policy.profiles import Profile

DRIVERS: Final = ("json-file", "local")
OPTIONS: Final = frozenset({"max-size", "max-file", "compress"})
FILES: Final = {"json-file": 2, "local": 5}  # how many where nothing is said
FILES_MOST: Final = 100
UNITS: Final = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}
_SIZE: Final = re.compile(r"([0-9]{1,12})([kmg]?)b?", re.IGNORECASE)


def parse_size(text: str) -> int | None:
    """Return the bytes of a size as the log drivers read it (``10m`` is ten million), ``None`` if it is none."""
    found = _SIZE.fullmatch(text)
    return int(found[1]) * UNITS[found[2].lower()] if found else None


def admit_log(host: dict[str, Any], profile: Profile) -> list[str]:
    """Bound the log of a new container by the profile's ``log_bytes`` and return what its LogConfig violates."""
    log = host.get("LogConfig", {})
    driver = log.get("Type") or "json-file"
    given: dict[str, str] = log.get("Config", {})
    found = [f"log option {option!r}: allowed are {', '.join(sorted(OPTIONS))}" for option in given if option not in OPTIONS]
    if driver not in DRIVERS:
        found.append(f"log driver {driver!r}: allowed are json-file and local")
    if given.get("compress", "true") not in ("true", "false"):
        found.append("log option compress: true or false")
    if found or not profile.log_bytes:
        return found
    files = int(given["max-file"]) if given.get("max-file", "").isdecimal() and len(given["max-file"]) <= 3 else 0
    if "max-file" not in given:
        files = FILES[driver] if "max-size" not in given or driver == "local" else 1
    if not 1 <= files <= FILES_MOST:
        return [f"log option max-file: from 1 to {FILES_MOST}"]
    size = parse_size(given["max-size"]) if "max-size" in given else profile.log_bytes // files
    if not size or size * files > profile.log_bytes:
        return [f"log option max-size: profile {profile.name!r} allows at most {profile.log_bytes} bytes (max-size times max-file)"]
    host["LogConfig"] = {"Type": driver, "Config": {**given, "max-size": str(size), "max-file": str(files)}}
    return []
