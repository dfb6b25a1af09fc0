"""The class day end to end: seven Linux users, the real docker CLIs, docker-compose and docker-py.

Judged by the log's own outcomes (``theday.py``) and by what the engine, the host and the ledger hold
afterwards, looked at past hostadmin.
"""

import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.classday import NEW_CLI, OLD_CLI, Person
from tests.integration.people import Student, copy_sdk
from tests.integration.stage import ROOT, Engine, Hostadmin, make_stage, until
from tests.integration.theday import GOODBYE, REVOKED, STUDENTS, THE_DAY, Step

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]
HERE = Path(__file__).parent
VENV_BIN = str(ROOT / ".venv" / "bin")
FIRST = STUDENTS[:2]  # one after the other; all seven are there at once


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Engine, Hostadmin]]:
    """An engine with the day's images, hostadmin in front, and no students yet."""
    with make_stage() as made:
        yield made


def trainer_makes_the_class(hostadmin: Hostadmin) -> None:
    """The log's shell loop: seven accounts, a password each, nobody in the group yet."""
    for login in STUDENTS:
        assert hostadmin.run("user", "add", login).returncode == 0
        done = hostadmin.run("user", "passwd", login, stdin="Oracle098#\n")
        assert done.returncode == 0, done.stderr
        assert hostadmin.run("access", "revoke", login).returncode == 0


def persons(hostadmin: Hostadmin, logins: tuple[str, ...] = STUDENTS, *, swap: bool = False) -> list[Person]:
    """Return the students, old and new CLI in turns."""
    paths = [NEW_CLI, OLD_CLI] if swap else [OLD_CLI, NEW_CLI]
    environ = {"HOSTADMIN_CONFIG": str(hostadmin.config)}
    return [Person(login, path=paths[n % 2], trainer_path=VENV_BIN, trainer_environ=environ) for n, login in enumerate(logins)]


def judge_that_all_is_gone(engine: Engine, hostadmin: Hostadmin) -> None:
    """Nothing of anybody is left, and the ledger and the audit know it."""
    assert not [n for n in engine.eye.containers().values() if n.startswith(STUDENTS)]
    assert not [n for n in engine.eye.networks().values() if n.startswith(STUDENTS)]
    assert not [v for v in engine.eye.volumes() if v.startswith(STUDENTS)]
    assert not [t for t in engine.eye.tags() if t.startswith(STUDENTS)]
    until(
        "the ledger holds no container of theirs",
        lambda: not hostadmin.rows("select ref from objects where kind != 'image' and gone_at is null and owner_id is not null"),
    )
    until("no record is without an outcome", lambda: not hostadmin.rows("select * from audit_open"))


class Watch:
    """Notes what ``docker rm $(docker ps -aq) -f`` of one student takes away from the engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.before: dict[str, str] = {}
        self.seen = 0

    def begin(self, person: Person, step: Step) -> None:
        """Look before each step."""
        if step.typed.startswith("docker  rm  $("):
            self.before = self.engine.eye.containers()

    def end(self, person: Person, step: Step) -> None:
        """Judge after it: exactly the student's own containers have gone."""
        if step.typed.startswith("docker  rm  $("):
            gone = {n for i, n in self.before.items() if i not in self.engine.eye.containers()}
            own = {n for n in self.before.values() if n.startswith(person.login)}
            assert gone == own, (person.login, gone, own)
            self.seen += 1


def test_one_after_the_other(stage: tuple[Engine, Hostadmin]) -> None:
    """A whole day with either CLI, the second while the first one's containers, networks and volumes are still there."""
    engine, hostadmin = stage
    trainer_makes_the_class(hostadmin)
    watch = Watch(engine)
    everybody = persons(hostadmin, FIRST)
    try:
        for person in everybody:
            person.on_begin, person.on_end = watch.begin, watch.end
            person.play(THE_DAY)
        judge_side_by_side(engine, hostadmin, FIRST)
        for person in everybody:
            person.play(GOODBYE)
        assert watch.seen == 2 * len(FIRST)
        judge_that_all_is_gone(engine, hostadmin)
        for person in everybody:
            person.play(REVOKED)
    finally:
        for person in everybody:
            person.close()


def judge_side_by_side(engine: Engine, hostadmin: Hostadmin, logins: tuple[str, ...]) -> None:
    """At the end of the day everybody has the same, on the engine and in the ledger."""
    for login in logins:
        wanted = {f"{login}{what}" for what in ("c1", "c2", "c3", "c4", "x1", "p1", "w2", "log")}
        assert {n for n in engine.eye.containers().values() if n.startswith(login)} == wanted
        assert {n for n in engine.eye.networks().values() if n.startswith(login)} == {f"{login}br1", f"{login}br2"}
        assert {v for v in engine.eye.volumes() if v.startswith(login)} == {f"{login}data"}
        owned = "select o.name from objects o join users u on u.id = o.owner_id where u.login = ? and o.gone_at is null and o.kind = ?"
        until(
            f"the ledger has what {login} has",
            lambda wanted=wanted, login=login: {n for (n,) in hostadmin.rows(owned, login, "container")} == wanted,
        )
        assert {n for (n,) in hostadmin.rows(owned, login, "network")} == {f"{login}br1", f"{login}br2"}
        assert engine.eye.container(f"{login}x1")["RestartCount"] == 1
        assert engine.eye.container(f"{login}c2")["HostConfig"]["RestartPolicy"]["Name"] == "always"
        assert set(Student(login).ok("ps", "-a", "--format", "{{.Names}}").split()) == wanted


def test_all_at_once(stage: tuple[Engine, Hostadmin]) -> None:
    """The seven side by side, each with the other CLI than before."""
    engine, hostadmin = stage
    trainer_makes_the_class(hostadmin)
    everybody = persons(hostadmin, swap=True)
    failures = play_in_parallel(everybody)
    try:
        assert not failures, "\n".join(failures)
        judge_that_all_is_gone(engine, hostadmin)
    finally:
        for person in everybody:
            person.close()


def play_in_parallel(everybody: list[Person]) -> list[str]:
    """Play the whole day with a thread per student; return what went wrong."""
    failures: list[str] = []

    def day(person: Person) -> None:
        try:
            person.play(THE_DAY + GOODBYE)
        except Exception:  # noqa: BLE001  # told by the test
            failures.append(f"{person.login}: {traceback.format_exc()}")

    threads = [threading.Thread(target=day, args=(person,)) for person in everybody]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


@pytest.mark.parametrize("sdk", ["locked", "debian"])
def test_docker_py(stage: tuple[Engine, Hostadmin], tmp_path_factory: pytest.TempPathFactory, sdk: str) -> None:
    """The same through docker-py: the locked version, and Debian's (docker-compose 1.29's own)."""
    engine, hostadmin = stage
    if sdk == "debian" and not Path("/usr/lib/python3/dist-packages/docker").is_dir():
        pytest.skip("Debian's python3-docker is not installed")
    for login in STUDENTS[:3]:
        assert hostadmin.run("user", "add", login, "--docker").returncode == 0
    other = Student(STUDENTS[0])
    other.ok("run", "-itd", "--name", "natrajsdk", "alpine")
    other.ok("network", "create", "natrajsdk")
    other.ok("volume", "create", "natrajsdk")
    place = copy_sdk(Path("/mnt/sdk")) if sdk == "locked" else None
    try:
        done = {s: Student(s).python(HERE / "sdk_day.py", s, "2", "natrajsdk", sdk=place) for s in STUDENTS[1:3]}
        for login, result in done.items():
            assert result.returncode == 0, (login, result.stdout, result.stderr)
            assert f"day of {login} done" in result.stdout
        assert set(engine.eye.containers().values()) == {"natrajsdk"}
        assert "natrajsdk" in engine.eye.volumes()
    finally:
        other.docker("rm", "-f", "natrajsdk")
        other.docker("network", "rm", "natrajsdk")
        other.docker("volume", "rm", "natrajsdk")
