"""`hostadmin doctor`: findings line by line, and what a class would need."""

import math
import sys
from typing import TYPE_CHECKING, Any

import click

from hostadmin.cli.output import show_json, size

if TYPE_CHECKING:
    from hostadmin.doctor import Finding, Forecast

MOST_PEOPLE = 5000
CLASS = click.option(
    "--class", "people", type=click.IntRange(1, MOST_PEOPLE), metavar="N", help="Say what the host would run out of with N people."
)


def run(settings: Any, people: int | None, *, as_json: bool) -> None:
    """Look, print, and end: 1 if anything fails."""
    from hostadmin.doctor import FAIL, examine, forecast  # noqa: PLC0415

    found: list[Any] = examine(settings) if people is None else forecast(settings, people)
    if as_json:
        show_json([f.as_dict() for f in found])
    else:
        for one in found:
            (_show_finding if people is None else _show_forecast)(one)
    sys.exit(1 if any(f.level == FAIL for f in found) else 0)


def _show_finding(finding: "Finding") -> None:
    print(f"{finding.level:<5} {finding.subject:<14} {finding.text}")


def _show_forecast(finding: "Forecast") -> None:
    remedy = finding.remedy
    print(f"{finding.level:<5} {finding.subject:<18} {_numbers(finding) or remedy.advice}")
    if remedy.file:
        print(f"      put into {remedy.file}:")
        for line in remedy.lines:
            print(f"          {line}")
    if remedy.advice and _numbers(finding):
        print(f"      {remedy.advice}")


def _numbers(finding: "Forecast") -> str:
    """Return need and have in one phrase; empty for what has no numbers."""
    if finding.need is None:
        return ""
    most = "" if finding.most is None else f" (up to {_number(finding.most, finding.unit)} by the profile)"
    unit = f" {finding.unit}" if finding.unit not in ("", "bytes") else ""
    have = "unknown" if finding.have is None else f"{_number(finding.have, finding.unit)}{unit}"
    return f"need {_number(finding.need, finding.unit)}{most}, have {have}"


def _number(value: float, unit: str) -> str:
    if math.isinf(value):
        return "no limit"
    return size(int(value)) if unit == "bytes" else f"{value:g}" if value % 1 else str(int(value))
