"""Tars as an attacker writes them: build contexts and saved images with a twist."""

import gzip
import hashlib
import io
import json
import tarfile
from typing import Any

WHO = b"mine\n"


def context(dockerfile: str | bytes, files: dict[str, bytes] | None = None) -> bytes:
    """Return an ordinary build context."""
    text = dockerfile.encode() if isinstance(dockerfile, str) else dockerfile
    return tar({"Dockerfile": text, **(files or {})})


def tar(files: dict[str, bytes]) -> bytes:
    """Return a tar of plain files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name, data in files.items():
            made.addfile(_plain(name, data), io.BytesIO(data))
    return out.getvalue()


def disguised(files: dict[str, bytes], name: str, evil: bytes) -> bytes:
    """Return a tar whose last member is ``name`` by its pax path, and something else by a sparse name.

    Python's reader takes the name that comes last; Go's knows the sparse one only in a sparse file.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as made:
        for known, data in files.items():
            made.addfile(_plain(known, data), io.BytesIO(data))
        info = _plain("junk", evil)
        info.pax_headers = {"path": name, "GNU.sparse.name": "junk"}
        made.addfile(info, io.BytesIO(evil))
    return out.getvalue()


def twice(name: str, first: bytes, second: bytes) -> bytes:
    """Return a tar with a file twice: readers may take the first or the last."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for data in (first, second):
            made.addfile(_plain(name, data), io.BytesIO(data))
    return out.getvalue()


def linked(name: str, to: str, more: dict[str, bytes], *, hard: bool = False) -> bytes:
    """Return a tar in which ``name`` is a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for known, data in more.items():
            made.addfile(_plain(known, data), io.BytesIO(data))
        info = tarfile.TarInfo(name)
        info.type, info.linkname = (tarfile.LNKTYPE if hard else tarfile.SYMTYPE), to
        made.addfile(info)
    return out.getvalue()


def image(tags: list[str], *, config_name: str = "", who: bytes = WHO, config: dict[str, Any] | None = None, **members: Any) -> bytes:
    """Return a saved image of one layer; ``config_name`` replaces the name of its configuration."""
    return tar(image_files(tags, config_name=config_name, who=who, config=config, **members))


def image_files(
    tags: list[str], *, config_name: str = "", who: bytes = WHO, config: dict[str, Any] | None = None, **members: Any
) -> dict[str, bytes]:
    """Return the files of a saved image."""
    layer = tar({"who": who})
    digest = hashlib.sha256(layer).hexdigest()
    inner = {
        "architecture": "amd64",
        "os": "linux",
        "config": config or {"Cmd": ["true"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": "2022-04-04T00:00:00Z", "created_by": "attack"}],
    }
    data = json.dumps(inner).encode()
    name = config_name or f"{hashlib.sha256(data).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": tags, "Layers": ["layer.tar"], **members}]
    return {name: data, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}


def bomb(megabytes: int) -> bytes:
    """Return a gzip of a tar that is mostly nothing."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as packed:
        info = _plain("zeros", b"")
        info.size = megabytes << 20
        packed.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(megabytes):
            packed.write(bytes(1 << 20))
        packed.write(bytes(1024))
    return out.getvalue()


def _plain(name: str, data: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), 0o644, 1_649_049_000
    return info
