"""Admission as an attack: everything in a body that reaches the host or somebody else, each with what its owner may have."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.attacks import admissions, bodies, oracle
from tests.integration.attacks.room import API, Room, Things, make_room

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
PLAIN = {"Image": "alpine", "Cmd": ["sleep", "100"]}
ASKED = {**{k: ({"HostConfig": a}, {"HostConfig": t}) for k, (a, t) in admissions.HOST.items()}, **admissions.CONFIG}
TRIED: dict[str, object] = {}


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    with make_room() as made:
        yield made


def fill(room: Room, things: Things, value: Any) -> Any:
    """Fill in the placeholders, ids included."""
    known = {name: ref for ref, name in {**room.engine.eye.containers(), **room.engine.eye.networks()}.items()}
    image = room.before["tags"][things.I]
    unnamed = next(m["Name"] for m in room.before["containers"][known[things.C]]["Mounts"] if m["Destination"] == "/anon")
    host = next(ref for ref, n in room.before["networks"].items() if n["Name"] == "host")
    more = {"$F": known[things.C], "$f": known[things.C][:12], "$M": known[things.N], "$m": known[things.N][:12], "$D": image, "$H": host}
    more |= {"$S": image.removeprefix("sha256:")[:12], "$A": unnamed, "$O": room.accounts["dev"]}

    def walk(part: Any) -> Any:
        if isinstance(part, str):
            for key, text in more.items():
                part = part.replace(key, text)
            return things.fill(part)
        if isinstance(part, dict):
            return {walk(k): walk(v) for k, v in part.items()}
        return [walk(v) for v in part] if isinstance(part, list) else part

    return walk(value)


@pytest.mark.parametrize("name", ASKED)
def test_a_container_that_reaches_too_far(room: Room, name: str) -> None:
    """Nothing is left of the attack; the twin is made, is what was asked for, and reaches nothing."""
    attack, twin = ASKED[name]
    said = room.attacker.ask("POST", f"{API}/containers/create?name=ashunew", {**PLAIN, **fill(room, room.theirs, attack)})
    room.judge((name, said))
    asked = {**PLAIN, **fill(room, room.own, twin)}
    if repr(asked) in TRIED:
        return
    TRIED[repr(asked)] = name
    done = room.attacker.ask("POST", f"{API}/containers/create?name=ashunew", asked)
    assert done.status == 201, (name, asked, done)
    made = room.engine.eye.container("ashunew")
    assert made["Config"]["Labels"]["io.hostadmin.owner"] == room.accounts["ashu"]
    picture = oracle.take_picture(room.engine.eye)
    assert not oracle.find_violations(room.engine.eye, picture, room.exempt)
    assert not oracle.compare(room.before, picture, only=room.foreign())
    room.tidy()


@pytest.mark.parametrize("name", bodies.REQUESTS)
def test_another_request_that_reaches_too_far(room: Room, name: str) -> None:
    method, target, body, *_ = bodies.REQUESTS[name]
    said = room.attacker.ask(method, API + fill(room, room.theirs, target), fill(room, room.theirs, body))
    room.judge((name, said))


@pytest.mark.parametrize("name", bodies.REQUESTS)
def test_its_twin_works(room: Room, name: str) -> None:
    """Runs after all attacks of this file: it changes the attacker's own things, and nothing else."""
    *_, method, target, body, status = bodies.REQUESTS[name]
    if (method, target, repr(body)) in TRIED:
        return
    TRIED[method, target, repr(body)] = name
    done = room.attacker.ask(method, API + fill(room, room.own, target), fill(room, room.own, body))
    assert done.status == status, (name, done)
    room.judge_foreign((name, done))
    for undo in ({"Container": "ashuc", "Force": True}, None):
        room.engine.eye.call("POST", "/networks/bridge/disconnect", undo) if undo else None
    room.engine.eye.call("POST", "/networks/ashunet/connect", {"Container": "ashuc"})
    room.engine.eye.call("POST", "/containers/ashurenamed/rename?name=ashuc")
