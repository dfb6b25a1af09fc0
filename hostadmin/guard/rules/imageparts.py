"""What newer engines say of an image's parts: whose containers use it, where it came from (``engine-api.md`` 6.8)."""

from typing import Any, Final

SHOWN_IDENTITY: Final = ("Signature",)  # Pull and Build name repositories and builds of others


def hide_others(image: dict[str, Any], containers: frozenset[str] | set[str]) -> None:
    """Take out of ``Manifests`` and ``Identity`` what tells of others' containers, pulls and builds.

    Args:
        image: one image of a list or an inspect; changed in place.
        containers: ids of the caller's containers.

    """
    parts = [m.get("ImageData") or {} for m in image.get("Manifests") or []]
    for part in (image, *parts):
        if part.get("Identity"):
            part["Identity"] = {name: given for name, given in part["Identity"].items() if name in SHOWN_IDENTITY}
    for part in parts:
        if "Containers" in part:
            part["Containers"] = [c for c in part["Containers"] or [] if c in containers]
