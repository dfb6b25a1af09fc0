"""Small secrets that must outlive a kill -9 of the service, but never reach a disk or the database.

They lie in files of a directory that only root reads, on a file system in memory: a restart of the service finds them, a
restart of the host does not. (A tmpfs may be swapped out: a host that minds gives its swap a key of the day.) Whoever
changes anything holds a lock on the directory; the kernel takes it back from a process that is killed.
"""

import fcntl
import json
import os
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from hostadmin.core.errors import Failed, Invalid

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600
OTHERS: Final = 0o077
SHARED_MEMORY: Final = "/dev/shm/hostadmin-secrets"  # noqa: S108  # shm_overview(7): a tmpfs; the directory is checked on each use
VOLATILE: Final = frozenset({"tmpfs", "ramfs"})
WORD: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
BYTES_MOST: Final = 1 << 20
OPEN_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
Value = dict[str, Any]


class Vault:
    """Secrets by kind and key; any number of processes and threads may use one directory.

    Kind and key have 1 to 100 of ``A-Za-z0-9_.-``. Every method looks at the directory anew and raises ``Failed`` if it is a
    link, somebody else's, open to others, or (``volatile_only``) on a file system that is not in memory; ``Invalid`` for
    a kind or key of another form. No error says anything of a value.

    Args:
        directory: made with mode 0700 at the first ``put``.
        volatile_only: refuse a file system that keeps what it has.

    """

    def __init__(self, directory: str | Path, *, volatile_only: bool = True) -> None:
        self.directory = Path(directory)
        self.volatile_only = volatile_only

    def put(self, kind: str, key: str, value: Value) -> None:
        """Keep a value (plain JSON) in place of what was there; after a kill there is the old one or the new one.

        Raises:
            Failed: as above, or it cannot be written.

        """
        name = _name(kind, key)
        data = json.dumps(value).encode()
        if len(data) > BYTES_MOST:
            raise Failed(f"A secret of kind {kind} is too large to keep: {len(data)} bytes, the most is {BYTES_MOST}.", key="vault")
        self._make()
        with self._opened() as directory:
            try:
                _write(directory, name, data)
            except OSError as error:
                raise Failed(f"A secret cannot be kept in {self.directory}: {error.strerror}.", key="vault") from error

    def get(self, kind: str, key: str) -> Value | None:
        """Return a value, ``None`` if there is none."""
        return self._read(_name(kind, key), remove=False)

    def take(self, kind: str, key: str) -> Value | None:
        """Return a value and forget it; of several callers one gets it, the others ``None``."""
        return self._read(_name(kind, key), remove=True)

    def drop(self, kind: str, key: str) -> None:
        """Forget a value, also one that cannot be read; nothing happens if there is none."""
        name = _name(kind, key)
        if self._is_there():
            with self._opened() as directory, suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)

    def _read(self, name: str, *, remove: bool) -> Value | None:
        if not self._is_there():
            return None
        with self._opened() as directory:
            try:
                value = self._value(directory, name)
            except FileNotFoundError:
                return None
            if remove:
                os.unlink(name, dir_fd=directory)
            return value

    def _is_there(self) -> bool:
        return os.path.lexists(self.directory)

    def _make(self) -> None:
        try:
            os.makedirs(self.directory.parent, exist_ok=True)
            with suppress(FileExistsError):
                os.mkdir(self.directory, DIRECTORY_MODE)
        except OSError as error:
            raise Failed(f"The directory for secrets {self.directory} cannot be made: {error.strerror}.", key="vault") from error

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Give the directory's descriptor, checked and locked: what is done through it is done in this directory."""
        try:
            directory = os.open(self.directory, OPEN_DIRECTORY)
        except OSError as error:
            raise self._refusal(f"it is no directory or a link ({error.strerror})") from error
        try:
            if wrong := self._violation(directory):
                raise self._refusal(wrong)
            fcntl.flock(directory, fcntl.LOCK_EX)
            yield directory
        finally:
            os.close(directory)

    def _violation(self, directory: int) -> str | None:
        found = os.fstat(directory)
        if found.st_uid != os.geteuid():
            return f"it belongs to uid {found.st_uid}"
        if found.st_mode & OTHERS:
            return f"its mode {stat.S_IMODE(found.st_mode):04o} lets others in; it must be 0700"
        kind = file_system_of(directory) if self.volatile_only else None
        if self.volatile_only and kind not in VOLATILE:
            return f"it is on {kind or 'an unknown file system'}, which keeps what it has; it must be on a tmpfs such as /run"
        return None

    def _refusal(self, wrong: str) -> Failed:
        return Failed(f"Refused to use {self.directory} for secrets: {wrong}. Remove it, or name another directory.", key="vault")

    def _value(self, directory: int, name: str) -> Value:
        """Return what a file says.

        Raises:
            FileNotFoundError: there is none.
            Failed: it is not one of ours, or damaged; what it says is not repeated, nor kept in the error.

        """
        try:
            with open(name, "rb", opener=lambda path, _: os.open(path, OPEN_FILE, dir_fd=directory)) as file:
                found = os.fstat(file.fileno())
                ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1
                data = file.read(BYTES_MOST + 1) if ours and not found.st_mode & OTHERS else b""
        except FileNotFoundError:
            raise
        except OSError:
            data = b""  # a link, a directory or a device
        value = _parsed(data)
        if value is None:
            raise Failed(f"{self.directory / name} is not what hostadmin has put there: remove it.", key="vault")
        return value


def file_system_of(descriptor: int, proc: Path = Path("/proc/self")) -> str | None:
    """Return the type of the file system that an open file is on (proc(5): ``fdinfo``, ``mountinfo``), ``None`` if it is hidden."""
    told = dict(line.split(":", 1) for line in (proc / "fdinfo" / str(descriptor)).read_text().splitlines() if ":" in line)
    mount = told.get("mnt_id", "").strip()
    for line in (proc / "mountinfo").read_text(errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        if before.split(" ", 1)[0] == mount:
            return after.split(" ", 1)[0]
    return None


def _name(kind: str, key: str) -> str:
    """Return the file's name; ``=`` is in neither word, so that no two pairs have one file.

    Raises:
        Invalid: a word that is no plain name.

    """
    for word in (kind, key):
        if not WORD.fullmatch(word):
            raise Invalid("Refused name of a secret: kind and key have 1 to 100 of A-Z, a-z, 0-9, '_', '.' and '-'.", key="vault-name")
    return f"{kind}={key}"


def _write(directory: int, name: str, data: bytes) -> None:
    """Write beside and rename, under the lock; what a killed writer has left there is replaced."""
    beside = f"{name}~"
    with suppress(FileNotFoundError):
        os.unlink(beside, dir_fd=directory)
    try:
        with os.fdopen(os.open(beside, OPEN_NEW, FILE_MODE, dir_fd=directory), "wb") as file:
            file.write(data)
        os.rename(beside, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with suppress(OSError):
            os.unlink(beside, dir_fd=directory)
        raise


def _parsed(data: bytes) -> Value | None:
    try:
        value = json.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class MemoryVault:
    """The same for a host without any file system in memory: kept in this process, gone with it."""

    def __init__(self) -> None:
        self._kept: dict[str, Value] = {}
        self._lock = threading.Lock()

    def put(self, kind: str, key: str, value: Value) -> None:
        """Keep a value in place of what was there."""
        with self._lock:
            self._kept[_name(kind, key)] = dict(value)

    def get(self, kind: str, key: str) -> Value | None:
        """Return a value, ``None`` if there is none."""
        with self._lock:
            found = self._kept.get(_name(kind, key))
            return dict(found) if found is not None else None

    def take(self, kind: str, key: str) -> Value | None:
        """Return a value and forget it."""
        with self._lock:
            return self._kept.pop(_name(kind, key), None)

    def drop(self, kind: str, key: str) -> None:
        """Forget a value; nothing happens if there is none."""
        self.take(kind, key)


Secrets = Vault | MemoryVault


def open_vault(directory: str, other: str = SHARED_MEMORY) -> Secrets:
    """Return a place for secrets: the directory if it lies in memory, else one in shared memory, else this process.

    Args:
        directory: where they are to be; it need not be there yet.
        other: where they are if the first one is on a disk.

    """
    if _is_volatile(Path(directory)):
        return Vault(directory)
    if _is_volatile(Path(other)):
        vault = Vault(other)
        with suppress(Failed):  # anybody may make that directory first; then it is not ours to use
            vault.put("vault", "probe", {})
            vault.drop("vault", "probe")
            return vault
    return MemoryVault()


def _is_volatile(path: Path) -> bool:
    """Tell whether a path, or the nearest directory above it that is there, is on a file system in memory."""
    while not path.is_dir() and path != path.parent:
        path = path.parent
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return file_system_of(descriptor) in VOLATILE
    finally:
        os.close(descriptor)
