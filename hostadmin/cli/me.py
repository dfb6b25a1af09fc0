"""`hostadmin me`: one's own."""

from typing import Any

import click

from hostadmin.cli.objects import KINDS, _print_list
from hostadmin.cli.output import pairs, show_json
from hostadmin.cli.users import JSON


@click.group()
def me() -> None:
    """What is yours here."""


@me.command()
@JSON
@click.pass_obj
def whoami(context: Any, as_json: bool) -> None:
    """Say who you are here, and what you may do."""
    view = context.api.call("GET", "me")
    if as_json:
        show_json(view)
        return
    profile = view["profile"]
    pairs(
        [
            *((k, view[k]) for k in ("login", "uid", "docker", "state", "expires")),
            ("profile", profile["name"]),
            ("restart policies", profile["restart_policies"]),
            ("host ports", f"{profile['ports'][0]}-{profile['ports'][1]}"),
        ]
    )


def _add(kind: str) -> None:
    @me.command(f"{kind}s", help=f"List your {kind}s.")
    @JSON
    @click.pass_obj
    def mine(context: Any, as_json: bool) -> None:
        _print_list(kind, context.api.call("GET", "me", f"{kind}s")["items"], as_json=as_json)


for _kind in KINDS:
    _add(_kind)
