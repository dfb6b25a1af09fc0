"""Connections to the database, and the one way to write to it.

Law of this file: **every** write goes through ``Database.write``/``submit``: one writer thread per
process, which takes the lock file shared by all processes, opens ``BEGIN IMMEDIATE``, does all work
that is waiting (a group commit) and answers only after the commit is durable. Work never calls the
engine, a program or the network. Readers have their own connections and never write.

Why a lock file and not SQLite's own waiting: ``audit.md`` 4.3 (fairness; the WAL-reset defect).
"""

import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from hostadmin.core.errors import Failed, StorageFull, Unavailable

T = TypeVar("T")
Tx = Connection
"""What query modules take: a connection inside a transaction."""

GROUP_MAX: Final = 1000
QUEUE_MAX: Final = 4096
WRITE_DEADLINE_SECONDS: Final = 5.0
EXIT_IO_ERROR: Final = 75
PRAGMAS: Final = (
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA secure_delete = ON",
)


class _Job:
    """One piece of work on its way through the writer thread."""

    __slots__ = ("future", "work")

    def __init__(self, work: Callable[[Tx], Any]) -> None:
        self.work = work
        self.future: Future[Any] = Future()


class Database:
    """One database, opened by one process.

    Args:
        url: ``sqlite:////path`` (PostgreSQL later).
        readers: how many connections may read at the same time.

    """

    def __init__(self, url: str, *, readers: int = 8) -> None:
        self.url = url
        self.path = Path(sqlalchemy.make_url(url).database or "")
        self._prepare_file()
        self._write_engine = self._engine(pool_size=1, begin="BEGIN IMMEDIATE")
        self._read_engine = self._engine(pool_size=readers, begin="BEGIN", read_only=True)
        self._queue: queue.Queue[_Job | None] = queue.Queue(QUEUE_MAX)
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._started = False
        self._watcher: Any = None
        self._looker: Connection | None = None
        self._seen: int | None = None
        self._versions: Mapping[str, int] = {}
        self._start_lock = threading.Lock()

    def _prepare_file(self) -> None:
        """Make the file root-only before SQLite does with whatever umask is in force."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._lock_fd = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with self._locked(), closing(sqlite3.connect(self.path, timeout=5)) as raw:  # SQLite does not wait for this switch
                raw.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error as error:
            raise Unavailable(f"The database {self.path} cannot be opened ({error}): nothing was done.", key="store-unavailable") from error

    def _engine(self, *, pool_size: int, begin: str, read_only: bool = False) -> sqlalchemy.Engine:
        options: dict[str, Any] = {"isolation_level": None, "check_same_thread": False}
        if hasattr(sqlite3, "LEGACY_TRANSACTION_CONTROL"):
            options["autocommit"] = sqlite3.LEGACY_TRANSACTION_CONTROL
        engine = sqlalchemy.create_engine(self.url, connect_args=options, poolclass=QueuePool, pool_size=pool_size, max_overflow=0)

        def on_connect(raw: Any, _record: Any) -> None:
            cursor = raw.cursor()
            for pragma in PRAGMAS:
                cursor.execute(pragma)
            cursor.execute(f"PRAGMA wal_autocheckpoint = {0 if read_only else 1000}")
            if read_only:
                cursor.execute("PRAGMA query_only = ON")
            cursor.close()

        def on_begin(connection: Connection) -> None:
            if not connection.get_execution_options().get("untransacted"):
                connection.exec_driver_sql(begin)

        event.listen(engine, "connect", on_connect)
        event.listen(engine, "begin", on_begin)
        return engine

    def look(self, work: Callable[[Tx], T]) -> T:
        """Do ``work``, one query each, outside of any transaction; for one thread of the process (the guard's loop).

        Raises:
            Unavailable: the database cannot be read now.

        """
        try:
            if self._looker is None:
                self._looker = self._read_engine.connect().execution_options(untransacted=True)
            return work(self._looker)
        except OperationalError as error:
            if self._looker is not None:
                self._looker.invalidate()
                self._looker = None
            raise _translate(error) from error

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """Open a short read transaction.

        Raises:
            Unavailable: the database cannot be read now.

        """
        try:
            with self._read_engine.begin() as connection:
                yield connection
        except OperationalError as error:
            raise _translate(error) from error

    def submit(self, work: Callable[[Tx], T]) -> "Future[T]":
        """Queue ``work``; the future is done once its transaction is durable (or it failed).

        Raises:
            Unavailable: too much is waiting already.

        """
        self._ensure_started()
        job = _Job(work)
        try:
            self._queue.put_nowait(job)
        except queue.Full as error:
            raise Unavailable("The database is behind: nothing was done. Try again shortly.", key="store-busy") from error
        return job.future

    def write(self, work: Callable[[Tx], T]) -> T:
        """Do ``work`` in a write transaction and return its result once it is durable.

        Raises:
            Unavailable: the database could not be written within five seconds.
            StorageFull: its disk is full.

        """
        future = self.submit(work)
        try:
            return future.result(WRITE_DEADLINE_SECONDS * 2)
        except TimeoutError as error:
            future.cancel()
            raise Unavailable("The database did not answer in time.", key="store-busy") from error

    @contextmanager
    def exclusive(self) -> Iterator[Tx]:
        """One write transaction of the caller's own thread, for migrations, under the same lock."""
        with self._locked(), self._write_engine.begin() as connection:
            yield connection

    def versions(self) -> Mapping[str, int]:
        """Return a number per part of the ledger (users, objects, images) that grows when anybody changes it.

        For one thread of the process, on every request of the guard.
        """
        if self._watcher is None:
            self._watcher = self._read_engine.raw_connection()
        ask = self._watcher.driver_connection.execute
        version = ask("PRAGMA data_version").fetchone()[0]
        if version != self._seen:
            self._versions = dict(ask("SELECT part, version FROM table_versions").fetchall())
            self._seen = version
        return self._versions

    def close(self) -> None:
        """Finish what is queued and close every connection."""
        if self._started:
            self._queue.put(None)
            self._thread.join(10)
        if self._watcher is not None:
            self._watcher.close()
        if self._looker is not None:
            self._looker.close()
        with self._locked():
            self._read_engine.dispose()
            self._write_engine.dispose()

    def _ensure_started(self) -> None:
        with self._start_lock:
            if not self._started:
                self._started = True
                self._thread.start()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)

    def _run(self) -> None:
        while True:
            job = self._queue.get()
            if job is None:
                return
            with self._locked():
                jobs, stop = self._drain(job)
                self._commit(jobs)
            if stop:
                return

    def _drain(self, first: _Job) -> tuple[list[_Job], bool]:
        """Take everything that waits; done after the lock is held, so that groups grow."""
        jobs = [first]
        while len(jobs) < GROUP_MAX:
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
        return jobs, False

    def _commit(self, jobs: list[_Job]) -> None:
        running = [job for job in jobs if job.future.set_running_or_notify_cancel()]
        results: list[tuple[_Job, Any, BaseException | None]] = []
        try:
            with self._write_engine.begin() as connection:
                results.extend(self._work(connection, job, alone=len(running) == 1) for job in running)
                if len(running) == 1 and results[0][2] is not None:
                    raise results[0][2]
        except DBAPIError as error:
            _exit_on_io_error(error)
            failure = _translate(error)
            results = [(job, None, failure) for job in running]
        except Exception as error:  # the only job's own error, handed to its waiter
            results = [(job, None, error) for job in running]
        for job, result, problem in results:
            with suppress(InvalidStateError):
                if problem is None:
                    job.future.set_result(result)
                else:
                    job.future.set_exception(problem)

    @staticmethod
    def _work(connection: Tx, job: _Job, *, alone: bool) -> tuple[_Job, Any, BaseException | None]:
        """Run one job; in a group, behind a savepoint so that its failure is its own."""
        if alone:
            try:
                return job, job.work(connection), None
            except Exception as error:  # goes to the waiter, the transaction rolls back
                return job, None, error
        savepoint = connection.begin_nested()
        try:
            result = job.work(connection)
            savepoint.commit()
        except OperationalError:
            raise  # the disk or the lock: the whole group fails
        except Exception as error:  # goes to the waiter
            savepoint.rollback()
            return job, None, error
        return job, result, None


def _translate(error: DBAPIError) -> Failed:
    text = str(error.orig)
    if "full" in text:
        return StorageFull(
            "The disk that holds hostadmin's database is full: nothing can be recorded, so nothing was done. Free some space and try again."
        )
    return Unavailable(f"The database cannot be used now ({text}): nothing was done.", key="store-unavailable")


def _exit_on_io_error(error: DBAPIError) -> None:
    """After an I/O error in COMMIT nobody knows what is on disk: end, and recover at the next start."""
    if "disk I/O error" in str(error.orig):
        os.write(2, b"hostadmin: I/O error on the database; ending so that the next start can recover\n")
        os._exit(EXIT_IO_ERROR)
