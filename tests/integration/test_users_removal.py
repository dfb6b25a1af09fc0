"""Removal on a real host: the home in an archive, nothing of a person left, and every step cut off and gone on with."""

import ctypes
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hostadmin.core.errors import Conflict, Failed
from hostadmin.host import remains
from hostadmin.users.context import Keeping
from tests.integration.people import SYSTEM_PYTHON
from tests.integration.accounts import ADMIN, FILES, PASSWORD, ROOT, Bench, is_clean, mentions, su
from tests.integration.homearchives import archives_of, in_archive, kept

__all__ = ["kept"]  # fixtures
pytestmark = [pytest.mark.host, pytest.mark.usefixtures("pristine_accounts")]


def test_a_home_is_archived_first(kept: Bench) -> None:
    """Checked by sha256sum, for root only, known to the ledger; a returning student gets the same numbers and an empty home."""
    uid = kept.users.add(ADMIN, "ashu", docker=True, password=PASSWORD).uid
    work = Path("/home/ashu/work")
    work.write_text("mine")
    os.chown(work, uid, uid)
    found = kept.users.remove(ADMIN, "ashu")
    assert found.archive is not None
    assert found.left == {}
    folder = Path(kept.places.keeping.archives)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(p.suffix for p in folder.iterdir()) == [".gz", ".sha256"]
    assert all((stat.S_IMODE(p.stat().st_mode), p.stat().st_uid) == (0o600, 0) for p in folder.iterdir())
    checked = subprocess.run(["sha256sum", "-c", f"{found.archive.path}.sha256"], cwd=folder, capture_output=True, text=True, check=False)
    assert checked.returncode == 0
    member = in_archive(found.archive.path)["./ashu/work"]
    assert (member.uid, member.gid, member.size) == (uid, uid, 4)
    (row,) = archives_of(kept)
    assert (row.path, row.sha256, row.bytes) == (found.archive.path, found.archive.sha256, os.path.getsize(row.path))
    assert not os.path.lexists("/home/ashu")
    assert mentions("ashu") == []
    outcome = kept.records("outcome")[-1]
    assert outcome["detail"]["archived"]["sha256"] == row.sha256
    back = kept.users.add(ADMIN, "ashu")
    assert back.uid == uid
    assert list(back.archives) == [row.path]
    assert not work.exists()


def test_without_an_archive(kept: Bench) -> None:
    """As asked: by --no-archive nothing is kept, by --keep-home nothing is archived."""
    kept.users.add(ADMIN, "ashu")
    assert kept.users.remove(ADMIN, "ashu", archive=False).archive is None
    assert not os.path.lexists("/home/ashu")
    kept.users.add(ADMIN, "ashu")
    found = kept.users.remove(ADMIN, "ashu", keep_home=True)
    assert (found.archive, found.left) == (None, {"home_left": "as asked"})
    assert os.path.isdir("/home/ashu")
    assert archives_of(kept) == []


def test_archives_go_when_their_time_is_over(kept: Bench) -> None:
    """By the job, on record; the checksum too; one that somebody has taken already is just marked."""
    for login in ("ashu", "rohit"):
        kept.users.add(ADMIN, login)
        kept.users.remove(ADMIN, login)
    one, other = archives_of(kept)
    kept.days = 29
    assert kept.users.expire_archives(ADMIN) == {}
    os.unlink(other.path)
    kept.days = 31
    assert kept.users.expire_archives(ADMIN) == {"removed": [one.path, other.path]}
    assert os.listdir(kept.places.keeping.archives) == []
    assert archives_of(kept) == []
    assert [r["action"] for r in kept.records("outcome")[-2:]] == ["archive.remove"] * 2
    assert kept.users.expire_archives(ADMIN) == {}


def test_no_space_for_the_archive(kept: Bench) -> None:
    """Told before anything is done, with what is missing; --no-archive removes it all the same."""
    kept.users.add(ADMIN, "ashu", password=PASSWORD)
    folder = Path(kept.places.keeping.archives)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", str(folder)], check=True)
    try:
        with pytest.raises(Conflict, match=r"bytes are missing.*--no-archive"):
            kept.users.remove(ADMIN, "ashu")
        assert kept.users.show("ashu").state == "active"
        assert su("ashu", PASSWORD)
        assert kept.users.remove(ADMIN, "ashu", archive=False).archive is None
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    assert mentions("ashu") == []


# -- what a person could leave ------------------------------------------------------------------


def test_nothing_of_a_person_is_left(kept: Bench, request: pytest.FixtureRequest) -> None:
    """Crontab, at jobs, mail, files in shared places whatever they are called, System V IPC; somebody else's stay."""
    uid = kept.users.add(ADMIN, "ashu").uid
    spools = {Path("/var/spool/cron/crontabs/ashu"), Path("/var/mail/ashu"), Path("/var/lib/systemd/linger/ashu")}
    spools |= {Path("/var/spool/cron/atjobs/a0001"), Path("/var/spool/cron/atspool/a0001")}
    other = Path("/var/spool/cron/atjobs/a0002")
    for file in (*spools, other):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("* * * * * touch /tmp/alive\n")
        os.chown(file, uid if file != other else 4242, -1)
    mess = "cd /tmp && mkdir -p 'ashu\n/dir' && echo x >'ashu\n/dir/-rf' && mkfifo ashufifo && ln -s /etc ashulink && echo x >/dev/shm/ashu"
    subprocess.run(["sh", "-c", f"{mess} && echo x >/var/tmp/ashu"], user=uid, group=uid, check=True)
    shared = Path("/tmp/ashushared")
    shared.mkdir()
    request.addfinalizer(lambda: shutil.rmtree(shared))
    (shared / "others").write_text("x")
    os.chown(shared, uid, uid)
    ipc = subprocess.run(
        [
            SYSTEM_PYTHON,
            "-c",
            "import ctypes; c=ctypes.CDLL(None); print(c.shmget(0,4096,0o1600), c.msgget(0,0o1600), c.semget(0,1,0o1600))",
        ],
        user=uid,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    foreign = ctypes.CDLL(None).shmget(0, 4096, 0o1600)
    try:
        found = kept.users.remove(ADMIN, "ashu")
        assert all(int(number) not in [n for n, _ in remains._ipc(t)] for t, number in zip(("shm", "msg", "sem"), ipc, strict=True))
        assert foreign in [n for n, _ in remains._ipc("shm")]
    finally:
        remains.CONTROL["shm"](foreign)
    assert not any(os.path.lexists(file) for file in spools)
    assert other.exists()
    assert {p.name for p in Path("/tmp").iterdir() if p.name.startswith("ashu")} == {"ashushared"}, "somebody else's file lies in it"
    assert "ashushared" in found.left["files_left"]
    assert not Path("/dev/shm/ashu").exists()
    assert not Path("/var/tmp/ashu").exists()
    assert os.path.isdir("/etc")
    other.unlink()


def test_a_hostile_home(kept: Bench) -> None:
    """Links out of it, a hole of 1 TB, a FIFO, names with newlines and dashes, a socket, 3000 levels: archived and gone, nothing else is."""
    uid = kept.users.add(ADMIN, "ashu").uid
    make = """
import os, socket
os.symlink("/etc", "toetc"); os.symlink("/etc/shadow", "shadow"); os.mkfifo("fifo")
open("new\\nline", "w").close(); open("--checkpoint-action=exec=touch pwned", "w").close(); open("-rf", "w").close()
with open("hole", "wb") as f: f.truncate(1 << 40)
s = socket.socket(socket.AF_UNIX); s.bind("sock")
for _ in range(3000):
    os.mkdir("d"); os.chdir("d")
"""
    subprocess.run([SYSTEM_PYTHON, "-c", make], user=uid, group=uid, cwd="/home/ashu", check=True)
    before = [f.read_bytes() for f in FILES if f.exists()]
    shadow = Path("/etc/shadow").stat().st_ino
    found = kept.users.remove(ADMIN, "ashu")
    assert found.archive is not None
    assert found.archive.bytes < 1 << 22
    listing = subprocess.run(["tar", "-tvzf", found.archive.path], capture_output=True, text=True, check=True).stdout
    assert "./ashu/toetc -> /etc" in listing
    assert listing.count("/d/") > 2900
    assert not os.path.lexists("/home/ashu")
    assert (Path("/etc/shadow").exists(), len(before)) == (True, len([f for f in FILES if f.exists()]))
    assert shadow
    assert not Path("/home/pwned").exists()
    assert is_clean()


def test_a_file_that_cannot_be_deleted(kept: Bench) -> None:
    """The account is gone then, the home is told with what to do, the archive is made once, and running it again finishes it."""
    kept.users.add(ADMIN, "ashu")
    stuck = Path("/home/ashu/stuck")
    stuck.write_text("x")
    if subprocess.run(["chattr", "+i", str(stuck)], capture_output=True, check=False).returncode:
        subprocess.run(["mount", "--bind", str(stuck), str(stuck)], check=True)  # no chattr here: a mount stays in the way, too
        with pytest.raises(Conflict, match="mounted"):
            kept.users.remove(ADMIN, "ashu")
        subprocess.run(["umount", str(stuck)], check=True)
        kept.users.remove(ADMIN, "ashu")
        return
    with pytest.raises(Failed, match=r"chattr \+i"):
        kept.users.remove(ADMIN, "ashu")
    assert kept.users.show("ashu").state == "leaving"
    first = sorted(os.listdir(kept.places.keeping.archives))
    subprocess.run(["chattr", "-i", str(stuck)], check=True)
    found = kept.users.remove(ADMIN, "ashu")
    assert found.archive is not None
    assert sorted(os.listdir(kept.places.keeping.archives)) == first, "what was half deleted is not archived over it"
    assert "./ashu/stuck" in in_archive(found.archive.path)


def test_a_home_that_is_swapped_while_it_is_archived(kept: Bench) -> None:
    """Nothing is deleted, nothing is kept; once it is back, the removal goes on."""
    kept.users.add(ADMIN, "ashu")

    def swap(argv: list[str]) -> None:
        if argv[0] == "tar":
            os.rename("/home/ashu", "/home/moved")
            os.symlink("/etc", "/home/ashu")

    kept.tools.before = swap
    with pytest.raises(Conflict, match="not a directory of uid"):
        kept.users.remove(ADMIN, "ashu")
    kept.tools.before = lambda _argv: None
    assert Path("/etc/passwd").exists()
    assert os.path.isdir("/home/moved")
    assert os.listdir(kept.places.keeping.archives) == []
    assert kept.users.show("ashu").state == "leaving"
    assert "the home /home/ashu is no directory" in kept.users.show("ashu").drift
    os.unlink("/home/ashu")
    os.rename("/home/moved", "/home/ashu")
    assert kept.users.remove(ADMIN, "ashu").archive is not None


def test_a_home_that_is_somebody_elses_now(kept: Bench) -> None:
    """It is left, and not archived."""
    kept.users.add(ADMIN, "ashu")
    os.chown("/home/ashu", 4242, 4242)
    found = kept.users.remove(ADMIN, "ashu")
    assert (found.archive, found.left) == (None, {"home_left": "it belongs to somebody else"})
    assert os.path.isdir("/home/ashu")
    assert mentions("ashu") == []


def test_a_login_that_is_somebody_elses_now(kept: Bench) -> None:
    """Re-made by hand with another uid: neither its account nor its crontab is touched."""
    kept.users.add(ADMIN, "ashu")
    subprocess.run(["userdel", "ashu"], check=True)
    subprocess.run(["useradd", "--uid", "5555", "ashu"], check=True)
    crontab = Path("/var/spool/cron/crontabs/ashu")
    crontab.parent.mkdir(parents=True, exist_ok=True)
    crontab.write_text("* * * * * true\n")
    kept.users.remove(ADMIN, "ashu")
    assert crontab.exists()
    assert kept.accounts.find("ashu") is not None
    crontab.unlink()


def test_processes_under_subordinate_uids_end_too(tmp_path: Path) -> None:
    """What `newuidmap` lets a person run as is that person's."""
    from dataclasses import replace

    bench = Bench(tmp_path)
    bench.places = replace(bench.places, ranges=replace(bench.places.ranges, subordinate_ids=True))
    bench.database.close()
    bench.open()
    user = bench.users.add(ADMIN, "ashu")
    row = bench.row("ashu")
    assert row is not None
    (uid, subordinate) = bench.users._context.whose(row)
    assert uid == user.uid
    assert isinstance(subordinate, range)
    inner = subprocess.Popen(["sleep", "60"], user=subordinate.start + 7)
    outside = subprocess.Popen(["sleep", "60"], user=subordinate.stop)
    hidden = Path("/tmp/subordinate")
    hidden.write_text("x")
    os.chown(hidden, subordinate.start + 7, -1)
    try:
        bench.users.lock(ADMIN, "ashu")
        assert inner.wait(60) != 0
        assert outside.poll() is None
        bench.users.remove(ADMIN, "ashu")
        assert not hidden.exists()
        assert mentions("ashu") == []
    finally:
        outside.kill()
        outside.wait()
        bench.database.close()


# -- cut off ---------------------------------------------------------------------------------------

SCRIPT = """
import os, signal, sys
from pathlib import Path
from hostadmin.host import homes, remains
from hostadmin.host.archives import Archives
from hostadmin.users import removing
from hostadmin.users.context import Keeping
from tests.integration.people import SYSTEM_PYTHON
from tests.integration.accounts import ADMIN, Bench
place, number = Path(sys.argv[1]), int(sys.argv[2])
bench = Bench(place, Keeping(archives=str(place / "homes")))
left = [number]
def cut(name):
    left[0] -= 1
    if left[0] < 0:
        print(name, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
def between(owner, name):
    real = getattr(owner, name)
    def cutting(*args, **more):
        found = real(*args, **more)
        cut(f"after {name}")
        return found
    setattr(owner, name, cutting)
for owner, name in ((remains, "remove_spools"), (remains, "remove_files"), (remains, "remove_ipc"), (homes, "remove"),
                    (Archives, "store"), (Archives, "_finish"), (os, "rename"), (removing.Removing, "rows")):
    between(owner, name)
bench.tools.before = lambda argv: cut(f"before {argv[0]}") if argv[0] in ("tar", "userdel") else None
bench.tools.after = lambda argv: cut(f"after {argv[0]}")
real_write = bench.database.write
def write(work):
    found = real_write(work)
    cut("after a write of the ledger")
    return found
bench.database.write = write
bench.users.remove(ADMIN, "ashu")
bench.database.close()
"""


def test_kill_at_every_step(tmp_path: Path) -> None:
    """kill -9 before and after every step; a start and one more run end where the uninterrupted one does, with one whole archive."""
    pristine = [(f, f.read_bytes()) for f in FILES if f.exists()]
    seen = []
    for number in range(60):
        place = tmp_path / str(number)
        place.mkdir()
        bench = Bench(place, Keeping(archives=str(place / "homes")))
        uid = bench.users.add(ADMIN, "ashu", docker=True, password=PASSWORD).uid
        for name in ("one", "two"):
            Path(f"/home/ashu/{name}").write_text("work")
            os.chown(f"/home/ashu/{name}", uid, uid)
        bench.database.close()
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(place), str(number)], check=False, cwd=ROOT, timeout=60, capture_output=True, text=True
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        seen.append(done.stdout.strip())
        bench.open()
        begun = len(bench.open_records())
        assert begun == int(done.returncode != 0 and number > 0), "du comes before the intent"
        assert bench.users.recover() == begun
        assert bench.open_records() == []
        if bench.row("ashu") is not None:
            assert bench.users.show("ashu").state == ("leaving" if begun else "active"), seen[-1]
            assert not begun or bench.accounts.find("ashu") is None or bench.accounts.is_locked("ashu")
            bench.users.remove(ADMIN, "ashu")
        judge_removed(bench, seen[-1])
        for file, content in pristine:
            file.write_bytes(content)
        bench.database.close()
        if done.returncode == 0:
            break
    else:
        raise AssertionError("more steps than expected")
    assert {
        "after userdel",
        "before tar",
        "after tar",
        "after rename",
        "after store",
        "after remove",
        "after a write of the ledger",
    } <= set(seen)


def judge_removed(bench: Bench, where: str) -> None:
    """Nothing is left but one whole archive."""
    assert bench.row("ashu") is None, where
    assert mentions("ashu") == [], where
    assert not os.path.lexists("/home/ashu"), where
    assert is_clean(), where
    (row,) = archives_of(bench)
    folder = Path(bench.places.keeping.archives)
    assert sorted(os.listdir(folder)) == sorted([os.path.basename(row.path), f"{os.path.basename(row.path)}.sha256"]), where
    checked = subprocess.run(["sha256sum", "-c", f"{row.path}.sha256"], cwd=folder, capture_output=True, check=False)
    assert checked.returncode == 0, where
    assert {"./ashu/one", "./ashu/two"} <= set(in_archive(row.path)), f"{where}: a home that was half deleted is archived whole"


def test_three_hundred_removals_cost_little_besides_the_tools(kept: Bench) -> None:
    """What is ours of one removal, programs and waiting for the disk aside, stays below 25 ms of a processor."""
    logins = [f"user{n}" for n in range(30)]
    for login in logins:
        kept.users.add(ADMIN, login)
    begun, own = time.perf_counter(), time.process_time()
    for login in logins:
        kept.users.remove(ADMIN, login)
    own, whole = (time.process_time() - own) / len(logins), (time.perf_counter() - begun) / len(logins)
    print(f"removal: {whole * 1000:.1f} ms, of it our own {own * 1000:.1f} ms")
    assert own < 0.025
