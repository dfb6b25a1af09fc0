"""`hostadmin me`: one's own."""

from typing import Any

import click

from hostadmin.cli.objects import KINDS, _print_list
from hostadmin.cli.output import clean, pairs, show_json, size, table
from hostadmin.cli.users import JSON


@click.group(invoke_without_command=True)
@click.pass_context
def me(context: click.Context) -> None:
    """What is yours here; alone: who you are, and what you hold against your limits."""
    if context.invoked_subcommand is None:
        context.invoke(whoami, as_json=False)


@me.command()
@JSON
@click.pass_obj
def whoami(context: Any, as_json: bool) -> None:
    """Say who you are here, and what you may do."""
    view = context.api.call("GET", "me")
    if as_json:
        show_json(view)
        return
    if view["notice"]:
        print(f"{clean(view['notice'])}\n")
    profile = view["profile"]
    pairs(
        [
            *((k, view[k]) for k in ("login", "uid", "docker", "state", "expires")),
            ("profile", profile["name"]),
            ("restart policies", profile["restart_policies"]),
            ("host ports", f"{profile['ports'][0]}-{profile['ports'][1]}"),
        ]
    )
    print()
    show_quotas(view["quotas"])


@me.command()
@JSON
@click.pass_obj
def quota(context: Any, as_json: bool) -> None:
    """Show how much of the host you hold, against what your profile allows."""
    view = context.api.call("GET", "me", "quota")
    if as_json:
        show_json(view)
        return
    show_quotas(view["quotas"])
    ports = view["ports"]
    print(f"\nprofile {view['profile']}; your host ports: {f'{ports[0]}-{ports[1]}' if ports else 'a block, allotted with the first one'}")
    for what, text in (("of them yours alone", _span(view["own_ports"])), ("your subnet, for --subnet", view["own_subnet"])):
        if text:
            print(f"{what}: {text}")


def _span(ports: list[int] | None) -> str:
    return f"{ports[0]}-{ports[1]}" if ports else ""


def show_quotas(rows: list[dict[str, Any]]) -> None:
    """Print use against limits."""

    def amount(row: dict[str, Any], key: str) -> str:
        return size(row[key]) if row["unit"] else str(row[key])

    table(
        ("quota", "used", "limit", "what frees some"),
        ([r["name"], amount(r, "used"), amount(r, "limit") if r["limit"] else "no limit", r["frees"]] for r in rows),
    )


def _add(kind: str) -> None:
    @me.command(f"{kind}s", help=f"List your {kind}s.")
    @JSON
    @click.pass_obj
    def mine(context: Any, as_json: bool) -> None:
        _print_list(kind, context.api.call("GET", "me", f"{kind}s")["items"], as_json=as_json)


for _kind in KINDS:
    _add(_kind)
