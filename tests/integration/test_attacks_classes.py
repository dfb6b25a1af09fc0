"""Against classes, as a student: who leaves and wants to keep access, hold up others, or harm who comes next.

Everything is tried for real on a disposable host, and judged there: files, owners, processes, what the engine has.
"""

import os
import pwd
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.integration.accounts import commands_of, shadow_line
from tests.integration.attackworld import KEY, World, left_running, make_leaver, make_world, typed
from tests.integration.people import SYSTEM_PYTHON, Student, process_of
from tests.integration.stage import STATE, until

pytestmark = [pytest.mark.host, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Everything stands; two classes of two are there."""
    with make_world() as found:
        yield found


@pytest.fixture
def leaver(world: World, request: pytest.FixtureRequest) -> Iterator[str]:
    """A student of their own, in a class of their own, removed afterwards if they are not yet."""
    with make_leaver(world, request.node.name) as login:
        yield login


# -- holding up others ------------------------------------------------------------------------------

STOPPER: Final = """
import ctypes, os, pty, signal, sys, time
libc = ctypes.CDLL(None)
old = sys.argv[1]
for rounds in range(100):
    new = f"Stopped{rounds}word#77"
    pid, fd = pty.fork()
    if pid == 0:
        os.execv("/usr/bin/passwd", ["passwd"])
    for answer in (old, new, new):
        seen = b""
        while b"assword:" not in seen:
            seen += os.read(fd, 1000)
        eye = libc.inotify_init1(0)
        libc.inotify_add_watch(eye, b"/etc", 0x20)  # somebody opens a file
        os.write(fd, answer.encode() + b"\\n")
    while b".pwd.lock" not in os.read(eye, 4096):
        pass
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.1)
    if f" {pid} " in open("/proc/locks").read():
        break
    os.kill(pid, signal.SIGCONT)
    os.waitpid(pid, 0)
    old = new
print("held", flush=True)
for _ in range(int(sys.argv[2])):
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.001)
time.sleep(1000)
"""


def set_password(login: str, password: str) -> None:
    """Give a student a password that need not be changed."""
    subprocess.run(["chpasswd"], input=f"{login}:{password}\n", text=True, check=True)


@pytest.mark.parametrize("stops", [0, 30000])
def test_a_stopped_passwd_does_not_hold_the_account_files(world: World, leaver: str, stops: int) -> None:
    """kill(2) lets a student stop the passwd that they have started, with everybody's lock in its hands, again and again."""
    set_password(leaver, "Oracle098#planted")
    argv = [SYSTEM_PYTHON, "-c", STOPPER, "Oracle098#planted", str(stops)]
    stopper = subprocess.Popen(**process_of(leaver, argv), stdout=subprocess.PIPE)
    try:
        assert stopper.stdout is not None
        assert stopper.stdout.readline() == b"held\n"
        begun = time.monotonic()
        world.ok("POST", "users/dev/lock")
        world.ok("POST", "users/dev/unlock")
        world.ok("POST", f"users/{leaver}/lock")
        assert time.monotonic() - begun < 40
        assert shadow_line(leaver)[1].startswith("!")
        assert commands_of(pwd.getpwnam(leaver).pw_uid) == []
    finally:
        stopper.kill()
        stopper.wait()


def test_nobody_holds_up_the_apply_that_takes_them_off(world: World, leaver: str) -> None:
    """Keys and modes that change all the time are the student's own business: a plan to end their access does not stand on them."""
    world.apply(leaver, leaver, "stays")
    mess = "mkdir -p ~/.ssh; n=0; while :; do n=$((n+1)); chmod 7$((n%8))0 ~; "
    mess += f"echo 'ssh-ed25519 AAAA'$n >~/.ssh/authorized_keys.n; mv ~/.ssh/authorized_keys.n ~/.ssh/authorized_keys; done # {KEY}"
    left_running(leaver, "bash", "-c", mess)
    time.sleep(0.3)
    plan = world.plan(leaver, "stays")["id"]
    time.sleep(0.3)
    world.ok("POST", f"rosters/{plan}/apply")
    assert world.state(leaver) == "leaving"
    assert commands_of(pwd.getpwnam(leaver).pw_uid) == []
    world.ok("POST", f"cohorts/{leaver}/end", {"archive": False})


# -- processes that stay ---------------------------------------------------------------------------------

TRACED: Final = """
import ctypes, os, signal, time
if os.fork():
    time.sleep(901)
ctypes.CDLL(None).ptrace(0, 0, 0, 0)  # by its parent
os.kill(os.getpid(), signal.SIGSTOP)
time.sleep(901)
"""
HIDING: Final = {
    "double fork": ["bash", "-c", "(setsid sleep 901 &) ; exit"],
    "deaf": ["bash", "-c", "trap '' TERM HUP INT; while :; do sleep 901; done"],
    "stopped": ["bash", "-c", "kill -STOP $$; sleep 901"],
    "traced": [SYSTEM_PYTHON, "-c", TRACED],
    "root of their own": ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "sleep", "901"],
    "a comet": [SYSTEM_PYTHON, "-c", "import os, time\nwhile True:\n  if os.fork(): os._exit(0)\n  time.sleep(0.001)"],
    "a bomb": ["bash", "-c", "ulimit -u 150; f() { f | f & }; while :; do f; done"],
    "screen": ["bash", "-c", "nohup setsid bash -c 'trap \"\" HUP; sleep 901; sleep 902' >/dev/null 2>&1 &"],
}  # fmt: skip


def test_nothing_of_theirs_runs_after_a_lock(world: World, leaver: str) -> None:
    """Whatever it is that hides, at once; saved uids too, under which somebody else could become them again."""
    uid, friend = pwd.getpwnam(leaver).pw_uid, pwd.getpwnam("dev").pw_uid
    become = f"import os, time; os.setgroups([]); os.setresuid({friend}, {friend}, {uid}); time.sleep(903)"
    saved = subprocess.Popen([SYSTEM_PYTHON, "-c", become])
    for argv in HIDING.values():
        left_running(leaver, *argv)
    until("all of it runs", lambda: len(commands_of(uid)) >= len(HIDING))
    time.sleep(0.8)  # time to hide
    world.ok("POST", f"users/{leaver}/lock")
    assert commands_of(uid) == []
    assert saved.poll() is not None
    assert shadow_line(leaver)[1].startswith("!")


@pytest.mark.parametrize("ending", ["lock", "leave", "expire", "DELETE", "end"])
def test_a_loop_of_docker_run_ends_with_the_access(world: World, leaver: str, ending: str) -> None:
    """Four shells that start containers as fast as they can: nothing of it comes after the end, and nothing is left of who is removed."""
    script = "for n in $(seq 999); do docker run -d --restart always --name $0-$n -v v$0-$n:/v alpine sleep 999; done"
    environ = {"DOCKER_HOST": "unix:///run/docker.sock"}
    for shell in range(4):
        call = process_of(leaver, ["bash", "-c", script, f"{leaver}{shell}"], environ=environ)
        subprocess.Popen(**call, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until("they run", lambda: len(world.labelled(leaver)) > 4)
    if ending == "DELETE":
        world.ok("DELETE", f"users/{leaver}?archive=false")
    elif ending == "end":
        world.ok("POST", f"cohorts/{leaver}/end", {"archive": False})
    else:
        world.ok("POST", f"users/{leaver}/{ending}")
    found = world.labelled(leaver)
    if ending in ("DELETE", "end"):
        assert found == set()
        assert leaver not in Path("/etc/passwd").read_text()
    time.sleep(1.5)
    assert world.labelled(leaver) == found


# -- keys and homes ------------------------------------------------------------------------------------------

KEY_FILES: Final = {
    "a link to shadow": "mkdir .ssh; ln -s /etc/shadow .ssh/authorized_keys",
    "a folder that is a link": "ln -s /etc .ssh; ln -s /etc/shadow authorized_keys",
    "a folder of somebody else": "ln -s /home/dev .ssh",
    "a pipe": "mkdir .ssh; mkfifo .ssh/authorized_keys",
    "a folder": "mkdir -p .ssh/authorized_keys/x",
    "too large": "mkdir .ssh; truncate -s 2T .ssh/authorized_keys || truncate -s 9G .ssh/authorized_keys",
    "a socket": "mkdir .ssh; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\".ssh/authorized_keys\")'",
    "a hard link": "mkdir .ssh; echo mine >x; ln x .ssh/authorized_keys",
    "forbidden to oneself": "mkdir -m 000 .ssh",
    "swapped": "nohup bash -c 'while :; do mkdir .ssh; rm -r .ssh; ln -s /etc .ssh; rm .ssh; ln -s /home/dev .ssh; rm .ssh; done' >/dev/null 2>&1 &",
}


def owned(*roots: str) -> dict[str, tuple[int, int, int, int]]:
    """Return owner, mode and size of everything there."""
    found = {}
    for root in roots:
        for folder, folders, names in os.walk(root):
            for name in (*folders, *names, "."):
                path = os.path.join(folder, name)
                seen = os.lstat(path)
                found[path] = (seen.st_uid, seen.st_gid, seen.st_mode, seen.st_size if stat.S_ISREG(seen.st_mode) else 0)
    return {path: what for path, what in found.items() if not path.startswith(("/etc/passwd", "/etc/.pwd", "/etc/shadow-", "/etc/subuid"))}


@pytest.mark.parametrize("form", KEY_FILES)
def test_keys_are_written_nowhere_else(world: World, leaver: str, form: str) -> None:
    """Root writes into a folder of the student: into that, or not at all; and nobody else's row waits for it."""
    typed(leaver, f"cd; {KEY_FILES[form]}")
    before = owned("/etc", "/home/dev"), Path("/etc/shadow").read_bytes()
    rows = f"login,ssh key\n{leaver},{KEY}\n".encode()
    for _ in range(4 if form == "swapped" else 1):
        plan = world.ok("POST", f"rosters?filename={leaver}.csv", rows)["id"]
        status, told = world.call("POST", f"rosters/{plan}/apply")
        assert status in (200, 409, 500), told
    assert owned("/etc", "/home/dev") == before[0]
    assert Path("/etc/shadow").read_bytes() == before[1]
    if form == "a hard link":
        assert Path(f"/home/{leaver}/x").read_text() == "mine\n"
    world.ok("DELETE", f"users/{leaver}?archive=false")
    assert owned("/etc", "/home/dev").keys() == before[0].keys()


HOME: Final = """
cd; mkdir -m 777 a; ln -s /etc a/etc; ln -s /home/dev dev; ln -s / root; mkfifo pipe; truncate -s 900G sparse
ln -s /etc/shadow shadow; ln -s loop loop; touch -- '--checkpoint-action=exec=touch pwned' '--checkpoint=1' '-rf' $'new\\nline' $'\\033[31mred'
cp /bin/sleep setuid; chmod 6755 setuid; chmod 000 a; mkdir -p deep; cd deep
python3 -c 'import os
for _ in range(2500): os.mkdir("d"); os.chdir("d")'
for place in /tmp /var/tmp /dev/shm; do mkdir -m 777 $place/of-them; cp /bin/sleep $place/of-them/setuid; chmod 6755 $place/of-them/setuid; done
"""


def test_a_home_full_of_traps_is_measured_archived_and_removed(world: World, leaver: str) -> None:
    """Nothing of anybody else's goes into the archive or away; neither sparse nor deep nor named like an option holds it up."""
    typed(leaver, HOME)
    uid = pwd.getpwnam(leaver).pw_uid
    before = owned("/etc", "/home/dev")
    begun = time.monotonic()
    assert world.ok("GET", f"cohorts/{leaver}")["students"][0]["disk"] < 100 << 20
    done = world.ok("DELETE", f"users/{leaver}")
    assert time.monotonic() - begun < 30
    assert not os.path.lexists(f"/home/{leaver}")
    assert owned("/etc", "/home/dev").keys() == before.keys()
    assert not list(Path("/").glob("pwned")) + list(Path("/home").glob("pwned"))
    archive = Path(done["archive"]["path"])
    assert (archive.stat().st_uid, stat.S_IMODE(archive.stat().st_mode)) == (0, 0o600)
    names = subprocess.run(["tar", "-tzvf", archive], capture_output=True, text=True, check=True).stdout.splitlines()
    assert not [line for line in names if "/passwd" in line or " dev/" in line]
    assert [line for line in names if "shadow -> /etc/shadow" in line]
    for place in ("/tmp", "/var/tmp", "/dev/shm"):
        found = subprocess.run(["find", place, "-xdev", "-uid", str(uid)], capture_output=True, text=True, check=True).stdout
        assert found == "", place


def test_a_volume_of_traps_does_not_stop_the_reset_of_others(world: World, leaver: str) -> None:
    """A deep tree and a huge hole in a volume of one: the reset takes the things of both away, and brings those of the other back."""
    world.apply(leaver, leaver, "honest")
    deep = "i=0; cd /v; truncate -s 900G hole; ln -s /etc/passwd link; while [ $i -lt 1500 ]; do mkdir d; cd d; i=$((i+1)); done"
    Student(leaver).ok("run", "--name", "deep", "-v", "deepv:/v", "alpine", "sh", "-c", deep)
    Student("honest").ok("run", "--name", "plain", "-v", "plainv:/v", "alpine", "sh", "-c", "echo work >/v/file")
    status, told = world.call("POST", f"cohorts/{leaver}/reset", {})
    assert status == 200, told
    assert world.labelled("honest") == set()
    status, told = world.call("POST", f"cohorts/{leaver}/reset/undo", {})
    assert status == 200, told
    assert {"/plain", "plainv"} <= world.labelled("honest")
    assert (Path("/mnt/docker/data/volumes/plainv/_data/file")).read_text() == "work\n"
    world.ok("POST", f"cohorts/{leaver}/end", {"archive": False})


# -- what is not for students ---------------------------------------------------------------------------------


def test_snapshots_of_a_reset_are_nobodys(world: World) -> None:
    """Neither listed, nor used, named, saved, built on or removed: by tag, by id, by prefix; nor by whom they are of."""
    Student("eve").ok("run", "-d", "--name", "secretive", "-e", "TOKEN=planted-secret", "alpine", "sh", "-c", "echo planted >/f; sleep 999")
    until("it has written", lambda: Student("eve").docker("exec", "secretive", "cat", "/f").stdout == "planted\n")
    world.ok("POST", "cohorts/bb/reset", {})
    [image] = [i for i in world.eye.get("/images/json") if any("hostadmin-reset/" in t for t in i["RepoTags"] or [])][:1]
    tag, full = image["RepoTags"][0], image["Id"]
    tags = world.eye.tags()
    for login in ("eve", "dev"):
        student = Student(login)
        for listing in (["images", "-a"], ["images", "-aq", "--no-trunc"], ["system", "df", "-v"]):
            shown = student.ok(*listing)
            assert "hostadmin-reset" not in shown
            assert full not in shown
        for ref in (tag, full, full[7:], full[7:19], tag.replace("hostadmin-reset", "docker.io/library/hostadmin-reset")):
            for argv in (["run", "--rm", ref, "cat", "/f"], ["save", ref], ["inspect", ref], ["history", ref], ["tag", ref, f"{login}/x"],
                         ["rmi", ref], ["push", ref], ["create", ref], ["tag", "alpine", ref]):  # fmt: skip
                done = student.docker(*argv)
                assert done.returncode != 0, (login, argv, done.stdout)
                assert "planted" not in done.stdout + done.stderr
            built = subprocess.run(
                **process_of(login, ["docker", "build", "-"], environ={"DOCKER_HOST": "unix:///run/docker.sock", "DOCKER_BUILDKIT": "0"}),
                input=f"FROM {ref}\nRUN cat /f\n", capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip
            assert built.returncode != 0, (login, ref, built.stdout)
            assert "planted" not in built.stdout
    assert world.eye.tags() == tags
    world.ok("POST", "cohorts/bb/reset/undo", {})
    assert "planted-secret" in Student("eve").ok("inspect", "secretive")


PRIVATE: Final = (
    *("/run/hostadmin/notices/dev", "/run/hostadmin/secrets", "/var/lib/hostadmin/homes"),
    *(str(STATE / "db" / "hostadmin.db"), str(STATE / "db" / "resets"), "/mnt/docker/data", "/dev/shm/hostadmin-secrets"),
)
MAKING: Final = (
    *("/home/next", "/run/hostadmin/x", "/run/hostadmin/notices/x", "/run/hostadmin/secrets/x", "/var/lib/hostadmin/x"),
    *("/etc/profile.d/x.sh", "/var/mail/../mail/../spool/cron/crontabs/x", str(STATE / "db" / "x"), "/etc/passwd.lock"),
)
LOOK: Final = """
import os, sys
for path in sys.argv[2:]:
    if sys.argv[1] == "read":
        try:
            print(path, os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(9))
        except OSError as e:
            pass
    else:
        for make in (os.mkdir, lambda p: os.symlink("/etc/shadow", p), lambda p: open(p, "w"), lambda p: os.link("/etc/hostname", p)):
            try:
                make(path); print("made", path)
            except OSError:
                pass
"""


def test_private_places_are_private(world: World) -> None:
    """Notices, secrets, archives, the database, homes of who is to come: neither read nor made beforehand by a student."""
    world.ok("PATCH", "users/dev", {"expires": time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86400))})
    world.hostadmin.run("job", "run", "expiry")
    assert Path("/run/hostadmin/notices/dev").exists()
    for what, paths in (("read", PRIVATE), ("make", MAKING)):
        done = subprocess.run(
            **process_of("ashu", [SYSTEM_PYTHON, "-c", LOOK, what, *paths]), capture_output=True, text=True, check=False, timeout=30
        )
        assert (done.stdout, done.stderr) == ("", ""), what
    world.ok("PATCH", "users/dev", {"expires": None})
