"""Mutated real requests from a student on the real engine: none leaves a state that the profile forbids.

``make fuzz`` sends a million of the same generator's; here a fixed number of them, and proof that the oracle sees.
"""

from collections.abc import Iterator

import pytest

from tests.fuzz.run import Fuzz
from tests.fuzz.world import MARK, World
from tests.integration.stage import make_stage

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
DRAWN = 3000
SENT = 450


@pytest.fixture(scope="module")
def fuzz() -> Iterator[Fuzz]:
    """An attacker, a victim, a real engine."""
    with make_stage() as (engine, hostadmin):
        made = Fuzz(World(engine, hostadmin), "gate", batch=DRAWN // 2, sieve=True)
        yield made
        made.end()


def test_no_mutated_request_reaches_what_the_profile_forbids(fuzz):
    fuzz.run(0, DRAWN)
    assert not fuzz.reports, "\n".join(fuzz.reports)
    assert fuzz.sent + fuzz.skipped == DRAWN
    assert fuzz.sent > SENT
    assert fuzz.total.passed["POST /containers/create"] > 10
    assert len(fuzz.total.passed) > 30, "too few operations came through for this to say anything"


FORBIDDEN = {
    "privileged": {"Privileged": True},
    "a bind": {"Binds": ["/etc:/e"]},
    "the host's network": {"NetworkMode": "host"},
    "a capability": {"CapAdd": ["SYS_ADMIN"]},
    "no seccomp": {"SecurityOpt": ["seccomp=unconfined"]},
    "no masks": {"MaskedPaths": []},
    "the victim's volume": {"Binds": [f"{MARK}-vol:/v"]},
    "the victim's network": {"NetworkMode": f"{MARK}-net"},
    "the victim's processes": {"PidMode": f"container:{MARK}-box"},
    "a device": {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/null", "CgroupPermissions": "rwm"}]},
    "another cgroup": {"CgroupParent": "/elsewhere"},
}


@pytest.mark.parametrize("host", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_the_oracle_sees_what_no_student_may_have(fuzz, host):
    world = fuzz.world
    world.prepare()
    assert not world.violations()
    body = {
        "Image": "alpine",
        "Labels": {"io.hostadmin.owner": world.attacker_id},
        "HostConfig": {"PidsLimit": 100, "CgroupnsMode": "private", **host},
    }
    status, made = world.eye.call("POST", "/containers/create?name=planted", body)
    assert status == 201, made
    found = [text for text in world.violations() if "the ledger gives it" not in text]
    world.eye.call("DELETE", "/containers/planted?force=1")
    assert found


def test_the_oracle_sees_what_is_done_to_the_victim(fuzz):
    world = fuzz.world
    world.prepare()
    for method, target, body in (
        ("POST", f"/containers/{MARK}-still/rename?name=other", None),
        ("POST", f"/containers/{MARK}-box/update", {"Memory": 64 << 20, "MemorySwap": -1}),
        ("POST", f"/images/mysql/tag?repo={MARK}-img&tag=1", None),
    ):
        before = world.snapshot()
        status, _ = world.eye.call(method, target, body)
        assert status < 400
        assert world.snapshot() != before, target
