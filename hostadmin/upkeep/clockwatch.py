"""The host's clock, watched: what goes for good by the clock does not go because somebody has set it wrong.

The wall clock (``CLOCK_REALTIME``) can be set; the time since the boot (``CLOCK_BOOTTIME``) cannot. Where the first has moved by
much more or less than the second, nobody knows which time is right, before the leap or after it; neither does anybody after a
time in which the host was off. Until nothing of that kind has happened for a while, the clock is doubted. Access ends by the
clock all the same: it comes back with the date (``users/dates.py``).
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from hostadmin.core.errors import HostadminError
from hostadmin.store import facts
from hostadmin.store.database import Database

LOG: Final = logging.getLogger("hostadmin.upkeep")
FACT: Final = "clock"  # what was seen last: ``Seen``
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
LEAP_SECONDS: Final = 3600.0  # a smaller one is a correction
SETTLE_SECONDS: Final = 600.0  # of a clock that runs as it should, before it is believed again: time enough for NTP after a start
BACK_SECONDS: Final = 5.0  # by which the clock is set back, so that schedules have to be made anew
KEEP_SECONDS: Final = 600.0  # how old what is kept may become


@dataclass(frozen=True, slots=True)
class Reading:
    """Which boot it is (random), the seconds since it, and the wall clock's seconds since 1970."""

    boot: str
    uptime: float
    wall: float


@dataclass(frozen=True, slots=True)
class Seen:
    """A reading, and until which uptime the clock is doubted."""

    boot: str
    uptime: float
    wall: float
    doubted_until: float = 0.0


def read_clocks() -> Reading:
    """Return what the kernel's clocks say now."""
    return Reading(BOOT_ID.read_text("ascii").strip(), time.clock_gettime(time.CLOCK_BOOTTIME), time.time())


def leap(last: Seen | None, at: Reading) -> float:
    """Return by how many seconds the wall clock has moved more than was seen to pass (pure); negative: it was set back."""
    if last is None:
        return 0.0
    passed = at.uptime - last.uptime if at.boot == last.boot else 0.0  # how long the host was off is what it should tell
    return at.wall - last.wall - passed


def judge(last: Seen | None, at: Reading) -> Seen:
    """Return what is known of the clock now (pure)."""
    if last is None:
        return Seen(at.boot, at.uptime, at.wall)
    left = last.doubted_until - last.uptime
    until = last.doubted_until if at.boot == last.boot else at.uptime + max(left, 0.0)
    if abs(leap(last, at)) > LEAP_SECONDS:
        until = at.uptime + SETTLE_SECONDS
    return Seen(at.boot, at.uptime, at.wall, until)


class ClockWatch:
    """Watches the clock, across restarts of the service and of the host.

    Args:
        database: where the last reading is kept.
        set_back: called when the clock was set back, after which nothing that was due at a time would be due for as long.
        read: reads the clocks.

    """

    def __init__(self, database: Database, set_back: Callable[[], None], read: Callable[[], Reading] = read_clocks) -> None:
        self._database = database
        self._set_back = set_back
        self._read = read
        self._lock = threading.Lock()
        self._kept: Seen | None = None
        self._last: Seen | None = None

    def look(self) -> bool:
        """Look at the clock; return whether it is doubted.

        Raises:
            HostadminError: the database did not take what was seen.

        """
        with self._lock:
            first = self._last is None
            if first:
                with self._database.read() as tx:
                    known = facts.get(tx, FACT)
                self._last = self._kept = Seen(**known) if known else None
            last, at = self._last, self._read()
            self._last = seen = judge(last, at)
            doubted, by = at.uptime < seen.doubted_until, leap(last, at)
            self._keep(seen)
        if abs(by) > LEAP_SECONDS:
            LOG.warning(
                "upkeep: the clock has leapt by %+.0f s, or the host was off for that time: what goes for good by the clock waits for %.0f min",
                by,
                SETTLE_SECONDS / 60,
            )
        if by < -BACK_SECONDS and not first:
            self._set_back()
        return doubted

    def _keep(self, seen: Seen) -> None:
        """Write what was seen down, if a start would judge otherwise by what is written."""
        kept = self._kept
        same = kept is not None and (kept.boot, kept.doubted_until) == (seen.boot, seen.doubted_until)
        if same and kept is not None and 0 <= seen.wall - kept.wall < KEEP_SECONDS:
            return
        value = asdict(seen)
        self._database.write(lambda tx: facts.put(tx, FACT, value))
        self._kept = seen


class Ticker:
    """Does something every few seconds, by a clock that nobody can set.

    Args:
        seconds: how often.
        work: what; an error of ours does not end it.

    """

    def __init__(self, seconds: float, work: Callable[[], object]) -> None:
        self._seconds = seconds
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is being done is waited for."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            with suppress(HostadminError):
                self._work()
