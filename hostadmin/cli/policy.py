"""`hostadmin policy`."""

from pathlib import Path
from typing import Any

import click

from hostadmin.cli.me import show_quotas
from hostadmin.cli.output import pairs, show_json, table
from hostadmin.cli.users import JSON


@click.group()
def policy() -> None:
    """Profiles: what somebody may ask of the engine."""


@policy.command("list")
@JSON
@click.pass_obj
def list_policies(context: Any, as_json: bool) -> None:
    """List the profiles in force."""
    items = context.api.call("GET", "policies")["items"]
    if as_json:
        show_json(items)
        return
    columns = ("name", "default", "restart_policies", "restart_default", "stopped_hours", "description")
    table(columns, ([i[c] for c in columns] for i in items))


@policy.command()
@click.argument("login", required=False)
@JSON
@click.pass_obj
def show(context: Any, login: str | None, as_json: bool) -> None:
    """Show the profile of an account, or the default one."""
    if login:
        view = context.api.call("GET", "policies", "of", login)
    else:
        view = next(i for i in context.api.call("GET", "policies")["items"] if i["default"])
    if as_json:
        show_json(view)
        return
    use = view.pop("use", None)
    pairs(view.items())
    if use:
        print()
        show_quotas(use["quotas"])


@policy.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--default", default="student", help="The profile that must be there.")
def check(file: Path, default: str) -> None:
    """Check a file of profiles."""
    from hostadmin.policy.profiles import load  # noqa: PLC0415

    known = load(file, default)
    print(f"{file}: {len(known.by_name)} profiles: {', '.join(known.by_name)}")
