"""Image files made by hand: what `docker save` writes, and what it never would."""

import hashlib
import io
import json
import tarfile
from typing import Any


def layer(name: str, content: bytes) -> bytes:
    """Return a layer with one file."""
    return tar((name, content))


def tar(*entries: tuple[str, bytes | str]) -> bytes:
    """Return a tar of files (bytes) and symbolic links (text)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def image_file(
    tags: list[str], content: bytes, *, called: str = "", with_config: bool = True, changed: dict[str, Any] | None = None
) -> tuple[bytes, str]:
    """Return an image file with one layer, and the id of its image.

    Args:
        tags: its ``RepoTags``.
        content: of the file ``/it`` in the image.
        called: what the configuration is called in the file, if not after its hash.
        with_config: whether the configuration is in the file at all.
        changed: members of the configuration to be added.

    """
    inner = layer("it", content)
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(inner).hexdigest()}"]}
    config = json.dumps({"os": "linux", "architecture": "amd64", "config": {"Cmd": ["true"]}, "rootfs": rootfs, **(changed or {})}).encode()
    digest = hashlib.sha256(config).hexdigest()
    name = called or f"{digest}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": tags, "Layers": ["l/layer.tar"]}]).encode()
    entries: list[tuple[str, bytes | str]] = [("manifest.json", manifest), ("l/layer.tar", inner)]
    if with_config:
        entries.append((name, config))
    return tar(*entries), f"sha256:{digest}"
