"""Images, references and answers as attacks: whose tag moves, who learns what, by every spelling of a reference."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.attacks import tars
from tests.integration.attacks.room import API, Room, Things, make_room
from tests.integration.attacks.sender import Answer

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
TAR = ("Content-Type: application/x-tar",)
FOLDED = {"Config": "x.json", "repotags": ["devimg:v1"], "Layers": ["layer.tar"]}


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    with make_room() as made:
        yield made


def load(room: Room, tar: bytes) -> Answer:
    """Load an image file as the attacker."""
    return room.attacker.ask("POST", f"{API}/images/load?quiet=1", tar, TAR, half_close=False)


def evil(tag: str) -> dict[str, bytes]:
    """Return the files of a saved image with a tag."""
    return tars.image_files([tag])


def with_file(files: dict[str, bytes], name: str, value: Any) -> bytes:
    """Return a saved image with one more file, or another one."""
    return tars.tar({**files, name: json.dumps(value).encode()})


MANIFEST = json.loads(evil("devimg:v1")["manifest.json"])
LOADS = {
    "tag-of-another": tars.image(["devimg:v1"]),
    "tag-of-the-host": tars.image(["alpine:latest"]),
    "tag-of-the-host-qualified": tars.image(["docker.io/library/alpine:latest"]),
    "tag-of-the-host-index": tars.image(["index.docker.io/library/alpine:latest"]),
    "one-of-two": tars.image(["ashunew:v1", "devimg:v1"]),
    "two-images": with_file(evil("ashunew:v1"), "manifest.json", [*json.loads(evil("ashunew:v1")["manifest.json"]), *MANIFEST]),
    "disguised-manifest": tars.disguised(evil("ashunew:v1"), "manifest.json", evil("devimg:v1")["manifest.json"]),
    "manifest-with-dots": tars.tar({**evil("ashunew:v1"), "x/../manifest.json": evil("devimg:v1")["manifest.json"]}),
    "folded-key": with_file(evil("ashunew:v1"), "manifest.json", [{**MANIFEST[0], "RepoTags": None, "repotags": ["devimg:v1"]}]),
    "long-s-key": with_file(evil("ashunew:v1"), "manifest.json", [{**MANIFEST[0], "RepoTags": None, "RepoTag\u017f": ["devimg:v1"]}]),
    "key-twice": tars.tar(
        {
            **evil("ashunew:v1"),
            "manifest.json": evil("ashunew:v1")["manifest.json"].replace(b'"Layers"', b'"RepoTags":["devimg:v1"],"Layers"'),
        }
    ),
    "legacy-repositories": with_file(evil("ashunew:v1"), "repositories", {"devimg": {"v1": "0" * 64}}),
    "legacy-only": tars.tar({"repositories": json.dumps({"alpine": {"latest": "0" * 64}}).encode(), f"{'0' * 64}/json": b"{}"}),
    "oci-index": with_file(
        evil("ashunew:v1"),
        "index.json",
        {
            "schemaVersion": 2,
            "manifests": [
                {"mediaType": "x", "digest": "x", "size": 1, "annotations": {"io.containerd.image.name": "docker.io/library/alpine:latest"}}
            ],
        },
    ),
    "manifest-is-a-link": tars.linked(
        "manifest.json",
        "other",
        {**{k: v for k, v in evil("x:y").items() if k != "manifest.json"}, "other": evil("devimg:v1")["manifest.json"]},
    ),
    "config-outside": with_file(
        evil("x:y"), "manifest.json", [{**MANIFEST[0], "Config": "../../../../etc/planted-canary", "RepoTags": ["ashunew:v1"]}]
    ),
    "layer-outside": with_file(
        evil("x:y"), "manifest.json", [{**MANIFEST[0], "Layers": ["../../../../etc/passwd"], "RepoTags": ["ashunew:v1"]}]
    ),
    "layer-is-a-link-to-the-host": tars.linked(
        "layer.tar", "/etc/planted-canary", {k: v for k, v in evil("ashunew:v1").items() if k != "layer.tar"}
    ),
    "named-like-an-id": tars.image(["deadbeefdeadbeef:latest"]),
    "not-a-tar": b"x" * 2000,
    "cut-off": tars.image(["devimg:v1"])[:-2048],
}


@pytest.mark.parametrize("name", LOADS)
def test_load(room: Room, name: str) -> None:
    said = load(room, LOADS[name])
    room.judge_foreign((name, said))


def test_a_load_that_names_its_configuration_like_anothers_image_gives_no_hold_on_it(room: Room) -> None:
    victim = room.before["tags"]["devimg:v1"]
    for config in (f"{victim.removeprefix('sha256:')}.json", f"blobs/sha256/{victim.removeprefix('sha256:')}"):
        load(room, tars.image(["ashunew:v1"], config_name=config))
        seen = room.attacker.ask("GET", f"{API}/images/{victim}/json")
        assert seen.status == 404, config
        room.judge_foreign(config)


def test_the_twins_of_load(room: Room) -> None:
    """One's own new tag, one's own old tag, none, and what one has saved."""
    for tags in (["ashunew:v1"], ["ashunew:v1", "ashu/other:2"], []):
        done = load(room, tars.image(tags))
        assert done.status == 200, done
        assert set(tags) <= room.engine.eye.tags(), done
    saved = room.attacker.ask("GET", f"{API}/images/get?names=ashuimg:v1", half_close=False)
    assert load(room, saved.body).status == 200
    assert room.engine.eye.get("/images/ashuimg:v1/json")["Id"] == room.before["tags"]["ashuimg:v1"]
    room.judge_foreign("twins")


IMAGES: list[tuple[str, str, bytes | None]] = [
    ("POST", "/images/alpine/tag?repo=devimg&tag=v1", None),
    ("POST", "/images/alpine/tag?repo=mysql&tag=latest", None),
    ("POST", "/images/alpine/tag?repo=docker.io/library/mysql", None),
    ("POST", "/images/alpine/tag?repo=index.docker.io/mysql", None),
    ("POST", "/images/alpine/tag?repo=devimg:v1", None),
    ("POST", "/images/alpine/tag?repo=devimg:v1&tag=v1", None),
    ("POST", "/images/alpine/tag?repo=DEVIMG&tag=v1", None),
    ("POST", "/images/alpine/tag?repo=sha256&tag=abcdef", None),
    ("POST", "/images/alpine/tag?repo=deadbeefdeadbeef", None),
    ("POST", "/images/alpine/tag?repo=devimg@$D", None),
    ("POST", "/images/$R/tag?repo=ashunew", None),
    ("DELETE", "/images/$R?force=1", None),
    ("DELETE", "/images/alpine?force=1", None),
    ("DELETE", "/images/$A?force=1", None),
    ("GET", "/images/$R/json", None),
    ("GET", "/images/$R/history", None),
    ("GET", "/images/$R/get", None),
    ("GET", "/images/get?names=$R", None),
    ("GET", "/images/get?names=alpine&names=$R", None),
    ("GET", "/images/get?names=devimg", None),
    ("GET", '/images/json?filters={"reference":["devimg*"]}', None),
    ("GET", '/images/json?all=1&filters={"since":["$R"]}', None),
    ("GET", '/images/json?filters={"before":["$R"]}', None),
    ("GET", '/images/json?filters={"label":["note=c4n*"]}', None),
    ("GET", '/images/json?all=1&digests=1&filters={"dangling":["true"]}', None),
    ("POST", "/images/$R/push?tag=v1", None),
    ("POST", "/images/devimg/push", None),
    ("POST", "/images/create?fromSrc=-&repo=devimg&tag=v1", tars.tar({"x": b"y"})),
    ("POST", "/images/create?fromSrc=-&repo=alpine", tars.tar({"x": b"y"})),
    ("POST", "/images/create?fromSrc=-&repo=ashunew&changes=ONBUILD%20RUN%20id", tars.tar({"x": b"y"})),
    ("POST", "/images/create?fromSrc=-&repo=ashunew&changes=FROM%20devimg:v1", tars.tar({"x": b"y"})),
    ("POST", "/images/create?fromSrc=http://127.0.0.1:$P/x.tar&repo=ashunew", None),
    ("POST", "/images/create?fromSrc=file:///etc/planted-canary&repo=ashunew", None),
    ("POST", "/images/create?fromImage=127.0.0.1:$P/x&tag=y", None),
    ("POST", "/images/create?fromImage=localhost:$P/x&tag=y", None),
    ("POST", "/images/create?fromImage=0177.0.0.1:$P/x&tag=y", None),
    ("POST", "/images/create?fromImage=devimg&tag=v1", None),
    ("POST", "/images/create?fromImage=devimg@$D", None),
    ("GET", "/distribution/127.0.0.1:$P%2Fx/json", None),
    ("GET", "/images/search?term=127.0.0.1:$P/x", None),
    ("POST", "/commit?container=$C&repo=ashunew", None),
    ("POST", '/images/prune?filters={"dangling":["false"]}', None),
    ("POST", "/build/prune?all=1", None),
]


@pytest.fixture(scope="module")
def listener() -> Iterator[tuple[int, list[object]]]:
    """A service of the host that must not be reached through the engine."""
    calls: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, peer = server.accept()
                except OSError:
                    return
                calls.append(peer)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], calls


@pytest.mark.parametrize(("method", "target", "body"), IMAGES, ids=[f"{m} {t}" for m, t, _ in IMAGES])
def test_image(room: Room, listener: tuple[int, list[object]], method: str, target: str, body: bytes | None) -> None:
    port, calls = listener
    image = room.before["tags"]["devimg:v1"]
    refs = [
        "devimg:v1",
        "devimg",
        "docker.io/library/devimg:v1",
        image,
        image.removeprefix("sha256:"),
        image[7:19],
        image[7:13],
        f"devimg@{image}",
    ]
    for ref in refs if "$R" in target else [""]:
        alpine = room.before["tags"]["alpine:latest"]
        filled = target.replace("$R", quote(ref)).replace("$D", image).replace("$P", str(port)).replace("$A", alpine)
        said = room.attacker.ask(method, API + quote(room.theirs.fill(filled), safe="/?&=%:@"), body, TAR if body else (), half_close=False)
        room.judge_foreign((filled, said))
    assert not calls, "the engine went where the caller sent it"


def test_the_twins_of_images(room: Room) -> None:
    """What the owner may do with their own: by every spelling of it."""
    image = room.before["tags"]["ashuimg:v1"]
    for ref in ("ashuimg:v1", "ashuimg", "docker.io/library/ashuimg:v1", image, image[7:], image[7:19]):
        assert room.attacker.ask("GET", f"{API}/images/{quote(ref)}/json").json["Id"] == image
        assert room.attacker.ask("GET", f"{API}/images/{quote(ref)}/history").status == 200
        assert b"manifest.json" in room.attacker.ask("GET", f"{API}/images/{quote(ref)}/get", half_close=False).body
        assert room.attacker.ask("POST", f"{API}/images/{quote(ref)}/tag?repo=ashunew&tag=v1").status == 201
        assert room.engine.eye.get("/images/ashunew:v1/json")["Id"] == image
        assert room.attacker.ask("DELETE", f"{API}/images/ashunew:v1").status == 200
        assert "ashunew:v1" not in room.engine.eye.tags()
    done = room.attacker.ask(
        "POST", f"{API}/images/create?fromSrc=-&repo=ashunew&changes=ENV%20A%3Db", tars.tar({"x": b"y"}), TAR, half_close=False
    )
    assert done.status == 200
    assert "ashunew:latest" in room.engine.eye.tags()
    assert room.attacker.ask("POST", f"{API}/commit?container=ashuc&repo=ashunew&tag=v3").status == 201
    room.judge_foreign("twins")


READS = ["json", "logs?stdout=1&stderr=1", "top", "changes", "export", "stats?stream=0", "archive?path=/data/file", "archive?path=/who"]
WRITES: list[tuple[str, str, Any]] = [
    ("POST", "/containers/$X/start", None),
    ("POST", "/containers/$X/stop?t=0", None),
    ("POST", "/containers/$X/restart?t=0", None),
    ("POST", "/containers/$X/kill", None),
    ("POST", "/containers/$X/pause", None),
    ("POST", "/containers/$X/unpause", None),
    ("POST", "/containers/$X/rename?name=ashunew", None),
    ("POST", "/containers/$X/resize?h=1&w=1", None),
    ("POST", "/containers/$X/update", {"RestartPolicy": {"Name": "always"}}),
    ("POST", "/containers/$X/wait", None),
    ("POST", "/containers/$X/exec", {"Cmd": ["cat", "/data/file"], "AttachStdout": True}),
    ("POST", "/containers/$X/attach?logs=1&stdout=1", None),
    ("GET", "/containers/$X/attach/ws?logs=1&stdout=1&stdin=1&stream=1", None),
    ("PUT", "/containers/$X/archive?path=/data", tars.tar({"planted": b"x"})),
    ("DELETE", "/containers/$X?force=1&v=1", None),
]


def spellings(room: Room, things: Things) -> list[str]:
    """Return every way to name a container."""
    full = next(ref for ref, c in room.before["containers"].items() if c["Name"] == f"/{things.C}")
    return [things.C, f"%2F{things.C}", full, full[:12], full[:6], f"{things.C[0]}%{ord(things.C[1]):02x}{things.C[2:]}"]


@pytest.mark.parametrize("what", READS)
def test_reading_by_every_spelling(room: Room, what: str) -> None:
    for ref in [*spellings(room, room.theirs), "hostc", "DEVC", "devc%20"]:
        said = room.attacker.ask("GET", f"{API}/containers/{ref}/{what}", half_close=False)
        assert said.status in (400, 404), (ref, said)
    room.judge(what)
    for ref in spellings(room, room.own):
        assert room.attacker.ask("GET", f"{API}/containers/{ref}/{what}", half_close=False).status == 200, ref


@pytest.mark.parametrize(("method", "target", "body"), WRITES, ids=[f"{m} {t}" for m, t, _ in WRITES])
def test_changing_by_every_spelling(room: Room, method: str, target: str, body: Any) -> None:
    for ref in [*spellings(room, room.theirs), "hostc"]:
        said = room.attacker.ask(method, API + target.replace("$X", ref), body)
        assert said.status in (400, 403, 404), (ref, said)
    room.judge(target)


def test_the_twins_of_changing(room: Room) -> None:
    """One after the other on one's own container, as the engine sees it."""
    full = room.spare()
    eye = room.engine.eye

    def do(method: str, rest: str, body: Any = None) -> Answer:
        return room.attacker.ask(method, f"{API}/containers/{full[:12]}{rest}", body)

    assert do("POST", "/pause").status == 204
    assert eye.container(full)["State"]["Paused"]
    assert do("POST", "/unpause").status == 204
    assert do("POST", "/update", {"RestartPolicy": {"Name": "always"}}).status == 200
    assert eye.container(full)["HostConfig"]["RestartPolicy"]["Name"] == "always"
    assert do("PUT", "/archive?path=/tmp", tars.tar({"mine": b"x"})).status == 200
    assert {"Path": "/tmp/mine", "Kind": 1} in eye.get(f"/containers/{full}/changes")
    assert do("POST", "/exec", {"Cmd": ["id"]}).status == 201
    assert do("POST", "/restart?t=0").status == 204
    assert do("POST", "/rename?name=ashuy").status == 204
    assert eye.container(full)["Name"] == "/ashuy"
    assert do("POST", "/stop?t=0").status == 204
    assert not eye.container(full)["State"]["Running"]
    assert do("DELETE", "?v=1").status == 204
    assert full not in eye.containers()
    room.judge("twins")


ANSWERS = [
    "/containers/json?all=1&size=1",
    '/containers/json?all=1&filters={"name":["."]}',
    '/containers/json?all=1&filters={"id":[".*"]}',
    '/containers/json?all=1&filters={"name":["(a|a)*$"]}',
    '/containers/json?all=1&filters={"ancestor":["devimg:v1"]}',
    '/containers/json?all=1&filters={"volume":["devdata"]}',
    '/containers/json?all=1&filters={"network":["devnet"]}',
    '/containers/json?all=1&filters={"since":["devc"]}',
    '/containers/json?all=1&filters={"before":["hostc"]}',
    '/containers/json?all=1&filters={"label":["note"]}',
    "/containers/json?all=1&limit=1",
    "/containers/json?all=1&since=devc",
    "/images/json?all=1&digests=1&shared-size=1",
    "/networks",
    '/networks?filters={"name":["."]}',
    '/networks?filters={"id":[""]}',
    '/networks?filters={"dangling":["true"]}',
    "/networks/bridge?verbose=1",
    "/networks/host",
    "/networks/devnet",
    "/volumes",
    '/volumes?filters={"name":["."]}',
    '/volumes?filters={"dangling":["false"]}',
    "/volumes/devdata",
    "/info",
    "/version",
    "/system/df",
    "/events?since=0&until=1",
    "/events?since=1&until=$T",
    '/events?since=1&until=$T&filters={"container":["devc"]}',
    '/events?since=1&until=$T&filters={"type":["volume","network","image","builder","daemon"]}',
    '/events?since=1&until=$T&filters={"event":["exec_create","exec_start","tag","mount"]}',
    "/plugins",
    "/swarm",
    "/exec/$E/json",
    "/containers/devc/json?size=1",
]


@pytest.mark.parametrize("target", ANSWERS)
def test_no_answer_tells_of_others(room: Room, target: str) -> None:
    """The canary is in names, labels, commands, output, files and images of the victim; nothing shows it."""
    import time

    filled = room.theirs.fill(target.replace("$T", str(int(time.time()))))
    said = room.attacker.ask("GET", API + quote(filled, safe="/?&="), half_close=False)
    for word in (b"devdata", b"hostdata", b"hostc", b"hostnet"):
        assert word not in said.body or word.decode() in filled, (target, word, said)
    room.judge(target)


def test_the_same_answers_tell_the_owner_everything(room: Room) -> None:
    for target in (
        "/containers/json?all=1",
        "/networks",
        "/volumes",
        "/images/json",
        "/containers/devc/json",
        "/containers/devc/logs?stdout=1",
    ):
        assert b"c4n4ry" in room.victim.ask("GET", API + target, half_close=False).body, target


PRUNES = [
    "/containers/prune",
    "/images/prune",
    "/networks/prune",
    "/volumes/prune",
    '/volumes/prune?filters={"all":["true"]}',
    "/build/prune",
]


def test_prunes_take_only_ones_own(room: Room) -> None:
    for target in PRUNES:
        room.spare(running=False)
        said = room.attacker.ask("POST", API + quote(target, safe="/?&="))
        room.judge_foreign((target, said))
