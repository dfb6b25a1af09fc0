"""Resets beside people who go on, on a full disk, without an engine, for accounts that are locked."""

import subprocess
import threading
from typing import Any

import pytest

from tests.integration.people import Student
from tests.integration.resetworld import (
    SECRET,
    troubles,
    volume_content,
    work,
)
from tests.integration.stage import STATE, Engine, Hostadmin
from tests.integration.resetstage import FAR, holdings, images, judge_ledger, snapshots, stage, students, whole

__all__ = ["stage", "students"]  # fixtures
pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]


def test_people_who_go_on_meanwhile_lose_and_gain_nothing(stage: tuple[Engine, Hostadmin], students: tuple[Student, ...]) -> None:
    engine, hostadmin = stage
    ashu, dev, _ = students
    ashu.ok("network", "create", "ashunet")
    for number in range(4):
        ashu.ok("run", "-itd", "--name", f"ashu{number}", "--network", "ashunet", "-v", f"ashuv{number}:/d", "-v", "/anon", "alpine")
        ashu.ok(
            "exec", f"ashu{number}", "sh", "-c", f"echo {number} >/d/file; head -c 3000000 /dev/urandom >/d/much; echo {number} >/anon/file"
        )
    dev.ok("run", "-itd", "--name", "devc", "-v", "devdata:/d", "alpine")
    held, others = holdings(ashu), whole(engine, dev)
    plan = work(hostadmin, "plan", "ashu")
    stop = threading.Event()
    unowned: list[Any] = []
    thefts: list[str] = []

    def run_others() -> None:
        count = 0
        while not stop.is_set():
            count += 1
            ashu.docker("run", "--rm", "--name", f"ashuloop{count}", "alpine", "true")

    def want_names() -> None:
        while not stop.is_set():
            for number in range(4):
                found = dev.docker("run", "--rm", "-v", f"ashuv{number}:/d", "alpine", "cat", "/d/file")
                thefts.extend([found.stdout] if found.stdout.strip() else [])
                dev.docker("volume", "rm", f"ashuv{number}")

    def look() -> None:
        while not stop.is_set():
            hostadmin.run("job", "run", "resync")
            query = (
                "select kind, name from objects where owner_id is null and gone_at is null and kind != 'image' and attribution != 'engine'"
            )
            unowned.extend(hostadmin.rows(query))

    threads = [threading.Thread(target=f) for f in (run_others, want_names, look)]
    for thread in threads:
        thread.start()
    try:
        applied = work(hostadmin, "apply", plan["id"])
        undone = work(hostadmin, "undo", plan["id"])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert applied["counts"] == {"done": 13}, troubles(applied)
    assert thefts == []
    assert unowned == []
    dev.docker("volume", "rm", *[f"ashuv{n}" for n in range(4)])
    assert work(hostadmin, "show", plan["id"])["state"] == "undone" or work(hostadmin, "undo", plan["id"])["state"] == "undone", troubles(
        undone
    )
    assert {**holdings(ashu), "containers": [c for c in holdings(ashu)["containers"] if "loop" not in c]} == held
    for number in range(4):
        assert ashu.ok("exec", f"ashu{number}", "cat", "/d/file", "/anon/file") == f"{number}\n{number}"
    assert whole(engine, dev) == others
    judge_ledger(engine, hostadmin)


def test_a_full_disk_and_a_dead_engine_lose_nothing(stage: tuple[Engine, Hostadmin], students: tuple[Student, ...]) -> None:
    engine, hostadmin = stage
    ashu = students[0]
    ashu.ok("run", "-itd", "--name", "ashuc", "-v", "ashudata:/d", "-e", f"TOKEN={SECRET}", "alpine")
    ashu.ok("exec", "ashuc", "sh", "-c", "head -c 3000000 /dev/urandom >/d/much; echo inside >/inside")
    content = volume_content(engine, "ashudata")
    plan = work(hostadmin, "plan", "ashu")
    kept = STATE / "db" / "resets"
    kept.mkdir(mode=0o700, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "full", str(kept)], check=True)
    try:
        full = work(hostadmin, "apply", plan["id"])
        left = [f for f in kept.rglob("*") if f.is_file()]
    finally:
        subprocess.run(["umount", str(kept)], check=True)
    assert full["counts"] == {"done": 1, "failed": 1}
    assert [(i["name"], "is full; free some space" in i["message"]) for i in full["items"] if i["status"] == "failed"] == [
        ("ashudata", True)
    ]
    assert left == []
    assert volume_content(engine, "ashudata") == content
    engine.stop()
    try:
        away = work(hostadmin, "apply", plan["id"])
        assert away["counts"] == {"done": 1, "failed": 1}
        assert "does not answer" in troubles(away)[0][3]
        away = work(hostadmin, "undo", plan["id"])
        assert all("does not answer" in i["message"] for i in away["items"] if i["kind"] == "container"), away
        work(hostadmin, "purge", FAR)
        states = hostadmin.rows("select state from reset_items where plan_id = ? and kind = 'container'", plan["id"])
        assert states == [("removed",)], "what containers stand on cannot be told now"
    finally:
        engine.start()
    undone = work(hostadmin, "undo", plan["id"])
    assert undone["state"] == "undone", troubles(undone)
    assert volume_content(engine, "ashudata") == content
    assert ashu.ok("exec", "ashuc", "sh", "-c", "cat /inside; echo $TOKEN") == f"inside\n{SECRET}"
    judge_ledger(engine, hostadmin)


def test_an_image_of_ones_own_may_go_and_an_account_that_is_locked_gets_nothing_back(
    stage: tuple[Engine, Hostadmin], students: tuple[Student, ...]
) -> None:
    engine, hostadmin = stage
    dev = students[1]
    work(hostadmin, "purge", FAR)
    first_images = images(engine)
    dev.ok("run", "--name", "devbase", "alpine", "sh", "-c", "echo own >/own")
    dev.ok("commit", "devbase", "dev/own:1")
    dev.ok("rm", "devbase")
    dev.ok("run", "-itd", "--name", "devc", "dev/own:1", "sh")
    plan = work(hostadmin, "plan", "dev")
    assert work(hostadmin, "apply", plan["id"])["counts"] == {"done": 1}
    dev.ok("rmi", "dev/own:1")
    assert dev.docker("run", "--rm", "--pull=never", "dev/own:1", "true").returncode != 0
    assert hostadmin.run("user", "lock", "dev").returncode == 0
    locked = work(hostadmin, "undo", plan["id"])
    assert [i["message"] for i in locked["items"]] == ["its account is locked: nothing of it may run"]
    assert "devc" not in engine.eye.containers().values()
    assert hostadmin.run("user", "unlock", "dev").returncode == 0
    assert work(hostadmin, "undo", plan["id"])["state"] == "undone"
    assert dev.ok("exec", "devc", "cat", "/own") == "own"
    again = work(hostadmin, "plan", "dev")
    assert work(hostadmin, "apply", again["id"])["counts"] == {"done": 1}, "a container that has come back goes like any other"
    assert work(hostadmin, "undo", again["id"])["state"] == "undone"
    assert dev.ok("exec", "devc", "cat", "/own") == "own"
    dev.ok("rm", "-f", "devc")
    work(hostadmin, "purge", FAR)
    work(hostadmin, "purge", FAR)
    assert snapshots(engine) == []
    assert images(engine) == first_images
