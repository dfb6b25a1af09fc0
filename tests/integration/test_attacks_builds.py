"""Builds as attacks: readers that disagree, parameters that reach the host, tags and images of others."""

import threading
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.integration.attacks import tars
from tests.integration.attacks.dockerfiles import DOCKERFILES, Dockerfile
from tests.integration.attacks.room import API, Room, Things, make_room
from tests.integration.attacks.sender import Answer
from tests.integration.stage import until

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    with make_room() as made:
        build(made, tars.context('FROM alpine\nRUN echo "\u00c3:x:7:7:::" >>/etc/passwd\n'), "&t=ashupasswd")
        made.remember()
        yield made


def build(room: Room, context: bytes, query: str = "") -> Answer:
    """Send a build as the attacker."""
    parts = [p.partition("=") for p in query.split("&") if p]
    text = "".join(f"&{k}={quote(v)}" for k, _, v in parts)
    return room.attacker.ask("POST", f"{API}/build?nocache=1{text}", context, ("Content-Type: application/x-tar",), half_close=False)


def fill(room: Room, things: Things, text: str) -> str:
    """Return a text with the placeholders of an image filled in."""
    full = room.engine.eye.get(f"/images/{things.I}/json")["Id"]
    for key, value in (("$R", things.I.partition(":")[0]), ("$D", full), ("$S", full.removeprefix("sha256:")[:12])):
        text = text.replace(key, value)
    return things.fill(text) if "$" in text else text


def built(answer: Answer) -> bool:
    """Tell whether a build went through to its end."""
    return answer.status == 200 and b"Successfully built" in answer.body and b'"error"' not in answer.body


@pytest.mark.parametrize("attack", DOCKERFILES, ids=[d.name for d in DOCKERFILES])
def test_build(room: Room, attack: Dockerfile) -> None:
    text = fill(room, room.theirs, attack.text)
    said = build(room, tars.context(text, attack.files), fill(room, room.theirs, attack.query))
    room.judge_foreign((attack.name, said))
    held = room.attacker.ask("GET", f"{API}/images/{fill(room, room.theirs, '$D')}/json")
    assert held.status == 404, (attack.name, "the attacker holds the victim's image now", held)
    room.attacker.received.clear()
    text = fill(room, room.own, attack.twin or attack.text)
    done = build(room, tars.context(text, attack.files), fill(room, room.own, attack.twin_query or ("" if attack.twin else attack.query)))
    room.tidy()
    assert built(done), (attack.name, "the twin does not build", text, done)


CONTEXTS = {
    "disguised-by-pax-names": (
        tars.disguised({"Dockerfile": b"FROM alpine\n"}, "Dockerfile", b"FROM devimg:v1\nRUN cat /who\n"),
        "",
    ),
    "disguised-by-a-dotted-pax-name": (
        tars.disguised({"Dockerfile": b"FROM alpine\n"}, "./Dockerfile", b"FROM devimg:v1\nRUN cat /who\n"),
        "",
    ),
    "dockerfile-twice": (tars.twice("Dockerfile", b"FROM alpine\n", b"FROM devimg:v1\nRUN cat /who\n"), ""),
    "dockerfile-is-a-link-to-the-host": (tars.linked("Dockerfile", "/etc/planted-canary", {}), ""),
    "dockerfile-is-a-link": (tars.linked("Dockerfile", "other", {"other": b"FROM devimg:v1\nRUN cat /who\n"}), ""),
    "dockerfile-is-a-hard-link": (tars.linked("Dockerfile", "other", {"other": b"FROM devimg:v1\nRUN cat /who\n"}, hard=True), ""),
    "dockerfile-below-a-link": (
        tars.linked("d", "e", {"e/Dockerfile": b"FROM devimg:v1\nRUN cat /who\n", "Dockerfile": b"FROM alpine\n"}),
        "&dockerfile=d/Dockerfile",
    ),
    "lower-case-dockerfile": (tars.tar({"dockerfile": b"FROM devimg:v1\nRUN cat /who\n"}), ""),
    "only-by-another-name": (tars.tar({"other": b"FROM devimg:v1\nRUN cat /who\n", "Dockerfile": b"FROM alpine\n"}), "&dockerfile=other"),
    "leads-out": (tars.tar({"Dockerfile": b"FROM alpine\n", "../../../../../../etc/planted": b"x"}), ""),
    "leads-out-absolutely": (tars.tar({"Dockerfile": b"FROM alpine\n", "/etc/planted": b"x"}), ""),
    "no-tar": (b"FROM devimg:v1\nRUN cat /who\n", ""),
    "parameters-in-a-form": (b"remote=&dockerfile=Dockerfile&t=devimg:v1", ""),
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_build_context(room: Room, name: str) -> None:
    """A context whose Dockerfile is another for the guard than for the engine, or that leads out of its folder."""
    context, query = CONTEXTS[name]
    said = build(room, context, query)
    room.judge_foreign((name, said))
    done = build(room, tars.context("FROM ashuimg:v1\nCOPY note /\nRUN cat /who /note\n", {"note": b"n"}))
    room.tidy()
    assert built(done), done


def test_an_image_that_appears_during_the_build(room: Room) -> None:
    """The base of a late stage is not there when the build begins: whoever makes it meanwhile has not given it away."""
    answers: list[Answer] = []
    slow = "FROM alpine\nRUN sleep 3\nFROM devlater:v1\nRUN cat /who\n"
    attacker = threading.Thread(target=lambda: answers.append(build(room, tars.context(slow))))
    attacker.start()
    try:
        until("the build runs", lambda: len(room.engine.eye.containers()) > len(room.before["containers"]) or answers)
        theirs = room.victim.ask("POST", f"{API}/images/devimg:v1/tag?repo=devlater&tag=v1")
    finally:
        attacker.join()
    there = room.engine.eye.call("GET", "/images/devlater:v1/json")[0] == 200
    assert there == (theirs.status == 201)
    assert not built(answers[0])
    room.victim.ask("DELETE", f"{API}/images/devlater:v1")
    room.judge_foreign(("late base", theirs, answers))


def test_a_tag_that_is_taken_during_the_upload(room: Room) -> None:
    """A tag that was free when the upload began is the first one's: it never moves from one owner to the other."""
    context = tars.context("FROM alpine\nRUN true\n")
    fields = f"Content-Type: application/x-tar\r\nContent-Length: {len(context)}\r\nExpect: 100-continue"
    head = f"POST {API}/build?t=devsoon:v1 HTTP/1.1\r\nHost: d\r\nConnection: close\r\n{fields}\r\n\r\n".encode()

    answers: list[Answer] = []

    def taken() -> None:
        answers.append(room.victim.ask("POST", f"{API}/images/devimg:v1/tag?repo=devsoon&tag=v1"))

    got = room.attacker.send(head, context, between=taken, half_close=False)
    image = room.engine.eye.get("/images/devsoon:v1/json")["Id"]
    victims = room.engine.eye.get("/images/devimg:v1/json")["Id"]
    assert (image == victims) == (answers[0].status == 201), (answers, got)
    assert built(Answer.read(got.partition(b"\r\n\r\n")[2])) == (image != victims), got
    if image == victims:
        room.victim.ask("DELETE", f"{API}/images/devsoon:v1")
    room.judge_foreign(("tag taken", got))
