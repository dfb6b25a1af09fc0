"""What two runs of one flow cannot have in common, replaced by what it is: ids in their order, times, addresses."""

import re
from typing import Final

_ID: Final = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b|(?<=sha256:)[0-9a-f]{12,64}\b")
_PLAIN: Final = tuple(
    (re.compile(pattern), what)
    for pattern, what in (
        (r"unix:///run/(docker|bare)\.sock", "<socket>"),
        (r"/home/ashu/(guarded|bare)\b", "<home>"),
        (r"/mnt/(docker|bare)/data", "<data>"),
        (r"/run/(docker|bare)/netns", "<netns>"),
        (r" +\.\.\. ", " ... "),  # docker-compose 1.29 indents by the longest name it knows when it writes the line
        (r"Docker daemon +[\d.]+ ?k?B", "Docker daemon <size>"),
        # the CLI says it when the goroutine that waits is faster than the end of the one that starts
        (r'(?m)^time="[^"]*" level=error msg="error waiting for container: context canceled"\n', ""),
        (r"(/ # )+", "/ # "),  # a shell draws its prompt again when the terminal's size comes
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?[+-]\d\d:?\d\d| ?Z)?( [A-Z]{3})?", "<time>"),
        (r"\b1[0-9]{9}(\.[0-9]{9}|[0-9]{9})?\b", "<stamp>"),
        (r"[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d \d{4}", "<time>"),
        (r"\b(Less than a second|\d+ seconds?|About a minute|\d+ minutes?)\b( ago)?", "<while>"),
        (r"\b172\.(1[789]|2\d|3[01])\.\d+\.\d+\b", "<address>"),
        (r"\b192\.168\.\d+\.\d+\b", "<address>"),
        (r"\b0?[0-9a-f]{1,2}(:[0-9a-f]{2}){5}\b", "<mac>"),
        (r"\b(49[1-9]\d\d|5\d{4}|3[2-9]\d{3})\b(?=->|\"|$|\n)", "<port>"),
        (r"(?<=\"Pid\": )[1-9]\d*", "<pid>"),
        (r"(?<= at )0x[0-9a-f]+", "<where>"),
    )
)
_NUMBER: Final = re.compile(r"\d+(\.\d+)?(?:e[+-]\d+)?")
_SPACES: Final = re.compile(r" {2,}|\t+")


def normalise(text: str, *, numbers: bool = False, any_order: bool = False) -> str:
    """Return what a program printed with everything replaced that differs from run to run by nature.

    Args:
        text: what was printed.
        numbers: whether all figures are measurements.
        any_order: whether the lines may come in another order.

    """
    text = text.replace("\r", "")
    for pattern, what in _PLAIN:
        text = pattern.sub(what, text)
    text = _SPACES.sub("  ", text)  # a column is as wide as what stands in it
    text = _ids_in_order(text)
    if numbers:
        text = _NUMBER.sub("<n>", text)
    return "\n".join(sorted(text.split("\n"))) if any_order else text


def _ids_in_order(text: str) -> str:
    known: dict[str, str] = {}

    def name(found: "re.Match[str]") -> str:
        short = found[0][:12]
        return known.setdefault(short, f"<id{len(known) + 1}>") + ("" if len(found[0]) == 12 else "...")

    return _ID.sub(name, text)
