"""Against classes, as a trainer who mistypes, somebody who hands in a roster, or a student at the API's door.

Everything is tried for real on a disposable host, and judged there: files, owners, what the engine has.
"""

import json
import os
import pwd
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from hostadmin.upkeep.cleanup import JOB
from tests.integration.accounts import shadow_line
from tests.integration.attackworld import API, KEY, LOOP, World, make_leaver, make_world
from tests.integration.people import SYSTEM_PYTHON, Student, process_of

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


# -- plans in the wrong place ----------------------------------------------------------------------


def test_a_plan_is_carried_out_for_its_cohort_alone(world: World) -> None:
    """One confirms the things of one class; the id of another's plan must not take theirs away, bring back, or end them."""
    Student("eve").ok("run", "-d", "--name", "evec", "alpine", "sh", "-c", LOOP)
    of_bb = world.ok("POST", "cohorts/bb/reset/plan")["id"]
    status, told = world.call("POST", "cohorts/aa/reset", {"plan": of_bb})
    assert (status, "is not one of aa" in told["detail"]) == (409, True)
    assert "/evec" in world.labelled("eve")
    world.ok("POST", "cohorts/bb/reset", {"plan": of_bb})
    assert "/evec" not in world.labelled("eve")
    assert world.call("POST", "cohorts/aa/reset/undo", {"plan": of_bb})[0] == 409
    assert world.call("POST", "cohorts/aa/reset/undo", {})[0] == 404
    assert "/evec" not in world.labelled("eve")
    world.ok("POST", "cohorts/bb/reset/undo", {"plan": of_bb})
    assert "/evec" in world.labelled("eve")
    assert world.call("POST", "cohorts/aa/end", {"plan": world.ok("POST", "cohorts/bb/end/plan")["id"]})[0] == 409
    assert [world.state(x) for x in ("ashu", "dev", "eve", "kim")] == ["active"] * 4


def test_a_plan_of_one_kind_is_none_of_another(world: World) -> None:
    """Every id at every door that is not its own: refused, and nothing is done."""
    plans = {
        "roster": world.plan("aa", "ashu", "dev", "later")["id"],
        "reset": world.ok("POST", "cohorts/aa/reset/plan")["id"],
        "end": world.ok("POST", "cohorts/aa/end/plan")["id"],
        "cleanup": world.ok("POST", f"cleanup/{JOB}/plan")["id"],
        "path": "..%2f..%2fhealthz",
        "newline": "x%0aforged",
    }
    doors: dict[str, Callable[[str], tuple[int, Any]]] = {
        "roster": lambda one: world.call("POST", f"rosters/{one}/apply"),
        "roster undo": lambda one: world.call("POST", f"rosters/{one}/undo"),
        "roster show": lambda one: world.call("GET", f"rosters/{one}"),
        "reset": lambda one: world.call("POST", "cohorts/aa/reset", {"plan": one}),
        "reset undo": lambda one: world.call("POST", "cohorts/aa/reset/undo", {"plan": one}),
        "end": lambda one: world.call("POST", "cohorts/aa/end", {"plan": one}),
        "cleanup": lambda one: world.call("POST", f"cleanup/{JOB}/run", {"plan": one}),
    }
    answers = {(kind, door): ask(one)[0] for kind, one in plans.items() for door, ask in doors.items() if kind != door.split()[0]}
    assert {pair: status for pair, status in answers.items() if status not in (404, 405)} == {}
    assert [world.state(x) for x in ("ashu", "dev", "later")] == ["active", "active", ""]


def test_who_is_of_another_cohort_by_now_is_not_ended(world: World) -> None:
    """Planned with somebody who was removed since and returned in another class: neither end nor undo touch them."""
    applied = world.apply("one", "mover", "stayer")["id"]
    plan = world.ok("POST", "cohorts/one/end/plan")["id"]
    world.ok("DELETE", "users/mover?archive=false")
    world.apply("two", "mover")
    world.ok("POST", f"rosters/{applied}/undo")
    assert (world.state("mover"), world.state("stayer")) == ("active", "")
    world.apply("one", "stayer")
    assert world.call("POST", "cohorts/one/end", {"plan": plan})[0] == 409, "the class is another one of that name"
    plan = world.ok("POST", "cohorts/two/end/plan")["id"]
    world.ok("DELETE", "users/mover?archive=false")
    world.apply("one", "stayer", "mover")
    world.ok("POST", "cohorts/two/end", {"plan": plan})
    assert (world.state("mover"), world.state("stayer")) == ("active", "active")
    world.ok("POST", "cohorts/one/end", {"archive": False})


def test_apply_undo_and_end_at_once(world: World) -> None:
    """Whoever is still there afterwards belongs to a class that is; a plan is carried out once."""
    for number in range(4):
        logins = [f"race{number}{n}" for n in range(4)]
        world.apply("race", logins[0])
        plan = world.plan("race", *logins)["id"]
        doors = [f"rosters/{plan}/apply", f"rosters/{plan}/apply", "cohorts/race/end", *([f"rosters/{plan}/undo"] if number % 2 else [])]
        bodies = [None, None, {"archive": False}, *([None] if number % 2 else [])]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda one: world.call("POST", *one)[0], zip(doors, bodies, strict=True)))
        assert sorted(found[:2])[1] >= 400, "one of the two applies"
        orphans = "SELECT login FROM users u JOIN cohorts c ON c.id = u.cohort_id WHERE c.state = 'ended' AND u.removed_at IS NULL"
        assert world.rows(orphans) == []
        if world.call("GET", "cohorts/race")[0] == 200:
            world.call("POST", "cohorts/race/end", {"archive": False})
        assert [x for x in logins if world.state(x)] == []
        known = Path("/etc/passwd").read_text()
        assert [x for x in logins if f"\n{x}:" in known] == []


# -- giving back more than there was --------------------------------------------------------------


@pytest.mark.parametrize("before", ["locked", "expired", "waiting", "active"])
@pytest.mark.parametrize("way", ["undo", "roster"])
def test_a_leave_that_is_taken_back_gives_what_was_there(world: World, before: str, way: str) -> None:
    """Who was locked does not come back by being taken off the roster and put on it again."""
    world.apply("back", "rosa", "stay", **({"starts": "2099-01-01"} if before == "waiting" else {}))
    if before != "active":
        world.ok("POST", f"users/rosa/{'expire' if before == 'expired' else 'lock'}") if before != "waiting" else None
    was = world.state("rosa")
    cells = {"starts": "2099-01-01"} if before == "waiting" else {}
    left = world.apply("back", "stay", **cells)
    assert world.state("rosa") == "leaving"
    if way == "undo":
        world.ok("POST", f"rosters/{left['id']}/undo")
    else:
        world.apply("back", "rosa", "stay", **cells)
    assert world.state("rosa") == was == {"waiting": "locked"}.get(before, before)
    hashed, expiry = shadow_line("rosa")[1], shadow_line("rosa")[7]
    assert (hashed[0] == "!", expiry == "1") == ((before != "active",) * 2)
    assert (Student("rosa").docker("ps").returncode == 0) == (before == "active")
    world.ok("POST", "cohorts/back/end", {"archive": False})


def test_a_reset_is_not_undone_for_somebody_who_is_gone(world: World, leaver: str) -> None:
    """Nothing comes back under an account that is removed: nobody would see it, or take it away."""
    student = Student(leaver)
    student.ok("network", "create", "lostnet")
    student.ok("run", "-d", "--name", "lost", "--network", "lostnet", "-v", "lostvol:/v", "alpine", "sh", "-c", LOOP)
    world.ok("POST", f"cohorts/{leaver}/reset", {})
    assert world.labelled(leaver) == set()
    for gone in (("POST", f"users/{leaver}/leave"), ("DELETE", f"users/{leaver}?archive=false")):
        world.ok(*gone)
        done = world.ok("POST", f"cohorts/{leaver}/reset/undo", {})
        assert {(i["status"], i["message"]) for i in done["items"]} == {
            ("removed", f"its account is {world.newest(leaver)}: nothing of it may run")
        }
        assert world.labelled(leaver) == set()
    world.apply(leaver, leaver)
    world.ok("POST", f"cohorts/{leaver}/reset/undo", {})
    assert world.labelled(leaver) == {"/lost", "lostnet", "lostvol"}, "the same person with the same numbers has returned"


# -- the API ------------------------------------------------------------------------------------------------

SPEAK: Final = """
import http.client, json, socket, sys
found = []
for method, path, kind, size in json.load(sys.stdin):
    c = http.client.HTTPConnection("x", timeout=30); c.sock = socket.socket(socket.AF_UNIX); c.sock.connect(sys.argv[1])
    try:
        c.putrequest(method, path); c.putheader("Content-Type", kind); c.putheader("Content-Length", str(size)); c.endheaders()
        left = size
        while left > 0:
            c.sock.sendall(b"{" * min(left, 1 << 20)); left -= 1 << 20
    except OSError:
        pass
    try:
        a = c.getresponse(); found.append([a.status, a.read(2000).decode("utf-8", "replace")])
    except (OSError, http.client.HTTPException) as e:
        found.append([0, repr(e)])
print(json.dumps(found))
"""


def test_no_door_of_the_api_is_open_to_students(world: World) -> None:
    """Every path of classes and users with every method, odd paths, kinds and sizes: refused, and nothing is said of anybody."""
    known = world.ok("GET", "openapi.json")["paths"]
    paths = [
        p.format(login="dev", name="aa", plan="x", ref="x")
        for p in known
        if any(x in p for x in ("/users", "/rosters", "/cohorts", "/access"))
    ]
    assert len(paths) > 20
    methods = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE")
    asks = [(method, path, "application/json", 0) for path in paths for method in methods]
    odd = ("/api/v1//cohorts", "/api/v1/cohorts/", "/api/v1/cohorts/..%2fusers", "/api/v1/COHORTS", "/api/v1/./cohorts/aa", "/api/v1/cohorts/aa%00",
           "/api/v1/me/../cohorts/aa", "/api/v1/cohorts;/aa", "//api/v1/cohorts/aa", "http://x/api/v1/cohorts/aa", "/api/v1/users/dev?x=%0d%0aA:b")  # fmt: skip
    asks += [("GET", path, "text/plain", 0) for path in odd]
    asks += [("POST", path, kind, size) for path in ("/api/v1/rosters?filename=x.csv", "/api/v1/cohorts/aa/cards", "/api/v1/users")
             for kind in ("text/csv", "multipart/form-data; boundary=x", "application/json", "x") for size in (7, 300 << 20)]  # fmt: skip
    memory = rss(world.hostadmin.part("service"))
    speak = process_of("ashu", [SYSTEM_PYTHON, "-c", SPEAK, API])
    done = subprocess.run(**speak, input=json.dumps(asks), capture_output=True, text=True, check=True, timeout=120)
    for ask, (status, text) in zip(asks, json.loads(done.stdout), strict=True):
        assert status in (0, 400, 403, 404, 405, 413, 422), (ask, status, text)
        assert not any(word in text for word in ("kim", '"login"', "steps", "student")), (ask, text)
        assert status != 422 or "users" in ask[1] or ask[3], (ask, text)
    assert rss(world.hostadmin.part("service")) - memory < 60 << 20
    assert [world.state(x) for x in ("ashu", "dev", "eve", "kim")] == ["active"] * 4


def rss(pid: int) -> int:
    """Return the memory that a process has, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


NAMES: Final = (
    *("=cmd|' /C calc'!A0", "@SUM(1+1)*cmd", "+1", "-1", "$(touch /pwned)", "`touch /pwned`", "%s%s%n", "${IFS}", "a;touch /pwned", "|touch /pwned"),
    *("<script>alert(1)</script>", '"><img src=x onerror=y>', "{{7*7}}", "{login}", "&amp;", "' OR 1=1 --", "a,b,c,d", "Zoë Ünï", "--help", "\\x1b[31m"),
)  # fmt: skip


def test_names_are_names(world: World) -> None:
    """Formulas, shell, format strings and markup in a name: on the card and in passwd as they are, never carried out."""
    rows = [f'nm{n:02},"{name.replace(chr(34), chr(34) * 2)}"' for n, name in enumerate(NAMES)]
    file = Path("/mnt/names.csv")
    file.write_text("login,name\n" + "\n".join(rows) + "\n")
    done = world.hostadmin.run("roster", "apply", str(file), "--yes")
    assert done.returncode == 0, done.stderr
    comments = {a.pw_name: a.pw_gecos for a in pwd.getpwall()}
    assert [comments[f"nm{n:02}"] for n in range(len(NAMES))] == [name.replace(",", " ") for name in NAMES]
    assert not Path("/pwned").exists()
    cards = world.ok("POST", "cohorts/names/cards", {})["html"]
    assert "<script>" not in cards
    assert "<img" not in cards
    shown = world.hostadmin.run("cohort", "show", "names").stdout
    assert all(c.isprintable() or c == "\n" for c in done.stdout + shown)
    assert "nothing to do" in world.hostadmin.run("roster", "apply", str(file), "--yes").stdout
    world.ok("POST", "cohorts/names/end", {"archive": False})


REFUSED: Final = {
    "an escape in a name": b"login,name\nx1,\x1b[31mred\n",
    "an override of direction": "login,name\nx1,a\u202eb\n".encode(),
    "a look-alike": "login\nr\u043eot\n".encode(),
    "root": b"login\nroot\n",
    "somebody else's": b"login\nx1\nx1\n",
    "of another cohort": b"login\ndev\n",
    "a group by number": b"login,groups\nx1,0\n",
    "sudo": b"login,groups\nx1,sudo\n",
    "docker by group": b"login,groups\nx1,docker\n",
    "somebody's own group": b"login,groups\nx1,dev\n",
    "a key with a command": f'login,ssh key\nx1,"command=""id"" {KEY}"\n'.encode(),
    "a colon": b"login,name\nx1,a:0:0\n",
    "an account of the system": b"login\nnobody\n",
    "a field of its own": b"login,uid\nx1,0\n",
    "a home of its own": b"login,home,shell\nx1,/etc,/bin/sh\n",
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_malicious_roster_is_refused(world: World, what: str) -> None:
    """With a reason, as a whole, adopting or not; what is said of it can be printed."""
    before = Path("/etc/passwd").read_bytes(), Path("/etc/group").read_bytes()
    for adopt in ("", "&adopt=true"):
        status, told = world.call("POST", f"rosters?filename=evil.csv{adopt}", REFUSED[what])
        assert status in (400, 409, 422), told
        file = Path("/mnt/evil.csv")
        file.write_bytes(REFUSED[what])
        said = world.hostadmin.run("roster", "apply", str(file), "--yes", *(["--adopt"] if adopt else []))
        assert said.returncode == 1
        assert all(c.isprintable() or c == "\n" for c in said.stdout + said.stderr)
    assert (Path("/etc/passwd").read_bytes(), Path("/etc/group").read_bytes()) == before


@pytest.mark.parametrize("name", ["\x1b[2Jx.csv", "a\nb.csv", "../../etc/x.csv", "x" * 200 + ".csv", "$(touch /pwned).csv"])
def test_a_file_s_name_is_printed_and_nothing_else(world: World, name: str) -> None:
    """The name of a roster's file is somebody else's text too."""
    file = Path("/mnt") / name.replace("/", "_")
    file.write_text("login\nfilename1\n")
    told = world.hostadmin.run("roster", "plan", str(file), "--cohort", "odd")
    listed = world.hostadmin.run("roster", "list")
    assert all(c.isprintable() or c == "\n" for c in told.stdout + told.stderr + listed.stdout + listed.stderr)
    assert not Path("/pwned").exists()
    file.unlink()
