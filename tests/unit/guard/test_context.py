"""Dockerfiles and tars: what the builder could read in another way than we do is refused."""

import hashlib
import io
import json
import tarfile

import pytest

from hostadmin.guard.rules.context import BuildContext, find_images
from hostadmin.guard.rules.imagetar import Contents, image_stream, read_contents
from hostadmin.guard.rules.tarstream import TarRefused, TarStream


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
        ("FROM a AS secret\nCOPY --from=secret /x /y", ["a", "secret"]),  # its own stage is not there yet
        ("FROM a AS b\nFROM b\nCOPY --from=b /x /y", ["a"]),
        ("FROM a\nRUN true \\\u00a0\nFROM secret", ["a", "secret"]),  # only blanks may follow the backslash
        ("FROM a\nRUN true \\ \t\nFROM secret", ["a"]),
    ],
)
def test_images_named_by_a_dockerfile(text, images):
    assert find_images(text, {}) == images


def test_build_arguments_count():
    assert find_images("ARG V=1\nFROM a:$V", {"V": "2"}) == ["a:2"]


def test_an_argument_without_a_value_decides_nothing():
    with pytest.raises(TarRefused):
        find_images("ARG B=a\nFROM ${B:-secret}", {"B": None})


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
        "ARG B=a\nARG B\nFROM ${B:-secret}",
        "FROM ${HTTP_PROXY:-a}",
        "FROM ${no_proxy:-a}",
        "FROM a\nCOPY --chown=\u00e0--from=secret /x /y",
        "FROM --platform=\u00e0secret a AS b",
        "FROM a\nRUN <<'E\\'\nRUN x\nE\\\nFROM secret",
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


def finish(stream, data, piece=1000):
    """Return what the stream says of a tar that comes in pieces, and the bytes for the engine."""
    out = b"".join(stream.feed(data[i : i + piece]) for i in range(0, len(data), piece))
    stream.finish()
    found = stream.images({}) if isinstance(stream, BuildContext) else read_contents(stream)
    return found, out + stream.release()


def test_a_context_is_written_anew_with_the_same_files():
    found, out = finish(BuildContext("Dockerfile"), tar(("./Dockerfile", b"FROM a"), ("x", b"hello"), ("l", "x")))
    assert found == ["a"]
    with tarfile.open(fileobj=io.BytesIO(out)) as archive:
        assert archive.getnames() == ["x", "l", "Dockerfile"]
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


CONFIG = b'{"os":"linux"}'
ID = hashlib.sha256(CONFIG).hexdigest()
MANIFEST = [{"Config": f"{ID}.json", "RepoTags": ["x:1"], "Layers": ["l/layer.tar"]}]


def test_tags_and_ids_of_a_saved_image():
    metadata = (("manifest.json", json.dumps(MANIFEST).encode()), ("repositories", b'{"x":{"2":"abc"}}'))
    data = tar(*metadata, ("l/layer.tar", b""), (f"{ID}.json", CONFIG))
    assert finish(image_stream(), data)[0] == Contents({"x:1": f"sha256:{ID}", "x:2": ""}, [f"sha256:{ID}"])


def test_an_index_that_spells_the_same_tag_in_full_adds_nothing():
    index = {
        "manifests": [{"annotations": {"io.containerd.image.name": name}} for name in ("docker.io/library/x:1", "docker.io/library/y:1")]
    }
    data = tar(("manifest.json", json.dumps(MANIFEST).encode()), ("index.json", json.dumps(index).encode()), (f"{ID}.json", CONFIG))
    assert finish(image_stream(), data)[0].names == {"x:1": f"sha256:{ID}", "docker.io/library/y:1": ""}


def test_an_id_is_what_the_configuration_is_not_what_its_file_is_called():
    metadata = ("manifest.json", json.dumps(MANIFEST).encode())
    other = CONFIG + b" "
    real = f"sha256:{hashlib.sha256(other).hexdigest()}"
    assert finish(image_stream(), tar(metadata, (f"{ID}.json", other)))[0] == Contents({"x:1": real}, [real])
    assert finish(image_stream(), tar(metadata))[0] == Contents({"x:1": ""}, [])


@pytest.mark.parametrize("piece", [1, 511, 512, 513, 100_000])
def test_what_decides_is_held_back_to_the_end_however_the_tar_comes(piece):
    layer = bytes(range(256)) * 20
    data = tar(("manifest.json", json.dumps(MANIFEST).encode()), ("l/layer.tar", layer), (f"{ID}.json", CONFIG))
    stream = image_stream()
    before = b"".join(stream.feed(data[i : i + piece]) for i in range(0, len(data), piece))
    assert b"RepoTags" not in before
    stream.finish()
    with tarfile.open(fileobj=io.BytesIO(before + stream.release())) as archive:
        assert archive.getnames() == ["l/layer.tar", f"{ID}.json", "manifest.json"]
        assert archive.extractfile("l/layer.tar").read() == layer


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_tar_is_written_anew_with_what_it_means(form):
    out = io.BytesIO()
    long = "d/" * (40 if form == tarfile.USTAR_FORMAT else 150) + "file"
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, kind, link in ((long, tarfile.REGTYPE, ""), ("s", tarfile.SYMTYPE, long[-90:]), ("dir", tarfile.DIRTYPE, "")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mtime, info.mode, info.uid = kind, link, 1234567, 0o640, 2_000_000
            info.size = 3 if kind == tarfile.REGTYPE else 0
            if form == tarfile.PAX_FORMAT:
                info.pax_headers = {"SCHILY.xattr.user.x": "y", "comment": "no"}
            archive.addfile(info, io.BytesIO(b"abc"))
    stream = TarStream(frozenset(), 0)
    sent = stream.feed(out.getvalue())
    stream.finish()
    with tarfile.open(fileobj=io.BytesIO(sent + stream.release())) as archive:
        first, link, folder = archive.getmembers()
        assert (first.name, first.mode, first.uid, first.mtime) == (long, 0o640, 2_000_000, 1234567)
        assert archive.extractfile(first).read() == b"abc"
        assert (link.linkname, folder.isdir()) == (long[-90:], True)
        assert first.pax_headers.get("SCHILY.xattr.user.x") == ("y" if form == tarfile.PAX_FORMAT else None)
        assert "comment" not in first.pax_headers


def test_what_follows_the_end_of_a_tar_is_not_forwarded():
    data = tar(("x", b"1"))
    stream = TarStream(frozenset(), 0)
    sent = stream.feed(data + tar(("y", b"2")) + b"garbage")
    stream.finish()
    with tarfile.open(fileobj=io.BytesIO(sent + stream.release())) as archive:
        assert archive.getnames() == ["x"]
    assert b"garbage" not in sent


def test_a_first_name_that_reads_as_compression_is_written_in_another_way():
    stream = TarStream(frozenset(), 0)
    sent = stream.feed(tar(("BZh91AY&SY", b"1"), ("BZh", b"2")))
    assert sent.startswith(b"./BZh91")


@pytest.mark.parametrize("cut", [100, 512, 700, 1024])
def test_a_tar_that_is_cut_off_is_refused(cut):
    stream = TarStream(frozenset({"x"}), 5000)
    stream.feed(tar(("x", bytes(1000)))[:cut])
    with pytest.raises(TarRefused):
        stream.finish()


@pytest.mark.parametrize("kind", [b"S", b"V", b"M", b"D", b"z"])
def test_kinds_of_entries_that_nobody_needs_are_refused(kind):
    info = tarfile.TarInfo("x")
    info.type = kind
    with pytest.raises(TarRefused):
        TarStream(frozenset(), 0).feed(info.tobuf(tarfile.GNU_FORMAT))


@pytest.mark.parametrize("said", [{"GNU.sparse.major": "1"}, {"size": "-1"}, {"size": "1e3"}, {"path": "a\0b"}])
def test_extension_headers_that_could_be_read_in_two_ways_are_refused(said):
    info = tarfile.TarInfo("x")
    info.pax_headers = said
    with pytest.raises(TarRefused):
        TarStream(frozenset(), 0).feed(info.tobuf(tarfile.PAX_FORMAT))


def test_a_hard_link_to_a_file_that_is_held_back_follows_it():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        first, second = tarfile.TarInfo("Dockerfile"), tarfile.TarInfo("copy")
        first.size, second.type, second.linkname = 6, tarfile.LNKTYPE, "Dockerfile"
        archive.addfile(first, io.BytesIO(b"FROM a"))
        archive.addfile(second)
    _, sent = finish(BuildContext("Dockerfile"), out.getvalue())
    with tarfile.open(fileobj=io.BytesIO(sent)) as archive:
        assert archive.getnames() == ["Dockerfile", "copy"]


def test_the_builder_takes_a_lower_case_dockerfile_where_there_is_no_other():
    assert finish(BuildContext("Dockerfile"), tar(("dockerfile", b"FROM low")))[0] == ["low"]
    assert finish(BuildContext("Dockerfile"), tar(("dockerfile", b"FROM low"), ("Dockerfile", b"FROM high")))[0] == ["high"]
    with pytest.raises(TarRefused):
        finish(BuildContext("Other"), tar(("other", b"FROM low")))


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
        finish(image_stream(), tar(*entries))


def test_garbage_is_refused():
    with pytest.raises(TarRefused):
        finish(image_stream(), b"garbage" * 1000)
