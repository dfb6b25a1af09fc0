"""Which tags are being set or used right now: what the guard knows of its own requests under way, in memory."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class TagState:
    """Tags under way. Kept only while the requests run; the ledger holds what lasts."""

    def __init__(self) -> None:
        self._set: Counter[str] = Counter()
        self._used: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def being_set(self, tags: list[str]) -> Iterator[None]:
        """Note that tags are about to be set: nobody gives up a claim on them meanwhile."""
        with _counted(self._set, tags):
            yield

    @contextmanager
    def being_used(self, tags: list[str], owner: str) -> Iterator[None]:
        """Note that the engine will resolve these names for an account: nobody else may set them meanwhile."""
        with _counted(self._used, [(tag, owner) for tag in tags]):
            yield

    def setters(self, tag: str) -> int:
        """Return how many requests are setting a tag."""
        return self._set[tag]

    def is_used_by_others(self, tag: str, owner: str) -> bool:
        """Tell whether a request of somebody else needs a tag to stay what it is."""
        return any(used == tag and who != owner for used, who in self._used)


@contextmanager
def _counted(counter: "Counter[T]", keys: list[T]) -> Iterator[None]:
    counter.update(keys)
    try:
        yield
    finally:
        counter.subtract(keys)
        for key in [key for key in keys if counter[key] <= 0]:
            counter.pop(key, None)
