"""What commands print: JSON as the API gives it, tables for people, plain values for pipes."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

UNITS = ("B", "kB", "MB", "GB", "TB")


def show_json(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def clean(value: Any) -> str:
    """Return text of a cell: control characters cannot forge a line."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(clean(v) for v in value) or "-"
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(value))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print columns aligned, under their names."""
    cells = [[name.upper() for name in columns], *([clean(v) for v in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        print("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def pairs(rows: Iterable[tuple[str, Any]]) -> None:
    """Print names and values, one a line."""
    known = list(rows)
    width = max(len(name) for name, _ in known)
    for name, value in known:
        print(f"{name.ljust(width)}   {clean(value)}")


def size(count: int) -> str:
    """Return bytes as the docker CLI writes them."""
    value = float(count)
    for unit in UNITS:
        if value < 1000 or unit == UNITS[-1]:
            return f"{value:.3g}{unit}"
        value /= 1000
    return str(count)


def short(ref: str) -> str:
    """Return an id in its short form."""
    return ref.removeprefix("sha256:")[:12]
