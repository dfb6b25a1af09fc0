"""`hostadmin roster` and `hostadmin cohort`: what they send, what they print, and when they ask the API again."""

import json
import stat

import pytest

from tests.unit.cli.test_cli import api, page, run

__all__ = ["api", "run"]  # fixtures

STEP = {
    "action": "create", "login": "ashu", "name": "Ashu", "row": 1, "status": "planned", "message": "",
    "changes": [{"attribute": "docker", "old": None, "new": True}, {"attribute": "name", "old": "A", "new": "Ashu"}], "notes": ["returns"],
}  # fmt: skip
PLAN = {
    "id": "p1", "cohort": "linux-1", "file": "linux-1.csv", "rows": 2, "unchanged": 1, "warnings": ["pwck: x"], "continues": None,
    "created_at": "t", "applied_at": None, "begun": False, "undone_at": None, "counts": {"create": 1}, "steps": [STEP],
}  # fmt: skip
DONE = PLAN | {"applied_at": "t", "begun": True, "steps": [STEP | {"status": "done"}]}
NOTHING = PLAN | {"steps": [], "counts": {}}
STALE = {"type": "urn:hostadmin:plan-stale", "detail": "The host has changed since.", "status": 409, "title": "plan stale"}
COHORT = {
    "name": "linux-1", "state": "active", "profile": "student", "starts": None, "ends": "2026-12-24", "removes": False, "cards": 3,
    "users": 3, "created_at": "t", "ended_at": None,
}  # fmt: skip
STUDENT = {
    "login": "ashu", "name": "Ashu", "state": "active", "last_seen": None, "containers": 2, "running": 1, "restarts": 4, "disk": 5000,
    "quota": "containers 2/50",
}  # fmt: skip
KEPT = {"login": "dev", "removed_at": "t", "archive": "/a/dev.tar.gz", "sha256": "b" * 64, "bytes": 9, "keep_until": "2026-12-31"}
ITEM = {
    "kind": "container", "name": "c1", "id": "a" * 64, "owner": "ashu", "about": "alpine", "size": 5000, "recoverable": True, "note": "",
    "status": "planned", "message": "",
}  # fmt: skip
RESET = {
    "id": "r1", "items": [ITEM], "accounts": {"ashu": {"containers": 1, "networks": 0, "volumes": 0}}, "hours": 24, "until": None,
}  # fmt: skip
OWNS = {"login": "ashu", "containers": ["c1"], "networks": [], "volumes": ["v"], "images": 2}
END = {
    "id": "e1", "cohort": "linux-1",
    "steps": [
        {"action": "remove", "login": "ashu", "name": "Ashu", "home": "/home/ashu", "owns": OWNS, "status": "done", "message": ""},
        {"action": "release", "login": "dev", "name": "", "home": "/home/dev", "owns": OWNS, "status": "done", "message": ""},
    ],
}  # fmt: skip


@pytest.fixture
def roster(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "linux-1.csv"
    file.write_text("login\nashu\n")
    return file


def upload(**query):
    words = "&".join(f"{k}={v}" for k, v in {"filename": "linux-1.csv", **query}.items())
    return ("POST", f"/rosters?{words}", b"login\nashu\n")


def test_a_plan_is_printed_as_a_diff(api, run, roster):
    api.will(PLAN)
    code, out, _ = run("roster", "plan", "linux-1.csv", "--cohort", "x", "--ends", "2026-12-24", "--adopt")
    assert code == 0
    assert api.asked == [upload(cohort="x", ends="2026-12-24", adopt="True")]
    assert out.splitlines() == [
        "+ create ashu  Ashu",
        "    docker: yes",
        "    name: A -> Ashu",
        "    (returns)",
        "warning: pwck: x",
        "",
        "plan p1 for linux-1: 1 to create, 1 unchanged",
    ]


def test_every_problem_is_told_where_it_is(api, run, roster):
    problems = [
        {"row": 1, "line": 2, "column": "login", "value": "a/b", "reason": "byte 2 is 0x2f"},
        {"row": None, "line": None, "column": None, "value": None, "reason": "no users"},
    ]
    api.will({"type": "urn:hostadmin:roster", "detail": "long", "problems": problems}, status=400)
    code, out, err = run("roster", "apply", "linux-1.csv", "--yes")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "  row 1, line 2, login a/b: byte 2 is 0x2f",
        "  no users",
        "hostadmin: Refused roster linux-1.csv: 2 problems, listed above. Nothing was done. [roster]",
    ]


def test_with_json_what_was_refused_can_be_read_by_programs(api, run, roster):
    problems = [{"row": 1, "line": 2, "column": "login", "value": "a/b", "reason": "byte 2 is 0x2f"}]
    api.will({"type": "urn:hostadmin:roster", "detail": "long", "problems": problems}, status=400)
    code, out, err = run("roster", "plan", "linux-1.csv", "--json")
    assert (code, json.loads(out)["key"], json.loads(out)["problems"]) == (1, "roster", problems)
    assert err.startswith("  row 1, line 2, login a/b: byte 2 is 0x2f\n")
    api.will(PLAN)
    api.will(STALE | {"differences": ["ashu: shell was a, is b"]}, status=409)
    code, out, _ = run("roster", "apply", "--plan", "p1", "--yes", "--json")
    assert (code, json.loads(out)["differences"]) == (1, ["ashu: shell was a, is b"])


def test_apply_carries_out_the_plan_that_it_has_shown(api, run, roster):
    api.will(PLAN)
    api.will(DONE)
    code, out, _ = run("roster", "apply", "linux-1.csv", "--yes")
    assert code == 0
    assert api.asked == [upload(), ("POST", "/rosters/p1/apply", None)]
    assert "hostadmin cohort cards linux-1" in out


def test_nothing_to_do_is_not_carried_out(api, run, roster):
    api.will(NOTHING)
    code, out, _ = run("roster", "apply", "linux-1.csv", "--yes")
    assert (code, len(api.asked)) == (0, 1)
    assert "nothing to do" in out


def test_a_plan_that_nobody_has_looked_at_is_made_again(api, run, roster):
    for value, status in ((PLAN, 200), (STALE, 409), (NOTHING, 200)):
        api.will(value, status=status)
    assert run("roster", "apply", "linux-1.csv", "--yes")[0] == 0
    assert [path for _, path, _ in api.asked] == [upload()[1], "/rosters/p1/apply", upload()[1]]


def test_not_for_ever(api, run, roster):
    for _ in range(3):
        api.will(PLAN)
        api.will(STALE, status=409)
    code, _, err = run("roster", "apply", "linux-1.csv", "--yes")
    assert code == 1
    assert "has changed since" in err
    assert api.answers == []


def test_a_plan_by_its_id_is_never_made_again(api, run, roster):
    api.will(PLAN)
    api.will(STALE, status=409)
    assert run("roster", "apply", "--plan", "p1", "--yes")[0] == 1
    assert [path for _, path, _ in api.asked] == ["/rosters/p1", "/rosters/p1/apply"]


@pytest.mark.parametrize("argv", [(), ("linux-1.csv", "--plan", "p1")])
def test_either_a_file_or_a_plan(api, run, roster, argv):
    assert run("roster", "apply", *argv)[0] == 2
    assert api.asked == []


def test_undo_takes_the_newest_plan_that_has_done_anything(api, run, roster):
    api.will(page(PLAN, DONE | {"id": "p0", "undone_at": "t"}, DONE | {"id": "p2"}))
    api.will(DONE)
    api.will(DONE | {"steps": [STEP | {"status": "undone"}]})
    code, out, _ = run("roster", "apply", "linux-1.csv", "--undo", "--yes")
    assert code == 0
    assert [path for _, path, _ in api.asked] == ["/rosters", "/rosters/p2", "/rosters/p2/undo"]
    assert "removed with all they own, homes archived: ashu" in out
    assert "taken back: 1 steps" in out


def test_too_large_a_roster_is_not_even_sent(api, run, roster):
    roster.write_bytes(b"a" * (1 << 20) + b"b")
    code, _, err = run("roster", "plan", "linux-1.csv")
    assert code == 1
    assert "1048577 bytes" in err
    assert api.asked == []


@pytest.mark.parametrize(
    ("line", "calls", "words"),
    [
        ("roster list", [("GET", "/rosters", None, page(PLAN))], "linux-1.csv"),
        ("roster show p1", [("GET", "/rosters/p1", None, DONE)], "[done]"),
        ("cohort list", [("GET", "/cohorts?ended=false", None, page(COHORT))], "linux-1"),
        ("cohort list --all", [("GET", "/cohorts?ended=true", None, page(COHORT))], "linux-1"),
        (
            "cohort show linux-1",
            [("GET", "/cohorts/linux-1", None, COHORT | {"students": [STUDENT], "archives": [KEPT]})],
            "never       1 of 2 run   4          5kB    containers 2/50",
        ),
        (
            "cohort reset linux-1 --yes",
            [
                ("POST", "/cohorts/linux-1/reset/plan", None, RESET),
                ("POST", "/cohorts/linux-1/reset", {"plan": "r1", "force": False}, RESET | {"until": "2026-11-27"}),
            ],
            "1 containers of 1 users; `--undo` brings it back until 2026-11-27",
        ),
        ("cohort reset linux-1 --undo", [("POST", "/cohorts/linux-1/reset/undo", {"plan": None}, RESET)], "c1"),
        (
            "cohort end linux-1 --yes",
            [
                ("POST", "/cohorts/linux-1/end/plan", None, END),
                ("POST", "/cohorts/linux-1/end", {"plan": "e1", "archive": True}, END),
            ],
            "1 users removed, 1 given back; their homes: hostadmin cohort show linux-1",
        ),
        ("cohort end linux-1 --at-last-day", [("PUT", "/cohorts/linux-1/end", {"at_last_day": True}, COHORT)], "after 2026-12-24"),
    ],
)
def test_what_a_command_asks_and_prints(api, run, line, calls, words):
    for *_, answer in calls:
        api.will(answer)
    code, out, err = run(*line.split())
    assert (code, err) == (0, "")
    assert api.asked == [call[:3] for call in calls]
    assert words in out


def test_cards_are_written_for_ones_own_eyes(api, run, roster, tmp_path):
    api.will({"html": "<p>secret</p>", "cards": 1, "passwords": 1})
    code, out, _ = run("cohort", "cards", "linux-1", "-o", "cards.html")
    assert code == 0
    assert (tmp_path / "cards.html").read_text() == "<p>secret</p>"
    assert stat.S_IMODE((tmp_path / "cards.html").stat().st_mode) == 0o600
    assert "secret" not in out


def test_cards_are_not_fetched_if_they_cannot_be_written(api, run, roster, tmp_path):
    (tmp_path / "cards.html").write_text("mine")
    code, _, err = run("cohort", "cards", "linux-1", "-o", "cards.html")
    assert (code, api.asked) == (1, [])
    assert "Nothing was fetched" in err
    assert (tmp_path / "cards.html").read_text() == "mine"


def test_no_empty_file_stays_where_there_are_no_cards(api, run, roster, tmp_path):
    api.will({"type": "urn:hostadmin:cards-fetched", "detail": "The cards have been handed out."}, status=409)
    assert run("cohort", "cards", "linux-1", "-o", "cards.html")[0] == 1
    assert not (tmp_path / "cards.html").exists()


def test_cards_go_to_a_pipe_if_there_is_one(api, run, roster):
    api.will({"html": "<p>secret</p>", "cards": 1, "passwords": 1})
    assert run("cohort", "cards", "linux-1", "--renew")[1] == "<p>secret</p>\n"
    assert api.asked == [("POST", "/cohorts/linux-1/cards", {"renew": True})]


def test_undo_is_not_for_another_class_with_a_file_of_that_name(api, run, roster):
    """Two classes came from files of one name: whose plan is meant must be said, and then only that one is taken."""
    plans = page(DONE | {"id": "p3", "cohort": "other"}, DONE | {"id": "p2", "cohort": "mine"})
    api.will(plans)
    code, _, err = run("roster", "apply", "linux-1.csv", "--undo", "--yes")
    assert code == 1
    assert "have made several cohorts (mine, other): name yours with --cohort" in err
    for answer in (plans, DONE, DONE):
        api.will(answer)
    assert run("roster", "apply", "linux-1.csv", "--undo", "--yes", "--cohort", "mine")[0] == 0
    assert api.asked[-1][1] == "/rosters/p2/undo"
    api.will(plans)
    assert run("roster", "apply", "linux-1.csv", "--undo", "--yes", "--cohort", "third")[0] == 1
