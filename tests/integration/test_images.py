"""Images are shared, references to them are owned: each attack with its twin, judged at the engine and the ledger."""

import bz2
import gzip
import io
import json
import lzma
import re
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.imagefiles import image_file, tar
from tests.integration.imageroom import API, Room, load
from tests.integration.people import Student, command_lines
from tests.integration.registry import LOCKED, OPEN, PASSWORD, USER, registries
from tests.integration.stage import ENGINE_SOCKET, make_stage, until

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    with registries(), make_stage(registries=(OPEN, LOCKED)) as (engine, hostadmin):
        for login in ("ashu", "dev"):
            assert hostadmin.run("user", "add", login, "--docker").returncode == 0
        yield Room(engine, hostadmin, Student("ashu"), Student("dev"))


# -- references that are somebody else's ---------------------------------------------------------


def test_no_way_to_set_a_tag_moves_one_that_is_not_the_callers(room: Room) -> None:
    theirs = room.secret("devapp:v1", "ways")
    hosts = room.image("mysql:latest")
    room.ashu.ok("run", "-d", "--name", "ashuways", "alpine", "sleep", "100")
    context = tar(("Dockerfile", b"FROM alpine\n"))
    for tag, kept in (("devapp:v1", theirs), ("mysql:latest", hosts)):
        repo, _, name = tag.partition(":")
        for answer in (
            room.ashu.raw("POST", f"{API}/images/alpine/tag?repo={repo}&tag={name}"),
            room.ashu.raw("POST", f"{API}/commit?container=ashuways&repo={repo}&tag={name}", {}),
            room.ashu.raw("POST", f"{API}/images/create?fromSrc=-&repo={repo}&tag={name}", tar(("x", b"y"))),
            room.ashu.raw("POST", f"{API}/build?t={tag}", context),
            load(room.ashu, image_file([tag], b"moved")[0]),
        ):
            assert b"HTTP/1.1 403" in answer, (tag, answer)
            assert room.image(tag) == kept
    for number, answer in enumerate(
        (
            room.ashu.raw("POST", f"{API}/images/alpine/tag?repo=ashuapp&tag=v0"),
            room.ashu.raw("POST", f"{API}/commit?container=ashuways&repo=ashuapp&tag=v1", {}),
            room.ashu.raw("POST", f"{API}/images/create?fromSrc=-&repo=ashuapp&tag=v2", tar(("x", b"y"))),
            room.ashu.raw("POST", f"{API}/build?t=ashuapp:v3", context),
            load(room.ashu, image_file(["ashuapp:v4"], b"own")[0]),
        )
    ):
        assert answer.startswith(b"HTTP/1.1 20"), answer
        assert room.image(f"ashuapp:v{number}") in room.held("ashu")
    room.ashu.ok("rm", "-f", "ashuways")


def test_a_file_that_only_says_to_be_the_hosts_image_does_not_move_its_tag(room: Room) -> None:
    """A tag may be loaded again by whoever sees it if it names the same image; the image is what its configuration hashes to."""
    real = room.image("alpine:latest")
    forged, _ = image_file(["alpine:latest"], b"evil", called=f"{real.removeprefix('sha256:')}.json")
    assert b"HTTP/1.1 403" in load(room.ashu, forged)
    assert room.image("alpine:latest") == real
    room.ashu.ok("save", "-o", "alpine.tar", "alpine:latest")
    assert "Loaded image: alpine:latest" in room.ashu.ok("load", "-i", "alpine.tar")
    assert room.image("alpine:latest") == real


def test_an_id_in_a_manifest_or_in_an_output_makes_nobody_a_holder(room: Room) -> None:
    theirs = room.secret("devhold:v1", "hold")
    manifest = json.dumps([{"Config": f"{theirs.removeprefix('sha256:')}.json", "RepoTags": None, "Layers": []}]).encode()
    load(room.ashu, tar(("manifest.json", manifest)))
    short = theirs.removeprefix("sha256:")[:12]
    lines = (f"echo {theirs}", f"echo Successfully built {short}", f"echo ' ---> {short}'", f"""echo '{{"aux":{{"ID":"{theirs}"}}}}'""")
    for quiet in ("", "&q=1"):
        for ending in ("true", "false"):
            text = "FROM alpine\n" + "".join(f"RUN {line}\n" for line in lines) + f"RUN {ending}\n"
            room.ashu.raw("POST", f"{API}/build?t=ashuecho:v1{quiet}", tar(("Dockerfile", text.encode())))
    assert theirs not in room.held("ashu")
    assert "HTTP/1.1 404" in room.ashu.raw("GET", f"{API}/images/{theirs}/json").decode()
    assert room.image("ashuecho:v1") in room.held("ashu")


def test_the_same_image_is_held_by_both_under_their_own_names(room: Room) -> None:
    data, image = image_file(["devsame:v1"], b"the same")
    assert b"HTTP/1.1 200" in load(room.dev, data)
    assert b"HTTP/1.1 404" in room.ashu.raw("GET", f"{API}/images/{image}/json")
    assert b"HTTP/1.1 200" in load(room.ashu, image_file(["ashusame:v1"], b"the same")[0])
    assert image in room.held("ashu") & room.held("dev")
    found = json.loads(room.ashu.ok("image", "inspect", "ashusame:v1"))[0]
    assert found["RepoTags"] == ["ashusame:v1"]
    assert room.ashu.docker("image", "inspect", "devsame:v1").returncode != 0
    room.ashu.ok("rmi", "ashusame:v1")
    assert room.image("devsame:v1") == image
    room.dev.ok("rmi", "devsame:v1")
    assert room.image(image) == ""


def test_rmi_of_the_last_tag_keeps_what_somebody_holds_without_a_name(room: Room) -> None:
    data, image = image_file(["devkeep:v1"], b"keep")
    load(room.dev, data)
    assert b"Loaded image ID" in load(room.ashu, image_file([], b"keep")[0])
    room.dev.ok("rmi", "devkeep:v1")
    assert room.image(image) == image, "ashu still holds it"
    assert b"HTTP/1.1 404" in room.dev.raw("GET", f"{API}/images/{image}/json")
    listed = json.loads(room.ashu.raw("GET", f"{API}/images/json").partition(b"\r\n\r\n")[2])
    assert [i["RepoTags"] for i in listed if i["Id"] == image] == [["<none>:<none>"]]
    assert image.removeprefix("sha256:")[:12] in room.ashu.ok("images", "-q").split()
    assert b"HTTP/1.1 403" in room.ashu.raw("POST", f"{API}/images/alpine/tag?repo=hostadmin-kept/x&tag=kept")
    room.ashu.ok("rmi", image)
    assert room.image(image) == ""


def test_rmi_takes_its_own_steps_and_nobody_elses(room: Room) -> None:
    room.ashu.ok("build", "-q", "-t", "ashusteps:v1", "-", stdin="FROM alpine\nRUN echo one >/1\nRUN echo two >/2\n")
    step = room.engine.eye.get("/images/ashusteps:v1/json")["Parent"]
    assert step in room.held("ashu")
    room.ashu.ok("rmi", "ashusteps:v1")
    assert room.image(step) == ""
    assert room.image("alpine:latest")
    assert step not in room.held("ashu")


def test_force_reaches_only_what_ones_own_containers_use(room: Room) -> None:
    for student in (room.ashu, room.dev):
        load(student, image_file([f"{student.login}force:v1"], b"force")[0])
    room.dev.ok("create", "--name", "devforce", "devforce:v1")
    room.ashu.docker("rmi", "-f", "ashuforce:v1")
    assert room.image("devforce:v1") == room.engine.eye.container("devforce")["Image"]
    room.ashu.ok("build", "-q", "-t", "ashuforce:v2", "-", stdin="FROM alpine\nRUN echo mine >/x\n")
    room.ashu.ok("create", "--name", "ashuforce", "ashuforce:v2")
    assert room.ashu.docker("rmi", "ashuforce:v2").returncode != 0
    room.ashu.ok("rmi", "-f", "ashuforce:v2")
    assert room.image("ashuforce:v2") == ""
    room.ashu.ok("rm", "ashuforce")
    room.dev.ok("rm", "devforce")


# -- private images ------------------------------------------------------------------------------


def test_a_private_image_cannot_be_used_in_any_way(room: Room) -> None:
    image = room.secret("devprivate:v1", "private")
    short = image.removeprefix("sha256:")[:12]
    own = room.ashu.ok("build", "-q", "-t", "ashuprivate:v1", "-", stdin="FROM alpine\nRUN echo own >/secret\n")
    for ref in ("devprivate:v1", image, short, f"devprivate@{image}", f"devprivate:v1@{image}"):
        for method, target in (
            ("GET", f"/images/{ref}/json"),
            ("GET", f"/images/{ref}/history"),
            ("GET", f"/images/{ref}/get"),
            ("GET", f"/images/get?names=alpine&names={ref}"),
            ("POST", f"/images/{ref}/tag?repo=ashustolen"),
            ("POST", f"/images/{ref}/push?tag=v1" if ref == "devprivate:v1" else f"/images/{ref}/push"),
            ("DELETE", f"/images/{ref}"),
        ):
            answer = room.ashu.raw(method, API + target)
            assert answer.startswith(b"HTTP/1.1 4"), (target, answer)
        for text in (f"FROM {ref}\n", f"FROM alpine\nCOPY --from={ref} /secret /x\n", f"FROM alpine AS a\nFROM {ref}\n"):
            answer = room.ashu.raw("POST", f"{API}/build?t=ashustolen:v1", tar(("Dockerfile", text.encode())))
            assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 500")), (text, answer)  # 500: the registry cannot be reached
        cache = f"{API}/build?t=ashustolen:v1&cachefrom=%5B%22{ref}%22%5D"
        assert room.ashu.raw("POST", cache, tar(("Dockerfile", b"FROM alpine\n"))).startswith(b"HTTP/1.1 4")
        created = room.ashu.raw("POST", f"{API}/containers/create", {"Image": ref})
        assert created.startswith(b"HTTP/1.1 404"), created
    assert room.image("ashustolen:v1") == room.image("ashustolen:latest") == ""
    assert room.image("devprivate:v1") == image
    assert room.ashu.ok("run", "--rm", own, "cat", "/secret") == "own"
    assert room.ashu.ok("build", "-q", "-", stdin=f"FROM alpine\nCOPY --from={own} /secret /x\n")


def test_triggers_of_a_base_image_name_nothing_private(room: Room) -> None:
    room.secret("devtrigger:v1", "trigger")
    room.ashu.ok("build", "-q", "-t", "ashubase:v1", "-", stdin="FROM alpine\nONBUILD COPY --from=alpine /etc/passwd /x\n")
    room.ashu.ok("build", "-q", "-", stdin="FROM ashubase:v1\n")
    later = "FROM alpine\nONBUILD COPY --from=devtrigger:v1 /secret /x\n"
    assert room.ashu.docker("build", "-t", "ashubase:v2", "-", stdin=later).returncode != 0
    forged, _ = image_file(["ashubase:v3"], b"x", changed={"config": {"OnBuild": ["COPY --from=devtrigger:v1 /secret /x"]}})
    assert b"HTTP/1.1 200" in load(room.ashu, forged)
    assert room.ashu.docker("build", "-", stdin="FROM ashubase:v3\n").returncode != 0


def test_a_name_that_a_build_uses_cannot_be_filled_by_somebody_else_meanwhile(room: Room) -> None:
    """The classic builder resolves the base of a later stage when it comes to it."""
    room.ashu.ok("tag", "alpine", "ashulater:v1")
    text = "FROM alpine\nRUN touch /begun && sleep 6\nFROM ashulater:v1\nCOPY --from=0 /begun /x\n"
    build = room.ashu.start("build", "-q", "-t", "ashumade:v1", "-")
    assert build.stdin is not None
    build.stdin.write(text.encode())
    build.stdin.close()
    until("the build runs", lambda: len(room.engine.eye.get("/containers/json")) > 0)
    room.ashu.ok("rmi", "ashulater:v1")
    refused = room.dev.docker("tag", "alpine", "ashulater:v1")
    assert refused.returncode != 0, "a name that a running build resolves later was taken"
    assert "try again" in refused.stderr
    build.wait(60)
    room.dev.ok("tag", "alpine", "ashulater:v1")
    room.dev.ok("rmi", "ashulater:v1")


def test_the_builders_cache_hands_out_nothing_of_others(room: Room) -> None:
    """A step is found in the cache by its words; what it produced must not be had for guessing them."""
    text = "FROM alpine\nRUN head -c 16 /dev/urandom | md5sum >/key\nRUN true\n"
    room.dev.ok("build", "-q", "-t", "devkey:v1", "-", stdin=text)
    theirs = room.dev.ok("run", "--rm", "devkey:v1", "cat", "/key")
    room.ashu.ok("build", "-q", "-t", "ashukey:v1", "-", stdin=text)
    assert room.ashu.ok("run", "--rm", "ashukey:v1", "cat", "/key") != theirs
    again = room.ashu.ok("build", "-t", "ashukey:v2", "-", stdin=text)
    assert again.count("Using cache") == 2, again
    assert room.image("ashukey:v1") == room.image("ashukey:v2")
    failing = text.replace("RUN true", "RUN echo new >/new\nRUN false")
    assert "Using cache" in room.ashu.docker("build", "-", stdin=failing).stdout
    after = room.ashu.docker("build", "-", stdin=failing).stdout
    assert after.count("Using cache") == 2, "the steps of a build that failed are its builder's"


def test_steps_of_a_running_build_are_nobody_elses(room: Room) -> None:
    build = room.dev.start("build", "-t", "devrunning:v1", "-")
    assert build.stdin is not None
    build.stdin.write(b"FROM alpine\nRUN echo step >/s\nRUN sleep 5\n")
    build.stdin.close()
    running = until("a step runs", lambda: [c for c in room.engine.eye.get("/containers/json") if "sleep 5" in c["Command"]])[0]
    for ref in (running["Id"], running["Names"][0].lstrip("/")):
        assert room.ashu.docker("inspect", ref).returncode != 0
        room.ashu.docker("rm", "-f", ref)
        assert room.engine.eye.container(running["Id"])["State"]["Running"]
    assert running["Id"][:12] not in room.ashu.ok("ps", "-aq")
    room.ashu.docker("rmi", "-f", running["ImageID"])
    assert room.image(running["ImageID"]) == running["ImageID"]
    assert running["ImageID"].removeprefix("sha256:")[:12] not in room.ashu.ok("images", "-aq")
    assert build.wait(60) == 0
    assert room.image("devrunning:v1") in room.held("dev")
    assert room.engine.eye.get("/images/devrunning:v1/json")["Parent"] in room.held("dev")


# -- files that come in --------------------------------------------------------------------------


def test_a_load_that_is_cut_off_anywhere_leaves_nothing(room: Room) -> None:
    data, image = image_file(["ashucut:v1"], bytes(3_000_000))
    before = {p for p in Path("/tmp").iterdir() if p.name.startswith("hostadmin-")}
    for cut in (0, 100, 512, 1024, 5000, 1_500_000, len(data) - 10_240, len(data) - 1):
        request = f"POST {API}/images/load?quiet=1 HTTP/1.1\r\nHost: d\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        room.ashu.vanish(request + data[:cut])
    until("no intent is open", lambda: not room.hostadmin.rows("select * from audit_open"))
    assert room.image("ashucut:v1") == room.image(image) == ""
    assert not room.hostadmin.rows("select * from image_tags where tag like '%ashucut%'")
    assert {p for p in Path("/tmp").iterdir() if p.name.startswith("hostadmin-")} == before
    until("the engine has cleaned up", lambda: not list(Path("/mnt/docker/data/tmp").glob("docker-import-*")))
    assert b"HTTP/1.1 200" in load(room.ashu, data)
    assert room.image("ashucut:v1") == image


def test_a_build_that_is_cut_off_leaves_no_tag(room: Room) -> None:
    data = tar(("Dockerfile", b"FROM alpine\nRUN echo cut >/x\n"), ("big", bytes(2_000_000)))
    for cut in (0, 600, 1_000_000, len(data) - 5000):
        request = f"POST {API}/build?t=ashucutbuild:v1 HTTP/1.1\r\nHost: d\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        room.ashu.vanish(request + data[:cut])
    until("no intent is open", lambda: not room.hostadmin.rows("select * from audit_open"))
    assert room.image("ashucutbuild:v1") == ""
    assert not room.hostadmin.rows("select * from image_tags where tag like '%ashucutbuild%'"), "a name is kept that cannot be set"
    room.ashu.ok("tag", "alpine", "ashucutbuild:v1")


@pytest.mark.parametrize(
    "entries",
    [
        [("./manifest.json", "MANIFEST"), ("manifest.json", b"[]")],
        [("x/../manifest.json", "MANIFEST"), ("manifest.json", b"[]")],
        [("other", "MANIFEST"), ("manifest.json", "other")],
        [("d", "."), ("d/manifest.json", "MANIFEST"), ("manifest.json", b"[]")],
        [("manifest.json", b"[]"), ("manifest.json", "MANIFEST")],
        [("MANIFEST.json", "MANIFEST")],
        [("repositories", b'{"devspell":{"v1":"l"}}')],
    ],
    ids=["dot", "dotdot", "link to it", "below a link", "twice", "case", "legacy"],
)
def test_no_spelling_of_a_manifest_gets_past(room: Room, entries: list[tuple[str, bytes | str]]) -> None:
    if not room.image("devspell:v1"):
        room.secret("devspell:v1", "spell")
    kept = room.image("devspell:v1")
    whole, _ = image_file(["devspell:v1"], b"spelled")
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        parts = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]
    manifest = parts.pop("manifest.json")
    given = [(name, manifest if content == "MANIFEST" else content) for name, content in entries]
    load(room.ashu, tar(*parts.items(), *given))
    load(room.ashu, tar(*given, *parts.items()) + tar(("manifest.json", manifest), *parts.items()))
    assert room.image("devspell:v1") == kept


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"])
def test_compressed_files_are_unpacked_by_the_guard(room: Room, compress: object) -> None:
    assert callable(compress)
    name = getattr(compress, "__module__", "x").strip("_")
    data, image = image_file([f"ashu{name}:v1"], f"packed by {name}".encode() * 1000)
    assert b"HTTP/1.1 200" in load(room.ashu, compress(data[:700]) + compress(data[700:]))
    assert room.image(f"ashu{name}:v1") == image
    assert b"twice" in load(room.ashu, compress(compress(data)))
    assert b"HTTP/1.1 400" in load(room.ashu, compress(data)[:-20])
    context = compress(tar(("Dockerfile", b"FROM alpine\nCOPY f /f\n"), ("f", name.encode())))
    assert b"Successfully built" in room.ashu.raw("POST", f"{API}/build?t=ashuz:v1", context)
    room.ashu.ok("run", "-d", "--name", "ashuz", "ashuz:v1", "sleep", "100")
    room.ashu.raw("PUT", f"{API}/containers/ashuz/archive?path=/tmp", compress(tar(("g", name.encode()))))
    assert room.ashu.ok("exec", "ashuz", "cat", "/tmp/g", "/f") == name * 2
    room.ashu.raw("POST", f"{API}/images/create?fromSrc=-&repo=ashuz&tag=in", compress(tar(("it", b"1"))))
    assert room.image("ashuz:in")
    room.ashu.ok("rm", "-f", "ashuz")


def test_what_the_engine_would_decompress_is_refused(room: Room) -> None:
    for data in (b"\x28\xb5\x2f\xfd" + bytes(2000), b"\x50\x2a\x4d\x18" + bytes(2000)):
        for target in ("/images/load", "/build", "/images/create?fromSrc=-&repo=ashuzstd"):
            assert b"zstd" in room.ashu.raw("POST", API + target, data)


def test_save_carries_the_tags_that_were_named(room: Room) -> None:
    for tag in ("ashusave:v1", "ashusave:v2"):
        room.ashu.ok("tag", "alpine", tag)
    room.dev.ok("tag", "alpine", "ashusave:dev")
    room.ashu.ok("save", "-o", "save.tar", "ashusave")
    found = subprocess.run(["tar", "-xOf", "/home/ashu/save.tar", "manifest.json"], capture_output=True, check=True).stdout
    assert sorted(t for i in json.loads(found) for t in i["RepoTags"]) == ["ashusave:v1", "ashusave:v2"]
    room.ashu.ok("rmi", "ashusave:v1", "ashusave:v2")
    room.ashu.ok("load", "-i", "save.tar")
    assert room.image("ashusave:v1") == room.image("alpine:latest")
    room.dev.ok("rmi", "ashusave:dev")


def test_changes_set_no_label_of_hostadmins(room: Room) -> None:
    room.ashu.ok("create", "--name", "ashuchange", "alpine")
    for change in (
        "LABEL io.hostadmin.owner=dev",
        'LABEL "io.hostadmin".owner=dev',
        "LABEL IO.HostAdmin.x=1",
        "ONBUILD RUN x",
        "RUN x",
        "ENV A=1\\\nLABEL",
        "LABEL $X=1",
    ):
        for argv in (["commit", "-c", change, "ashuchange", "ashuchange:v1"], ["import", "-c", change, "-", "ashuchange:v1"]):
            assert room.ashu.docker(*argv).returncode != 0, (argv, change)
    assert room.image("ashuchange:v1") == ""
    room.ashu.ok("commit", "-c", "LABEL a=b", "-c", 'CMD ["true"]', "ashuchange", "ashuchange:v1")
    found = room.engine.eye.get("/images/ashuchange:v1/json")["Config"]
    assert (found["Labels"]["a"], found["Cmd"]) == ("b", ["true"])
    assert not any(value for name, value in found["Labels"].items() if name.startswith("io.hostadmin"))
    room.ashu.ok("rm", "ashuchange")


# -- registries ----------------------------------------------------------------------------------


def test_only_listed_registries_are_spoken_to(room: Room) -> None:
    asked = []
    with socket.create_server(("127.0.0.1", 5555)) as server:
        server.settimeout(0.2)
        other = "127.0.0.1:5555"
        for argv in (
            ["pull", f"{other}/x:1"],
            ["push", f"{other}/x:1"],
            ["login", "-u", "x", "-p", "y", other],
            ["search", f"{other}/x"],
            ["build", "-"],
            ["pull", "169.254.169.254/x:1"],
        ):
            room.ashu.docker("tag", "alpine", f"{other}/x:1")
            done = room.ashu.docker(*argv, stdin=f"FROM {other}/y:1\n" if argv[0] == "build" else "")
            assert done.returncode != 0
            assert "allows 127.0.0.1:5000, 127.0.0.1:5001, docker.io" in done.stderr, (argv, done.stderr)
        room.ashu.raw("GET", f"{API}/distribution/{other}/x/json")
        with suppress(TimeoutError):
            asked.append(server.accept())
    assert not asked, "the engine has connected to a registry that no profile lists"


def test_push_pull_by_tag_and_digest_and_what_is_owned_then(room: Room) -> None:
    name = f"{OPEN}/ashu/pushed"
    room.ashu.ok("build", "-q", "-t", f"{name}:1", "-", stdin="FROM alpine\nRUN echo pushed >/x\n")
    digest = re.search(r"digest: (sha256:[0-9a-f]{64})", room.ashu.ok("push", f"{name}:1"))[1]  # type: ignore[index]
    room.ashu.ok("tag", f"{name}:1", f"{name}:2")
    assert room.ashu.ok("push", "-a", name).count("digest: ") == 2
    image = room.image(f"{name}:1")
    assert room.dev.docker("push", f"{name}:1").returncode != 0
    assert room.dev.docker("image", "inspect", f"{name}@{digest}").returncode != 0
    room.dev.ok("pull", f"{name}@{digest}")
    assert image in room.held("dev")
    assert room.dev.ok("run", "--rm", f"{name}@{digest}", "cat", "/x") == "pushed"
    assert room.dev.docker("run", "--rm", "--pull", "never", f"{name}:1", "true").returncode != 0
    room.dev.ok("pull", f"{name}:1")
    assert room.dev.ok("run", "--rm", f"{name}:1", "cat", "/x") == "pushed"
    assert "2" not in room.dev.ok("images", "--format", "{{.Tag}}", name).split()
    assert room.dev.docker("rmi", f"{name}:2").returncode != 0
    room.dev.ok("rmi", f"{name}:1", f"{name}@{digest}")
    assert image not in room.held("dev")
    assert room.image(f"{name}:1") == image
    room.ashu.ok("rmi", f"{name}:1", f"{name}:2")
    room.dev.ok("pull", f"{name}:2")
    assert room.dev.ok("run", "--rm", f"{name}:2", "cat", "/x") == "pushed"


def test_a_tag_that_has_moved_in_the_registry_is_not_moved_for_somebody_else(room: Room) -> None:
    name = f"{OPEN}/ashu/moving:1"
    room.ashu.ok("build", "-q", "-t", name, "-", stdin="FROM alpine\nRUN echo old >/x\n")
    room.ashu.ok("push", name)
    old = room.image(name)
    room.ashu.ok("build", "-q", "-t", f"{OPEN}/ashu/new:1", "-", stdin="FROM alpine\nRUN echo new >/x\n")
    new = room.image(f"{OPEN}/ashu/new:1")
    room.engine.eye.call("POST", f"/images/{new}/tag?repo={OPEN}/ashu/moving&tag=1")
    subprocess.run(["docker", "-H", f"unix://{ENGINE_SOCKET}", "push", name], check=True, capture_output=True)
    room.engine.eye.call("POST", f"/images/{old}/tag?repo={OPEN}/ashu/moving&tag=1")
    done = room.dev.docker("pull", name)
    assert done.returncode != 0
    assert room.image(name) == old
    by_digest = re.search(r"docker pull (\S+@sha256:[0-9a-f]{64})", done.stderr)
    assert by_digest, done.stderr
    room.dev.ok("pull", by_digest[1])
    assert room.dev.ok("run", "--rm", by_digest[1], "cat", "/x") == "new"
    room.ashu.ok("pull", name)
    assert room.image(name) == new, "the owner moves their own tag"


def test_a_pull_with_credentials_shows_the_image_to_nobody_else(room: Room) -> None:
    name = f"{LOCKED}/course/paid:1"
    assert room.dev.docker("login", "-u", USER, "--password-stdin", LOCKED, stdin="wrong").returncode != 0
    room.dev.ok("login", "-u", USER, "--password-stdin", LOCKED, stdin=PASSWORD)
    room.dev.ok("build", "-q", "-t", name, "-", stdin="FROM alpine\nRUN echo paid >/x\n")
    digest = re.search(r"digest: (sha256:[0-9a-f]{64})", room.dev.ok("push", name))[1]  # type: ignore[index]
    image = room.image(name)
    for ref in (name, f"{LOCKED}/course/paid@{digest}", image):
        assert room.ashu.docker("pull", ref).returncode != 0
        assert room.ashu.docker("run", "--rm", ref, "cat", "/x").returncode != 0
        assert room.ashu.docker("build", "-", stdin=f"FROM {ref}\n").returncode != 0
        assert room.ashu.raw("GET", f"{API}/images/{ref}/json").startswith(b"HTTP/1.1 404")
    assert image not in room.held("ashu")
    room.ashu.ok("login", "-u", USER, "--password-stdin", LOCKED, stdin=PASSWORD)
    room.ashu.ok("build", "-q", "-", stdin=f"FROM {name}\nRUN cat /x\n")
    assert room.ashu.ok("run", "--rm", name, "cat", "/x") == "paid"
    assert image in room.held("ashu")
    room.ashu.ok("logout", LOCKED)


def test_credentials_are_written_down_nowhere(room: Room) -> None:
    room.ashu.ok("login", "-u", USER, "--password-stdin", LOCKED, stdin=PASSWORD)
    room.ashu.docker("pull", f"{LOCKED}/course/nothing:1")
    bad = "X-Registry-Auth: " + "QUJD" * 10 + PASSWORD.encode().hex() + "\r\n"
    answer = room.ashu.raw("POST", f"{API}/images/create?fromImage={LOCKED}/x&tag=1", headers=bad)
    assert PASSWORD.encode().hex().encode() not in answer
    config = json.loads(Path("/home/ashu/.docker/config.json").read_text())
    encoded = config["auths"][LOCKED]["auth"]
    room.ashu.ok("logout", LOCKED)
    for place in (*Path("/mnt/hostadmin").rglob("*"),):
        if place.is_file():
            data = place.read_bytes()
            assert PASSWORD.encode() not in data, place
            assert encoded.encode() not in data, place
    actions = {a for (a,) in room.hostadmin.rows("select distinct action from audit_records")}
    assert {"registry.login", "image.push", "image.pull"} <= actions


# -- builders ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cli", command_lines())
def test_build_with_each_docker_command_as_it_is_typed(room: Room, cli: str) -> None:
    """`docker build` alone: the classic builder where the command lets itself be told so; else it says what to set."""
    student = Student("ashu", cli=cli)
    done = student.docker("build", "-t", "ashucli:v1", "-", stdin="FROM alpine\nRUN echo cli >/x\n")
    print(cli, done.stdout, done.stderr)
    assert done.returncode == 0, (cli, done.stderr)
    assert room.image("ashucli:v1") in room.held("ashu")
    student.ok("rmi", "ashucli:v1")


def test_limits_of_a_build(room: Room) -> None:
    text = "FROM alpine\nRUN ulimit -n >/n\n"
    assert room.ashu.docker("build", "--ulimit", "rtprio=99", "-t", "ashulimit:v1", "-", stdin=text).returncode != 0
    assert room.image("ashulimit:v1") == ""
    room.ashu.ok("build", "-q", "--ulimit", "nofile=123:200", "-t", "ashulimit:v1", "-", stdin=text)
    assert room.ashu.ok("run", "--rm", "ashulimit:v1", "cat", "/n") == "123"


def test_a_build_refused_for_what_it_stands_on_was_not_done(room: Room) -> None:
    room.secret("devbase:v1", "base")
    assert room.ashu.docker("build", "-t", "ashunot:v1", "-", stdin="FROM devbase:v1@sha256:" + "0" * 64 + "\n").returncode != 0
    rows = room.hostadmin.rows(
        "select status from audit_records where action = 'image.build' and stage = 'outcome' order by seq desc limit 1"
    )
    assert rows == [("not-done",)]
    assert not room.hostadmin.rows("select * from image_tags where tag like '%ashunot%'")
