"""The command line: what it sends for every command, how it ends, and what it never does."""

import http.server
import io
import json
import os
import socketserver
import subprocess
import sys
import threading

import click
import pytest

from hostadmin.cli import main
from hostadmin.cli.output import clean, size
from hostadmin.cli.root import root

HEAVY = ("fastapi", "uvicorn", "pydantic", "sqlalchemy", "alembic", "docker", "requests", "apscheduler", "passlib", "asyncio")
PROCESSES = {"serve", "guard", "service", "doctor", "version", "policy check"}
CLASSES = {  # test_classes.py
    *(f"roster {verb}" for verb in ("plan", "apply", "list", "show")),
    *(f"cohort {verb}" for verb in ("list", "show", "cards", "reset", "end")),
}
ID = "a" * 64
USER = {
    "login": "ashu", "uid": 2000, "name": "Ashu", "profile": "student", "state": "active", "docker": True, "expires": None,
    "home": "/home/ashu", "containers": 1, "networks": 0, "volumes": 0, "images": 0, "drift": [], "managed": True,
    "mail": "", "cohort": None, "groups": [], "starts": None, "archives": [],
}  # fmt: skip
OBJECT = {"kind": "container", "ref": ID, "name": "c1", "owner": "ashu", "attribution": "guard", "image": "alpine", "state": "running"}
INTERFACE = {"name": "eth0", "up": True, "mac": "02:42", "addresses": ["172.17.0.2/16"]} | {
    f"{way}_{count}": 7 for way in ("rx", "tx") for count in ("packets", "bytes", "errors", "dropped")
}
CONTAINER = OBJECT | {
    "command": ["sh"], "pid": 4711, "cgroup": "/docker/a", "restart_policy": "always", "restart_count": 3,
    "ports": {"80/tcp": ["0.0.0.0:8080"]}, "namespaces": {"net": {"id": 4026, "shared_with_host": False}}, "interfaces": [INTERFACE],
    "networks": {"bridge": {"address": "172.17.0.2", "gateway": "172.17.0.1"}},
    "mounts": [{"type": "volume", "source": "v", "target": "/v", "writable": True}],
}  # fmt: skip
NETWORK = OBJECT | {
    "driver": "bridge", "bridge": "br-1", "subnet": "172.18.0.0/24", "gateway": "172.18.0.1", "internal": False,
    "members": [{"container": "c1", "id": ID, "address": "172.18.0.2", "mac": "02:42", "owner": "ashu"}],
}  # fmt: skip
STEP = {"container": "c1", "id": ID, "owner": "ashu", "image": "alpine", "why": "stopped", "size": 1500, "status": "planned", "message": ""}
PLAN = {"id": "p1", "items": [STEP], "size": 1500}
RUN = {"job": "resync", "status": "ok", "trigger": "manual", "started_at": "t", "ended_at": "t", "detail": {}}
JOB = {"name": "resync", "trigger": "interval", "next_run": "t", "last_run": None, "description": "d"}
PROFILE = {
    "name": "student", "default": True, "restart_policies": ["no"], "restart_default": "no", "stopped_hours": 1,
    "description": "d", "ports": [1024, 65535],
}  # fmt: skip
RECORD = {
    "seq": 9, "ts": "2026-11-24T09:00:00.000000Z", "actor": {"uid": 0}, "actor_login": "root", "stage": "intent", "action": "user.add",
    "object_name": "ashu", "object_id": None, "decision": "allow", "status": None, "rule": None, "detail": {},
}  # fmt: skip
FINDING = {"name": "c1", "owner": "ashu", "finding": "corrected", "found": "always", "applied": "no", "at": "t", "reason": "r"}
ARCHIVE = {"path": "/a/ashu.tar.gz", "sha256": "b" * 64, "bytes": 4711, "note": "", "keep_until": "2026-12-26T10:00:00.000000Z"}
QUOTAS = [
    {"name": "containers", "used": 3, "limit": 50, "unit": "", "frees": "remove one"},
    {"name": "image_bytes", "used": 3000000, "limit": 0, "unit": "bytes", "frees": "remove one"},
]
ME = {"login": "ashu", "uid": 2000, "docker": True, "state": "active", "expires": None, "starts": None, "notice": None, "profile": PROFILE}


def page(*items):
    return {"items": list(items), "next": None}


# command line -> the calls that it makes (method, path, body, answer), in order
CALLS = {
    "user add ashu --name A --docker --expires 2027-01-31": [
        ("POST", "/users", {"login": "ashu", "name": "A", "profile": None, "docker": True, "expires": "2027-01-31"}, USER)
    ],
    "user list": [("GET", "/users", None, page(USER))],
    "user show ashu": [("GET", "/users/ashu", None, USER)],
    "user set ashu --profile trainer --expires never": [("PATCH", "/users/ashu", {"profile": "trainer", "expires": None}, USER)],
    "user lock ashu": [("POST", "/users/ashu/lock", None, USER)],
    "user unlock ashu": [("POST", "/users/ashu/unlock", None, USER)],
    "user expire ashu": [("POST", "/users/ashu/expire", None, USER)],
    "user expire ashu 2027-01-31": [("PATCH", "/users/ashu", {"expires": "2027-01-31"}, USER)],
    "user passwd ashu --password-stdin": [("PUT", "/users/ashu/password", {"password": "from stdin"}, None)],
    "user passwd ashu --reset": [("POST", "/users/ashu/password/reset", None, {"password": "budo-kife-ropi-tuve-47"})],
    "user remove ashu --yes": [
        ("GET", "/users/ashu", None, USER),
        ("DELETE", "/users/ashu?keep_home=false&archive=true", None, {"archive": ARCHIVE, "left": {}}),
    ],
    "user remove ashu --yes --no-archive": [
        ("GET", "/users/ashu", None, USER),
        ("DELETE", "/users/ashu?keep_home=false&archive=false", None, {"archive": None, "left": {"home_left": "as asked"}}),
    ],
    "user leave ashu": [("POST", "/users/ashu/leave", None, USER)],
    "user release ashu --yes": [("GET", "/users/ashu", None, USER), ("POST", "/users/ashu/release", None, USER)],
    "access grant ashu": [("PUT", "/access/ashu", None, USER)],
    "access revoke ashu": [("DELETE", "/access/ashu", None, None)],
    "access list": [("GET", "/access", None, page(USER))],
    "container show c1": [("GET", "/containers/c1", None, CONTAINER)],
    "network show n1": [("GET", "/networks/n1", None, NETWORK)],
    "volume show v1": [("GET", "/volumes/v1", None, OBJECT)],
    "image show reg.example:5000/a/b:1": [("GET", "/images/reg.example:5000%2Fa%2Fb:1", None, OBJECT)],
    "container start c1": [("POST", "/containers/c1/start", None, None)],
    "container stop c1": [("POST", "/containers/c1/stop", None, None)],
    "container restart c1": [("POST", "/containers/c1/restart", None, None)],
    "container restart-policy c1 on-failure:3": [("PUT", "/containers/c1/restart-policy", {"policy": "on-failure:3"}, None)],
    "owner set volume v1 ashu": [("PUT", "/volumes/v1/owner", {"login": "ashu"}, OBJECT)],
    "owner set volume v1 -": [("PUT", "/volumes/v1/owner", {"login": None}, OBJECT)],
    "policy list": [("GET", "/policies", None, page(PROFILE))],
    "policy show": [("GET", "/policies", None, page(PROFILE))],
    "policy show ashu": [("GET", "/policies/of/ashu", None, PROFILE | {"use": {"quotas": QUOTAS}})],
    "restart list": [("GET", "/restarts", None, page(FINDING))],
    "restart release c1": [("POST", "/restarts/c1/release", None, {"released": 1})],
    "cleanup plan": [("POST", "/cleanup/stopped-containers/plan", None, PLAN)],
    "cleanup run --plan p1": [("POST", "/cleanup/stopped-containers/run", {"plan": "p1"}, PLAN)],
    "cleanup run --yes": [
        ("POST", "/cleanup/stopped-containers/plan", None, PLAN),
        ("POST", "/cleanup/stopped-containers/run", {"plan": "p1"}, PLAN),
    ],
    "job list": [("GET", "/jobs", None, page(JOB))],
    "job run resync": [("POST", "/jobs/resync/run", None, RUN)],
    "job history resync": [("GET", "/jobs/history?name=resync", None, page(RUN))],
    "audit list --actor ashu --decision deny": [("GET", "/audit?actor=ashu&decision=deny&limit=100", None, page(RECORD))],
    "audit show 9": [("GET", "/audit/9", None, RECORD)],
    "me": [("GET", "/me", None, ME | {"quotas": QUOTAS})],
    "me whoami": [("GET", "/me", None, ME | {"quotas": QUOTAS})],
    "me quota": [
        (
            "GET",
            "/me/quota",
            None,
            {"profile": "student", "quotas": QUOTAS, "ports": [20000, 20003], "own_ports": [20000, 20003], "own_subnet": None},
        )
    ],
}
for _kind in ("container", "network", "volume", "image"):
    CALLS |= {
        f"{_kind} list --owner ashu": [("GET", f"/{_kind}s?owner=ashu", None, page(OBJECT))],
        f"{_kind} remove x --yes": [("DELETE", f"/{_kind}s/x", None, None)],
        f"me {_kind}s": [("GET", f"/me/{_kind}s", None, page(OBJECT))],
    }


def _parsed(body):
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body


SAID = {"user passwd ashu --reset": "the new password of ashu, to be changed at the next login; it is shown this once\n"}


class Api:
    """An API on a Unix socket that answers as told and remembers what it was asked."""

    def __init__(self, path):
        self.asked, self.answers = [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.asked.append((self.command, self.path.removeprefix("/api/v1"), _parsed(body)))
                status, data = outer.answers.pop(0)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_):
                pass

            def address_string(self):
                return ""

        self.server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def will(self, value, status=200):
        self.answers.append((status, value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()))


@pytest.fixture
def api(tmp_path, monkeypatch):
    monkeypatch.setenv("HOSTADMIN_API__SOCKET", str(tmp_path / "api.sock"))
    monkeypatch.delenv("HOSTADMIN_CONFIG", raising=False)
    made = Api(tmp_path / "api.sock")
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*argv, stdin="from stdin\n"):
        monkeypatch.setattr(sys, "argv", ["hostadmin", *argv])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    return call


def leaves(command=root, name=""):
    if isinstance(command, click.Group):
        if command.invoke_without_command and name:
            yield name, command
        for word, inner in command.commands.items():
            yield from leaves(inner, f"{name} {word}".strip())
    else:
        yield name, command


def test_every_command_is_in_the_table():
    tested = {" ".join(line.split()[:2]) for line in CALLS} | PROCESSES | CLASSES | {"audit tail"}
    assert {name for name, _ in leaves()} == tested


@pytest.mark.parametrize("line", CALLS)
def test_what_a_command_asks_and_prints(api, run, line):
    for *_, answer in CALLS[line]:
        api.will(answer)
    code, out, err = run(*line.split())
    assert (code, err) == (0, SAID.get(line, ""))
    assert api.asked == [tuple(call[:3]) for call in CALLS[line]]
    assert out.strip()


def test_a_removal_says_where_the_home_is(api, run):
    api.will(USER)
    api.will({"archive": ARCHIVE, "left": {"files_left": "find: x"}})
    _, out, _ = run("user", "remove", "ashu", "--yes")
    assert ARCHIVE["path"] in out
    assert ARCHIVE["sha256"] in out
    assert "kept until 2026-12-26" in out
    assert "left: find: x" in out


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ({"state": "active"}, "ashu is active\n"),
        ({"state": "locked"}, "locked as before: unlock it once more to open it\n"),
        ({"state": "active", "expires": "2026-12-01"}, "ashu is active, until 2026-12-01\n"),
        ({"state": "expired", "expires": "2026-11-01"}, "`hostadmin user set ashu --expires DATE` opens it\n"),
    ],
)
def test_what_an_unlock_leads_to(api, run, view, words):
    api.will(USER | view)
    assert run("user", "unlock", "ashu")[1].endswith(words)


def test_the_first_day_is_shown(api, run):
    api.will(USER | {"state": "locked", "starts": "2026-12-01"})
    assert "locked until 2026-12-01 (first day)" in run("user", "show", "ashu")[1]
    api.will(USER | {"state": "locked"})
    assert "locked until" not in run("user", "show", "ashu")[1]


def test_me_begins_with_the_notice(api, run):
    api.will(ME | {"quotas": QUOTAS, "notice": "Your access ends."})
    assert run("me")[1].startswith("Your access ends.\n\n")


READING = [
    n for n, _ in leaves() if n.split()[-1] in ("list", "show", "history", "plan", "doctor", "whoami", "tail") or n.startswith("me ")
]


@pytest.mark.parametrize("name", READING)
def test_everything_that_reads_takes_json(name):
    assert any("--json" in option.opts for option in dict(leaves())[name].params)


@pytest.mark.parametrize("line", [c for c in CALLS if " ".join(c.split()[:2]) in READING])
def test_json_is_what_the_api_gave(api, run, line):
    answer = CALLS[line][0][3]
    api.will(answer)
    code, out, _ = run(*line.split(), "--json")
    assert code == 0
    assert json.loads(out) in (answer, answer.get("items"), (answer.get("items") or [None])[0])


def test_the_host_side_view_is_readable(api, run):
    api.will(CONTAINER)
    _, out, _ = run("container", "show", "c1")
    for text in ("4711", "4026", "inet 172.17.0.2/16", "RX packets 7", "always (restarted 3 times)", "80/tcp <- 0.0.0.0:8080", "/docker/a"):
        assert text in out, text
    api.will(NETWORK)
    _, out, _ = run("network", "show", "n1")
    for text in ("172.18.0.0/24", "172.18.0.1", "172.18.0.2", "c1"):
        assert text in out, text


def test_a_problem_is_told_with_its_key(api, run):
    api.will({"type": "urn:hostadmin:user-not-found", "detail": "There is no account 'x'."}, 404)
    assert run("user", "show", "x") == (1, "", "hostadmin: There is no account 'x'. [user-not-found]\n")


@pytest.mark.parametrize("answer", [b"Internal Server Error", b"", b"[]", b'"x"', b"{}", b"\xff"])
def test_an_answer_that_is_no_problem_is_no_traceback(api, run, answer):
    api.will(answer, 500)
    code, out, err = run("user", "list")
    assert (code, out) == (1, "")
    assert err.startswith("hostadmin: The service answers 500")


def test_a_service_that_is_down_is_told_with_what_to_do(run, tmp_path):
    code, out, err = run("--socket", str(tmp_path / "none.sock"), "user", "list")
    assert (code, out) == (1, "")
    assert "hostadmin serve" in err


@pytest.mark.parametrize(
    "argv", [[], ["nothing"], ["user"], ["user", "show"], ["user", "list", "--nothing"], ["user", "show", ""], ["audit", "show", "x"]]
)
def test_wrong_usage_is_2(run, argv):
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert err


def test_a_wrong_configuration_is_2(run, tmp_path):
    file = tmp_path / "h.toml"
    file.write_text("[engine]\nsokcet = 1\n")
    code, _, err = run("--config", str(file), "user", "list")
    assert code == 2
    assert "engine.sokcet" in err


def test_bytes_that_are_no_text_reach_the_api_as_they_are(api, run):
    api.will({"type": "urn:hostadmin:x", "detail": "no"}, 404)
    api.will(page())
    assert run("user", "show", "\udcff")[0] == 1
    assert run("container", "list", "--owner", "\udcff")[0] == 0
    assert [path for _, path, _ in api.asked] == ["/users/%FF", "/containers?owner=%FF"]


def test_nothing_that_is_printed_can_forge_a_line(api, run):
    api.will(page(OBJECT | {"name": "a\n\x1b[31mroot"}))
    _, out, _ = run("container", "list")
    assert "\x1b" not in out
    assert len(out.splitlines()) == 2
    api.will({"type": "urn:hostadmin:x", "detail": "no\n\x1b[2J"}, 400)
    assert "\x1b" not in run("user", "show", "x")[2]


def test_cleanup_asks_before_it_removes(api, run):
    api.will(PLAN)
    code, out, err = run("cleanup", "run", stdin="n\n")
    assert code == 1
    assert "stopped" in out  # why
    assert "1.5kB" in out
    assert "nothing" in err
    assert len(api.asked) == 1


def test_a_password_comes_from_standard_input_only(api, run):
    api.will(USER)
    run("user", "add", "ashu", "--password-stdin", stdin="s3cret words\n")
    assert api.asked[0][2]["password"] == "s3cret words"
    assert not any("password" in str(o.opts) and not o.is_flag for _, c in leaves() for o in c.params if isinstance(o, click.Option))


def start(*argv, **more):
    return subprocess.run([sys.executable, "-m", "hostadmin", *argv], stderr=subprocess.PIPE, text=True, **more)


def test_the_client_imports_nothing_heavy():
    text = f"import sys; import hostadmin.cli.root; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", text], capture_output=True, text=True).stdout.strip() == "[]"


def test_a_closed_pipe_and_a_full_disk_are_no_tracebacks(api):
    reader, writer = os.pipe()
    os.close(reader)
    for count in (1, 2000):
        api.will(page(*[USER] * count))
        done = start("user", "list", stdout=writer)
        assert (done.returncode, done.stderr) == (1, "")
    os.close(writer)
    for count in (1, 2000):
        api.will(page(*[USER] * count))
        with open("/dev/full", "w") as full:
            done = start("user", "list", stdout=full)
        assert (done.returncode, done.stderr) == (1, "hostadmin: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize(("count", "text"), [(0, "0B"), (999, "999B"), (1500, "1.5kB"), (2_000_000, "2MB")])
def test_sizes(count, text):
    assert size(count) == text


@pytest.mark.parametrize(("value", "text"), [(None, "-"), ("", "-"), (True, "yes"), ([], "-"), (["a", "b"], "a, b"), ("a\tb", "a\\x09b")])
def test_cells(value, text):
    assert clean(value) == text
