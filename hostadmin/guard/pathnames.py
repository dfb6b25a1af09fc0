"""What a path may name: the grammar of every captured parameter, decided before anything is asked (R3, T4).

Whatever does not match is answered as the engine answers a name that it does not have; no grammar admits ``%``,
a backslash, a control character or a space, so that a decoded parameter has one reading.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hostadmin.core.images import looks_like_id, parse_reference
from hostadmin.guard.refusal import Refusal, malformed

_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,511}")


@dataclass(frozen=True, slots=True)
class Grammar:
    """One kind of name: whether a text is one, and the answer if it is not."""

    matches: Callable[[str], bool]
    status: int
    answer: str

    def check(self, text: str) -> str:
        """Return ``text``.

        Raises:
            Refusal: it is not a name of this kind.

        """
        if not self.matches(text):
            raise self.refusal(text)
        return text

    def refusal(self, text: str) -> Refusal:
        """Return the answer, as the engine gives it."""
        return malformed(self.answer.format(text[:128]), status=self.status)


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def _is_image(text: str) -> bool:
    return looks_like_id(text) or parse_reference(text) is not None


def _is_exec(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


NAME: Final = Grammar(_is_name, 404, "page not found")
GRAMMARS: Final[Mapping[str, Grammar]] = {
    "containers": Grammar(lambda text: _is_name(text.removeprefix("/")), 404, "No such container: {}"),
    "exec": Grammar(_is_exec, 404, "No such exec instance: {}"),
    "networks": Grammar(_is_name, 404, "network {} not found"),
    "volumes": Grammar(_is_name, 404, "get {}: no such volume"),
    "images": Grammar(_is_image, 400, "invalid reference format"),
    "distribution": Grammar(_is_image, 400, "invalid reference format"),
    "plugins": Grammar(_is_image, 400, "invalid reference format"),
    "{any}": Grammar(lambda _text: True, 404, "page not found"),
}
"""By the first segment of a template; ``NAME`` for the others. The text of images is one that the CLI goes on at (1.8)."""


def grammar_of(template: str) -> Grammar:
    """Return the grammar of what a template captures."""
    return GRAMMARS.get(template.split("/")[1], NAME)
