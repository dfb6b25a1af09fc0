"""A full disk under the database: what cannot be recorded is not done, and nothing is lost."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.ledger import engine_state, judge_agreement
from tests.integration.people import Student
from tests.integration.stage import STATE, make_stage, until

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]


def test_full_disk() -> None:
    """Where nothing can be recorded nothing is changed; reading goes on; nothing is lost when space returns."""
    place = STATE / "db"
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "full", str(place)], check=True)
    try:
        with make_stage() as (engine, hostadmin):
            assert hostadmin.run("user", "add", "ashu", "--docker").returncode == 0
            student = Student("ashu")
            student.ok("run", "-itd", "--name", "ashubefore", "alpine")
            fill(place / "ballast")
            before, refused = engine_state(engine), None
            for number in range(200):  # what is still free in the pages of the database is used up first
                refused = student.docker("volume", "create", f"ashufull{number}")
                if refused.returncode:
                    break
                before = engine_state(engine)
            assert refused is not None
            assert refused.returncode != 0
            assert "record" in refused.stderr or "full" in refused.stderr or "space" in refused.stderr, refused.stderr
            assert engine_state(engine) == before
            assert "ashubefore" in student.ok("ps", "--format", "{{.Names}}"), "reading goes on"
            added = hostadmin.run("user", "add", "nobodynew")
            assert added.returncode == 1, (added.stdout, added.stderr)
            assert "nobodynew" not in Path("/etc/passwd").read_text()
            (place / "ballast").unlink()
            until("it works again", lambda: student.docker("volume", "create", "ashuagain").returncode == 0)
            judge_agreement(engine, hostadmin)
            for volume in student.ok("volume", "ls", "-q").split():
                student.ok("volume", "rm", volume)
            student.ok("rm", "-f", "ashubefore")
    finally:
        subprocess.run(["umount", str(place)], check=False)


def fill(ballast: Path) -> None:
    """Write until the disk is full."""
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    assert os.statvfs(ballast).f_bavail == 0
