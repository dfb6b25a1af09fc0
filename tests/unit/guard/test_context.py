"""Dockerfiles and tars: what the builder could read in another way than we do is refused."""

import asyncio
import io
import json
import tarfile

import pytest

from hostadmin.guard.rules.context import BuildContext, find_images
from hostadmin.guard.rules.imagetar import ImageTar
from hostadmin.guard.rules.spool import TarRefused


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("FROM alpine", ["alpine"]),
        ("from alpine\nRUN true", ["alpine"]),
        ("# comment\n\nFROM --platform=linux/amd64 a/b:1 AS Build\nFROM scratch\nCOPY --from=build /x /y", ["a/b:1"]),
        ("FROM a\nFROM b\nCOPY --from=0 /x /y\nCOPY --from=1 /x /y\nCOPY --from=2 /x /y", ["a", "b", "2"]),
        ("ARG V=3\nFROM a:${V}\nFROM b:${W:-x}", ["a:3", "b:x"]),
        ("FROM a \\\n  AS x\nCOPY \\\n # comment\n --from=other /x /y", ["a", "other"]),
        ("FROM a\nONBUILD COPY --from=secret /x /y", ["a", "secret"]),
        ("FROM a\nCOPY --chown=1 --from=secret /x /y", ["a", "secret"]),
        ("FROM 0", ["0"]),
    ],
)
def test_images_named_by_a_dockerfile(text, images):
    assert find_images(text, {}) == images


def test_build_arguments_count():
    assert find_images("ARG V=1\nFROM a:$V", {"V": "2"}) == ["a:2"]


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\nCOPY\v--from=secret /x /y",
        "FROM a\nCOPY\f--from=secret /x /y",
        "FROM a\nCOPY --fr\\om=secret /x /y",
        'FROM a\nCOPY --"from"=secret /x /y',
        "FROM a\nCOPY --from=$X /x /y",
        "FROM a\nRUN echo \\\\\nCOPY --from=secret /x /y",
        "# escape=`\nFROM a\nRUN x `\nCOPY --from=secret /x /y",
        "FROM a\nADD http://169.254.169.254/ /x",
        "FROM a\nADD $URL /x",
        'FROM a\nADD ["https://x/y", "/x"]',
        "FROM a\nADD git@github.com:a/b /x",
        "FROM a$X",
        'FROM "a"',
        "FROM al\\pine",
        "FROM a b c d",
        "FROM",
        "FROM a\nWONDER x",
        "FROM a\nRUN x\rCOPY --from=secret /x /y",
    ],
)  # fmt: skip
def test_what_cannot_be_known_is_refused(text):
    with pytest.raises(TarRefused):
        find_images(text, {})


def tar(*entries, compress=""):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{compress}") as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def finish(spool, data):
    with spool:
        spool.write(data)
        found = spool.finish({}) if isinstance(spool, BuildContext) else spool.finish()

        async def read():
            return b"".join([c async for c in spool.chunks()])

        return found, asyncio.run(read())


def test_a_context_is_written_anew_with_the_same_files():
    found, out = finish(BuildContext("Dockerfile"), tar(("./Dockerfile", b"FROM a"), ("x", b"hello"), ("l", "x"), compress="gz"))
    assert found == ["a"]
    with tarfile.open(fileobj=io.BytesIO(out)) as archive:
        assert archive.getnames() == ["Dockerfile", "x", "l"]
        assert archive.extractfile("x").read() == b"hello"


@pytest.mark.parametrize(
    "entries",
    [
        [("Dockerfile", b"FROM a"), ("Dockerfile", b"FROM b")],
        [("Dockerfile", b"FROM a"), ("./Dockerfile", b"FROM b")],
        [("Dockerfile", b"FROM a"), ("x/../Dockerfile", b"FROM b")],
        [("Dockerfile", b"FROM a"), ("/Dockerfile", b"FROM b")],
        [("Dockerfile", b"FROM a"), ("d", "."), ("d/Dockerfile", b"FROM b")],
        [("Dockerfile", "other"), ("other", b"FROM b")],
        [("../Dockerfile", b"FROM a")],
        [("other", b"FROM a")],
    ],
    ids=["twice", "dot", "dotdot", "absolute", "below a link", "a link", "outside", "missing"],
)
def test_contexts_with_two_readings_are_refused(entries):
    with pytest.raises(TarRefused):
        finish(BuildContext("Dockerfile"), tar(*entries))


MANIFEST = [{"Config": "a" * 64 + ".json", "RepoTags": ["x:1"], "Layers": ["l/layer.tar"]}]


def test_tags_and_ids_of_a_saved_image():
    data = tar(("manifest.json", json.dumps(MANIFEST).encode()), ("repositories", b'{"x":{"2":"abc"}}'), ("l/layer.tar", b""))
    assert finish(ImageTar(), data)[0] == ({"x:1": "sha256:" + "a" * 64, "x:2": ""}, ["sha256:" + "a" * 64])


@pytest.mark.parametrize(
    "entries",
    [
        [("x", b"")],
        [("manifest.json", b'[{"Config":"a","repotags":["x:1"],"Layers":[]}]')],
        [("manifest.json", b'[{"Config":"a","RepoTags":["x:1"],"RepoTags":["y:1"],"Layers":[]}]')],
        [("manifest.json", json.dumps(MANIFEST).encode()), ("d", "."), ("d/manifest.json", b"[]")],
        [("manifest.json", b"{}"), ("manifest.json", json.dumps(MANIFEST).encode())],
        [("manifest.json", b"not json")],
    ],
    ids=["none", "spelling", "twice in JSON", "below a link", "twice", "no JSON"],
)
def test_saved_images_with_two_readings_are_refused(entries):
    with pytest.raises(TarRefused):
        finish(ImageTar(), tar(*entries))


def test_garbage_is_refused():
    with pytest.raises(TarRefused):
        finish(ImageTar(), b"garbage" * 1000)
