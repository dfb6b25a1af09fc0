"""A saved image on its way in: spooled to disk, its manifest read strictly (``engine-api.md`` 7.8)."""

import json
import tarfile
import tempfile
from collections.abc import AsyncIterator
from typing import IO, Any, Final, Self

from hostadmin.core.images import FULL_IMAGE_ID

METADATA_LIMIT: Final = 4 << 20
ENTRIES_LIMIT: Final = 100_000
CHUNK: Final = 256 * 1024
ANNOTATIONS: Final = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


class TarRefused(ValueError):  # becomes a refusal
    """The file is not one that an engine and this reader understand alike."""


class ImageTar:
    """Spools one tar and tells which tags and images it would set."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="hostadmin-load-")  # noqa: SIM115  # closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Append bytes of the tar."""
        self._file.write(data)

    def finish(self) -> tuple[list[str], list[str]]:
        """Return the tags and the image ids of the file.

        Raises:
            TarRefused: not a plain tar of an image, or ambiguous.

        """
        self._file.seek(0)
        names: set[str] = set()
        ids: set[str] = set()
        seen: set[str] = set()
        try:
            with tarfile.open(fileobj=self._file, mode="r|*") as archive:
                for count, member in enumerate(archive):
                    name = member.name.removeprefix("./")
                    if count > ENTRIES_LIMIT:
                        raise TarRefused("it has too many entries")
                    if name in seen and not member.isdir():
                        raise TarRefused(f"{name!r} is in it twice")
                    seen.add(name)
                    if name in ("manifest.json", "repositories", "index.json"):
                        self._read(archive, member, name, names, ids)
        except (tarfile.TarError, EOFError, OSError, UnicodeDecodeError) as error:
            raise TarRefused("it is not a tar of images") from error
        if "manifest.json" not in seen:
            raise TarRefused("it has no manifest.json; save it with `docker save`")
        return sorted(names), sorted(ids)

    @staticmethod
    def _read(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str, names: set[str], ids: set[str]) -> None:
        content = archive.extractfile(member)
        if content is None or member.size > METADATA_LIMIT or not member.isreg():
            raise TarRefused(f"{name} is not a plain file")
        try:
            value = json.loads(content.read())
            if name == "manifest.json":
                _from_manifest(value, names, ids)
            elif name == "repositories":
                names.update(f"{repo}:{tag}" for repo, tags in value.items() for tag in tags)
            else:
                names.update(t for m in value.get("manifests", []) if (t := (m.get("annotations") or {}).get(ANNOTATIONS[0])))
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise TarRefused(f"{name} is malformed") from error

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the spooled bytes for the engine."""
        self._file.seek(0)
        while data := self._file.read(CHUNK):
            yield data


def _from_manifest(value: Any, names: set[str], ids: set[str]) -> None:
    for image in value:
        if {k.casefold() for k in image} - {"config", "repotags", "layers", "parent", "layersources"}:
            raise TarRefused("manifest.json has unknown members")
        if len({k.casefold() for k in image}) != len(image) or not set(image) <= {"Config", "RepoTags", "Layers", "Parent", "LayerSources"}:
            raise TarRefused("manifest.json spells members in its own way")
        names.update(image.get("RepoTags") or [])
        digest = f"sha256:{image['Config'].removesuffix('.json').rpartition('/')[2]}"
        if FULL_IMAGE_ID.fullmatch(digest):
            ids.add(digest)
