"""A saved image on its way in: its tags and ids, read strictly from its manifest (``engine-api.md`` 7.8)."""

from typing import Any, Final

from hostadmin.core.images import FULL_IMAGE_ID
from hostadmin.guard.refusal import Refusal
from hostadmin.guard.rules.spool import Spool, TarRefused
from hostadmin.guard.strictjson import parse_json

METADATA: Final = frozenset({"manifest.json", "repositories", "index.json"})
METADATA_LIMIT: Final = 4 << 20
NAME_ANNOTATIONS: Final = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
MEMBERS: Final = frozenset({"Config", "RepoTags", "Layers", "Parent", "LayerSources"})


class ImageTar(Spool):
    """Spools one saved image and tells which tags and images it would set."""

    def __init__(self) -> None:
        super().__init__(METADATA, METADATA_LIMIT)

    def finish(self) -> tuple[dict[str, str], list[str]]:
        """Return the tags of the file with the image id that each will name (empty if unknown), and all image ids.

        Raises:
            TarRefused: not a plain tar of images, or ambiguous.

        """
        found = self.rebuild()
        if "manifest.json" not in found:
            raise TarRefused("it has no manifest.json; save it with `docker save`")
        names: dict[str, str] = {}
        ids: set[str] = set()
        others: set[str] = set()
        try:
            for name, data in found.items():
                value = parse_json(data, name)
                if name == "manifest.json":
                    _from_manifest(value, names, ids)
                elif name == "repositories":
                    others |= {f"{repository}:{tag}" for repository, tags in value.items() for tag in tags}
                else:
                    others |= _from_index(value)
        except (TypeError, AttributeError, KeyError, Refusal) as error:
            raise TarRefused("its manifest is malformed") from error
        return {**dict.fromkeys(sorted(others - set(names)), ""), **names}, sorted(ids)


def _from_manifest(value: Any, names: dict[str, str], ids: set[str]) -> None:
    for image in value:
        if not set(image) <= MEMBERS:
            raise TarRefused("manifest.json has unknown members, or spells them in its own way")
        digest = f"sha256:{image['Config'].removesuffix('.json').rpartition('/')[2]}"
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
