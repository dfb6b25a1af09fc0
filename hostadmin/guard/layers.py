"""How much disk images take together: layers that several share count once. Pure arithmetic.

Only the images that are handed in count, so the sum says nothing of what others have.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

_MAKES_LAYER: Final = ("#(nop) ADD", "#(nop) COPY")


@dataclass(frozen=True, slots=True)
class Stack:
    """An image's layers, lowest first, and the size of each pile of the lowest n of them (bytes), as far as known."""

    image: str
    layers: tuple[str, ...]
    sizes: dict[int, int]

    def size(self, count: int) -> int:
        """Return the size of the lowest ``count`` layers, or of fewer where that is not known."""
        return max((size for n, size in self.sizes.items() if n <= count), default=0)


def read_stack(found: dict[str, Any], history: Iterable[dict[str, Any]]) -> Stack:
    """Return an image's stack from its inspect and its history (newest step first).

    The history does not say which of its empty steps made an (empty) layer; where that stays open, only the whole
    image's size is known.
    """
    layers = tuple((found.get("RootFS") or {}).get("Layers") or ())
    sizes = {0: 0, len(layers): int(found.get("Size") or 0)}
    steps = [s for s in reversed(list(history)) if s.get("Size") or _made_layer(s.get("CreatedBy") or "")]
    if len(steps) == len(layers):
        total = 0
        for count, step in enumerate(steps[:-1], 1):
            total += int(step.get("Size") or 0)
            sizes[count] = total
    return Stack(str(found["Id"]), layers, sizes)


def _made_layer(created_by: str) -> bool:
    return any(word in created_by for word in _MAKES_LAYER) or ("#(nop)" not in created_by and created_by.startswith("/bin/sh -c "))


def _common(one: Stack, other: Stack) -> int:
    count = 0
    for mine, theirs in zip(one.layers, other.layers, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def shared_sizes(stacks: list[Stack]) -> dict[str, int]:
    """Return image id → size of those of its layers that another image of ``stacks`` has too (bytes)."""
    return {s.image: s.size(max((_common(s, o) for o in stacks if o is not s), default=0)) for s in stacks}


def total_size(stacks: list[Stack]) -> int:
    """Return the size of all layers of ``stacks``, each once (bytes)."""
    counted: list[Stack] = []
    total = 0
    for stack in sorted(stacks, key=lambda s: len(s.layers)):
        known = stack.size(max((_common(stack, c) for c in counted), default=0))
        total += stack.size(len(stack.layers)) - known
        counted.append(stack)
    return total
