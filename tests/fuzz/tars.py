"""Tars as lists of members, so that what is in them can be mutated and named anew."""

import io
import json
import random
import tarfile
from collections.abc import Callable
from typing import Final

Member = tuple[str, bytes, str, str]
"""Type flag, name, link, content (text with placeholders where it is text, else latin-1)."""

DOCKERFILES: Final = (
    "FROM @IMG@\nRUN true\n", "FROM alpine\nLABEL io.hostadmin.owner=x\n", "FROM alpine\nADD http://127.0.0.1/x /x\n", "FROM scratch\nCOPY Dockerfile /\n",
    "FROM alpine AS a\nFROM a\nCOPY --from=@IMG@ / /\n", "# syntax=x/y\nFROM alpine\n", "ARG B=@IMG@\nFROM $B\n", "# escape=`\nFROM al`\npine\n", "FROM alpine\nRUN --mount=type=bind,source=/ true\n",
    "FROM alpine\nVOLUME /v\nUSER 0\n", "FROM alpine\nCOPY --from=0 / /\n", "from @IMGID@\n", "FROM alpine\nONBUILD COPY --from=@IMG@ / /\n",
)  # fmt: skip
MANIFESTS: Final = (
    '[{"Config":"@C@","RepoTags":["@IMG@"],"Layers":["layer.tar"]}]', '[{"Config":"@C@","RepoTags":["alpine:latest"],"Layers":["layer.tar"]}]', '[{"Config":"@C@","RepoTags":null,"Layers":["layer.tar"]}]',
    '[{"Config":"@C@","RepoTags":["@NEWIMG@:x"],"repotags":["alpine:latest"],"Layers":["layer.tar"]}]', '[{"Config":"@C@","RepoTags":["@NEWIMG@:y"],"RepoTags":["mysql:latest"],"Layers":["layer.tar"]}]',
    '[{"Config":"../../etc/passwd","RepoTags":["@NEWIMG@:x"],"Layers":["layer.tar"]}]', '[{"Config":"@C@","RepoTags":["@NEWIMG@:x"],"Layers":["/etc/passwd"]}]', "[]", "{}", '[{"Config":"@C@","RepoTags":["@NEWIMG@:x"],"Layers":[]}]',
    '[{"Config":"@C@","RepoTags":["@NEWIMG@:x"],"Parent":"@IMGID@","Layers":["layer.tar"]}]',
)  # fmt: skip
NAMES: Final = (
    "../x",
    "/etc/cron.d/x",
    "a/../../x",
    "./Dockerfile",
    "manifest.json",
    "repositories",
    "index.json",
    "x" * 120,
    "\u00e9",
    "Dockerfile/",
    "layer.tar",
)
LINKS: Final = ("/etc/passwd", "../../../etc/passwd", "Dockerfile", "/proc/1/root", "manifest.json")


def read(data: bytes) -> list[Member] | None:
    """Return the members of a plain tar, ``None`` if it is none."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            return [(m.type.decode(), m.name, m.linkname, (f.read() if (f := tar.extractfile(m)) else b"").decode("latin-1")) for m in tar]
    except (tarfile.TarError, KeyError):
        return None


def write(members: list[Member], fill: Callable[[str], str]) -> bytes:
    """Return a tar of these members; ``fill`` replaces placeholders in a text."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for kind, name, link, content in members:
            info = tarfile.TarInfo(fill(name))
            info.type, info.linkname = kind.encode(), fill(link)
            raw = fill(content).encode("latin-1", "replace")
            info.size = len(raw) if kind == "0" else 0
            tar.addfile(info, io.BytesIO(raw) if kind == "0" else None)
    return out.getvalue()


def mutate(rng: random.Random, members: list[Member]) -> list[Member]:
    """Return the members with one thing about them changed."""
    changed = list(members)
    choice = rng.randrange(7)
    name = rng.choice(NAMES)
    config = next((n for _, n, _, _ in members if n.endswith(".json") and n != "manifest.json"), "c.json")
    text = rng.choice(MANIFESTS).replace("@C@", config) if config != "c.json" else rng.choice(DOCKERFILES)
    main = "manifest.json" if config != "c.json" else "Dockerfile"
    if choice == 0:
        changed.append(("0", main, "", text))
    elif choice == 1:
        changed = [(k, n, link, text if n == main else c) for k, n, link, c in members]
    elif choice == 2:
        changed.append((rng.choice("12"), name, rng.choice(LINKS), ""))
    elif choice == 3:
        changed.insert(0, (rng.choice("0123456"), name, "", ""))
    elif choice == 4:
        changed.append(
            ("0", "repositories", "", json.dumps({"@NEWIMG@": {"x": "0" * 64}, "alpine": {"latest": config.removesuffix(".json")}}))
        )
    elif choice == 5:
        changed = [(k, name if rng.random() < 0.5 else n, link, c) for k, n, link, c in members]
    elif members:
        changed.remove(rng.choice(members))
    return changed
