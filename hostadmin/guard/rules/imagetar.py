"""A saved image on its way in: its tags and ids, read strictly from its manifest (``engine-api.md`` 7.8)."""

import re
from dataclasses import dataclass
from typing import Any, Final

from hostadmin.core.images import FULL_IMAGE_ID, parse_reference
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.rules.tarstream import TarRefused, TarStream
from hostadmin.guard.strictjson import parse_json

METADATA: Final = frozenset({"manifest.json", "repositories", "index.json"})
METADATA_LIMIT: Final = 4 << 20
NAME_ANNOTATIONS: Final = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
CONFIGURATION: Final = re.compile(r"[0-9a-f]{64}\.json|blobs/sha256/[0-9a-f]{64}")
MEMBERS: Final = frozenset({"Config", "RepoTags", "Layers", "Parent", "LayerSources"})


@dataclass(frozen=True, slots=True)
class Contents:
    """What a saved image would set: each tag with the image id that it will name (empty if unknown), and all ids.

    An id is the SHA-256 of the image's configuration as it is in the file, whatever that is called there.
    """

    names: dict[str, str]
    ids: list[str]


def image_stream() -> TarStream:
    """Return the stream of one saved image; what names its tags is held back."""
    return TarStream(METADATA, METADATA_LIMIT, CONFIGURATION)


def read_contents(stream: TarStream) -> Contents:
    """Read the metadata of a saved image that has come in whole.

    Raises:
        TarRefused: no image, or ambiguous.

    """
    if "manifest.json" not in stream.found:
        raise TarRefused("it has no manifest.json; save it with `docker save`")
    names: dict[str, str] = {}
    ids: set[str] = set()
    others: set[str] = set()
    try:
        for name, data in stream.found.items():
            value = parse_json(data, name)
            if name == "manifest.json":
                _from_manifest(value, stream.hashes, names, ids)
            elif name == "repositories":
                others |= {f"{repository}:{tag}" for repository, tags in value.items() for tag in tags}
            else:
                others |= _from_index(value)
    except (TypeError, AttributeError, KeyError, Refusal) as error:
        raise TarRefused("its manifest is malformed") from error
    known = {_same(name) for name in names}
    return Contents({**{name: "" for name in sorted(others) if _same(name) not in known}, **names}, sorted(ids))


def _same(name: str) -> str:
    """Return a name as it is compared: an index spells a tag out in full that the manifest abbreviates."""
    reference = parse_reference(name)
    return reference.tagged if reference is not None else name


def _from_manifest(value: Any, hashes: dict[str, str], names: dict[str, str], ids: set[str]) -> None:
    for image in value:
        if not set(image) <= MEMBERS:
            raise TarRefused("manifest.json has unknown members, or spells them in its own way")
        digest = f"sha256:{hashes.get(image['Config'], '')}"
        known = FULL_IMAGE_ID.fullmatch(digest) is not None
        for name in image.get("RepoTags") or []:
            if name in names:
                raise TarRefused(f"the tag {name!r} is in it twice")
            names[name] = digest if known else ""
        if known:
            ids.add(digest)


def _from_index(value: Any) -> set[str]:
    """Return full names in an OCI index; a bare tag (``latest``) names nothing by itself."""
    found = set()
    for manifest in value.get("manifests") or []:
        annotations = manifest.get("annotations") or {}
        found |= {name for key in NAME_ANNOTATIONS if (name := annotations.get(key)) and (":" in name or "/" in name)}
    return found
