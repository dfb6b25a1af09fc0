"""`hostadmin audit`."""

import json
import time
from typing import Any

import click

from hostadmin.cli.output import clean, pairs, show_json
from hostadmin.cli.users import JSON

FOLLOW_SECONDS = 0.5


def _line(record: dict[str, Any]) -> str:
    actor = record["actor_login"] or record["actor"].get("uid", "?")
    thing = record["object_name"] or (record["object_id"] or "")[:12]
    verdict = record["decision"] if record["stage"] in ("intent", "event") else record["status"]
    text = record["detail"].get("message", "") if isinstance(record["detail"], dict) else ""
    parts = (record["seq"], record["ts"][:23], actor, record["stage"], record["action"], thing, verdict, record["rule"], text)
    return "  ".join(clean(p) for p in parts)


def _print(records: list[dict[str, Any]], *, as_json: bool) -> None:
    for record in records:
        print(json.dumps(record) if as_json else _line(record), flush=True)


@click.group()
def audit() -> None:
    """One record before and its outcome after every change; one for every refusal."""


@audit.command("list")
@click.option("--actor", metavar="LOGIN", help="Only what this account did.")
@click.option("--action", help="For example container.create, or container.")
@click.option("--object", "object_", metavar="REF", help="A name, or the beginning of an id.")
@click.option("--since", metavar="TIME", help="RFC 3339, for example 2026-11-24T09:00:00.")
@click.option("--decision", type=click.Choice(["allow", "deny", "would-refuse"]), help="Only these.")
@click.option("--limit", default=100, show_default=True, help="The newest so many.")
@JSON
@click.pass_obj
def list_records(
    context: Any,
    actor: str | None,
    action: str | None,
    object_: str | None,
    since: str | None,
    decision: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List records, oldest first."""
    query = {"actor": actor, "action": action, "object": object_, "since": since, "decision": decision, "limit": limit}
    items = context.api.call("GET", "audit", **query)["items"]
    if as_json:
        show_json(items)
    else:
        _print(items, as_json=False)


@audit.command()
@click.argument("seq", type=int)
@JSON
@click.pass_obj
def show(context: Any, seq: int, as_json: bool) -> None:
    """Show one record."""
    record = context.api.call("GET", "audit", str(seq))
    if as_json:
        show_json(record)
        return
    for key, value in record.items():
        pairs([(key, None)] + [(f"  {k}", v) for k, v in value.items()] if isinstance(value, dict) and value else [(key, value)])


@audit.command()
@click.option("-n", "count", default=10, show_default=True, help="Begin with the last so many.")
@JSON
@click.pass_obj
def tail(context: Any, count: int, as_json: bool) -> None:
    """Follow the records as they come."""
    items = context.api.call("GET", "audit", limit=max(count, 1))["items"]
    _print(items[-count:] if count else [], as_json=as_json)
    last = items[-1]["seq"] if items else 0
    while True:
        time.sleep(FOLLOW_SECONDS)
        items = context.api.call("GET", "audit", after=last, limit=500)["items"]
        _print(items, as_json=as_json)
        last = items[-1]["seq"] if items else last
