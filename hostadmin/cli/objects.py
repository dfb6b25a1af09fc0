"""`hostadmin container|network|volume|image`, and `hostadmin owner`."""

import sys
from typing import Any

import click

from hostadmin.cli.output import clean, pairs, short, show_json, size, table
from hostadmin.cli.users import JSON, YES

COLUMNS = {
    "container": ("name", "id", "owner", "attribution", "image", "state", "restart", "ports"),
    "network": ("name", "id", "owner", "attribution", "driver", "subnet"),
    "volume": ("name", "owner", "attribution", "driver"),
    "image": ("name", "id", "owner", "attribution", "tags", "size"),
}
KINDS = tuple(COLUMNS)


def _cell(item: dict[str, Any], column: str) -> Any:
    if column == "id":
        return short(item["ref"])
    if column == "size":
        return size(item.get("size") or 0)
    return item.get(column)


def _print_list(kind: str, items: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        show_json(items)
        return
    table(COLUMNS[kind], ([_cell(i, c) for c in COLUMNS[kind]] for i in items))


def show_container(view: dict[str, Any]) -> None:
    """Print the host-side view of a container."""
    policy = f"{view['restart_policy']} (restarted {view['restart_count']} times)"
    pairs(
        [
            ("name", view["name"]),
            ("id", view["ref"]),
            ("owner", f"{view['owner'] or 'nobody'} ({view['attribution']})"),
            ("image", view["image"]),
            ("command", view["command"]),
            ("state", view["state"]),
            ("pid on the host", view["pid"]),
            ("cgroup", view["cgroup"]),
            ("restart policy", policy),
            ("ports", [f"{p} <- {', '.join(b)}" if b else p for p, b in view["ports"].items()]),
        ]
    )
    if view["namespaces"]:
        print("\nnamespaces")
        table(("name", "id", "shared with the host"), ([n, v["id"], v["shared_with_host"]] for n, v in view["namespaces"].items()))
    for interface in view["interfaces"]:
        print(f"\n{interface['name']}: {'UP' if interface['up'] else 'DOWN'}  mac {interface['mac']}")
        for address in interface["addresses"]:
            print(f"    inet {address}")
        for way in ("rx", "tx"):
            counts = "  ".join(f"{c} {interface[f'{way}_{c}']}" for c in ("packets", "bytes", "errors", "dropped"))
            print(f"    {way.upper()} {counts}")
    if view["networks"]:
        print("\nnetworks")
        table(("name", "address", "gateway"), ([n, e["address"], e["gateway"]] for n, e in view["networks"].items()))
    if view["mounts"]:
        print("\nmounts")
        table(("type", "source", "target", "writable"), ([m["type"], m["source"], m["target"], m["writable"]] for m in view["mounts"]))


def show_network(view: dict[str, Any]) -> None:
    """Print the host-side view of a network."""
    keys = ("name", "ref", "owner", "attribution", "driver", "bridge", "subnet", "gateway", "internal")
    pairs((k.replace("ref", "id"), view[k]) for k in keys)
    print("\nwho is on it")
    table(
        ("container", "id", "address", "mac", "owner"),
        ([m["container"], short(m["id"]), m["address"], m["mac"], m["owner"]] for m in view["members"]),
    )


def _show(kind: str, view: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(view)
    elif kind == "container":
        show_container(view)
    elif kind == "network":
        show_network(view)
    else:
        pairs((k, v if not isinstance(v, dict) else [f"{a} ({clean(b)})" for a, b in v.items()]) for k, v in view.items())


def _group(kind: str) -> click.Group:
    """Make the commands of one kind."""

    @click.group(kind, help=f"{kind.capitalize()}s and whose they are.")
    def group() -> None:
        pass

    @group.command("list", help=f"List {kind}s.")
    @click.option("--owner", metavar="LOGIN", help="Only this account's.")
    @click.option("--all", "_all", is_flag=True, help="All (the default for the administrator).")
    @JSON
    @click.pass_obj
    def list_objects(context: Any, owner: str | None, _all: bool, as_json: bool) -> None:
        _print_list(kind, context.api.call("GET", f"{kind}s", owner=owner)["items"], as_json=as_json)

    @group.command(help=f"Show a {kind} by name, id or the beginning of an id.")
    @click.argument("ref")
    @JSON
    @click.pass_obj
    def show(context: Any, ref: str, as_json: bool) -> None:
        _show(kind, context.api.call("GET", f"{kind}s", ref), as_json=as_json)

    @group.command(help=f"Remove a {kind}.")
    @click.argument("ref")
    @YES
    @click.pass_obj
    def remove(context: Any, ref: str, yes: bool) -> None:
        if not yes and sys.stdin.isatty():
            view = context.api.call("GET", f"{kind}s", ref)
            click.confirm(f"Remove {kind} {view['name'] or view['ref']} of {view['owner'] or 'nobody'}?", abort=True)
        context.api.call("DELETE", f"{kind}s", ref)
        print(f"{ref} is removed")

    return group


GROUPS = tuple(_group(kind) for kind in KINDS)


def _verb(verb: str, past: str) -> None:
    @GROUPS[0].command(verb, help=f"{verb.capitalize()} a container.")
    @click.argument("ref")
    @click.pass_obj
    def act(context: Any, ref: str) -> None:
        context.api.call("POST", "containers", ref, verb)
        print(f"{ref} is {past}")


for _name, _past in (("start", "started"), ("stop", "stopped"), ("restart", "restarted")):
    _verb(_name, _past)


@GROUPS[0].command("restart-policy")
@click.argument("ref")
@click.argument("policy")
@click.pass_obj
def restart_policy(context: Any, ref: str, policy: str) -> None:
    """Set a container's restart policy: no, on-failure[:N], unless-stopped, always."""
    context.api.call("PUT", "containers", ref, "restart-policy", body={"policy": policy})
    print(f"{ref} has restart policy {policy}")


@click.group()
def owner() -> None:
    """Whose objects are."""


@owner.command("set")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("ref")
@click.argument("login")
@click.pass_obj
def set_owner(context: Any, kind: str, ref: str, login: str) -> None:
    """Give an object to an account (`-`: to nobody)."""
    view = context.api.call("PUT", f"{kind}s", ref, "owner", body={"login": None if login == "-" else login})
    print(f"{kind} {view['name'] or short(view['ref'])} belongs to {view['owner'] or 'nobody'}")
