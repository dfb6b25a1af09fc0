"""`hostadmin user` and `hostadmin access`."""

import sys
from typing import Any

import click

from hostadmin.cli.client import LONG_SECONDS
from hostadmin.cli.output import clean, pairs, show_json, size, table

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
YES = click.option("--yes", is_flag=True, help="Do not ask.")
NEVER = ("never", "none", "")
ALWAYS = ("login", "uid", "name", "profile", "state", "docker", "expires", "home", "containers", "networks", "volumes", "drift")
SHOWN = (*ALWAYS[:3], "mail", "cohort", *ALWAYS[3:6], "groups", "starts", *ALWAYS[6:-1], "archives", "drift")


def _show(view: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(view)
        return
    pairs((key, state_of(view) if key == "state" else view[key]) for key in SHOWN if view[key] or key in ALWAYS)


def state_of(view: dict[str, Any]) -> str:
    """Return an account's state in words: of one that waits for its first day, which day that is."""
    if view["state"] == "locked" and view["starts"]:
        return f"locked until {view['starts']} (first day)"
    return str(view["state"])


def read_password(*, from_stdin: bool) -> str:
    """Read a password: twice from a terminal without showing it, else one line of standard input."""
    if from_stdin or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


@click.group()
def user() -> None:
    """Linux accounts that hostadmin manages."""


@user.command()
@click.argument("login")
@click.option("--name", default="", help="The person's name.")
@click.option("--profile", help="A profile; see `hostadmin policy list`.")
@click.option("--docker", is_flag=True, help="Give access to Docker at once.")
@click.option("--expires", metavar="DATE", help="The last day of access, YYYY-MM-DD.")
@click.option("--password-stdin", is_flag=True, help="Set the password that is read from standard input.")
@JSON
@click.pass_obj
def add(
    context: Any, login: str, name: str, profile: str | None, docker: bool, expires: str | None, password_stdin: bool, as_json: bool
) -> None:
    """Make an account; doing it twice does it once."""
    body: dict[str, Any] = {"login": login, "name": name, "profile": profile, "docker": docker, "expires": expires}
    if password_stdin:
        body["password"] = read_password(from_stdin=True)
    view = context.api.call("POST", "users", body=body)
    if as_json:
        show_json(view)
        return
    print(f"{login} is there: uid {view['uid']}, profile {view['profile']}, docker {'yes' if view['docker'] else 'no'}")
    if not password_stdin:
        print(f"  set a password with: hostadmin user passwd {login}")


@user.command("list")
@JSON
@click.pass_obj
def list_users(context: Any, as_json: bool) -> None:
    """List all accounts."""
    items = context.api.call("GET", "users")["items"]
    if as_json:
        show_json(items)
        return
    columns = ("login", "uid", "profile", "state", "docker", "managed", "containers", "expires", "drift")
    table(columns, ([u[c] for c in columns] for u in items))


@user.command()
@click.argument("login")
@JSON
@click.pass_obj
def show(context: Any, login: str, as_json: bool) -> None:
    """Show an account."""
    _show(context.api.call("GET", "users", login), as_json=as_json)


@user.command("set")
@click.argument("login")
@click.option("--name", help="The person's name.")
@click.option("--profile", help="A profile.")
@click.option("--expires", metavar="DATE", help="The last day of access, or never.")
@JSON
@click.pass_obj
def set_user(context: Any, login: str, name: str | None, profile: str | None, expires: str | None, as_json: bool) -> None:
    """Change name, profile or last day."""
    body: dict[str, Any] = {k: v for k, v in (("name", name), ("profile", profile)) if v is not None}
    if expires is not None:
        body["expires"] = None if expires in NEVER else expires
    _show(context.api.call("PATCH", "users", login, body=body), as_json=as_json)


@user.command()
@click.argument("login")
@click.argument("date", default="now")
@JSON
@click.pass_obj
def expire(context: Any, login: str, date: str, as_json: bool) -> None:
    """End access after DATE (YYYY-MM-DD), never, or (the default) now."""
    if date == "now":
        view = context.api.call("POST", "users", login, "expire")
    else:
        view = context.api.call("PATCH", "users", login, body={"expires": None if date in NEVER else date})
    _show(view, as_json=as_json)


@user.command()
@click.argument("login")
@click.pass_obj
def lock(context: Any, login: str) -> None:
    """Lock an account: no login, no Docker; its containers go on or stop by its profile."""
    context.api.call("POST", "users", login, "lock")
    print(f"{login} is locked")


@user.command()
@click.argument("login")
@click.pass_obj
def unlock(context: Any, login: str) -> None:
    """Give access back: undo a lock, an expiry, or a removal that was only begun."""
    view = context.api.call("POST", "users", login, "unlock")
    if view["state"] == "locked":
        print(f"{login} is not leaving any more, but locked as before: unlock it once more to open it")
    elif view["state"] == "expired":
        print(f"{login} is expired: its last day, {view['expires']}, is over; `hostadmin user set {login} --expires DATE` opens it")
    else:
        print(f"{login} is {view['state']}" + (f", until {view['expires']}" if view["expires"] else ""))


@user.command()
@click.argument("login")
@click.option("--password-stdin", is_flag=True, help="Read it from standard input.")
@click.option("--reset", is_flag=True, help="Make a new random one, shown once; the next login must change it.")
@click.pass_obj
def passwd(context: Any, login: str, password_stdin: bool, reset: bool) -> None:
    """Set an account's password."""
    if reset and password_stdin:
        raise click.UsageError("--reset makes a password: none is read from standard input.")
    if reset:
        print(context.api.call("POST", "users", login, "password", "reset")["password"])
        print(f"the new password of {login}, to be changed at the next login; it is shown this once", file=sys.stderr)
        return
    context.api.call("PUT", "users", login, "password", body={"password": read_password(from_stdin=password_stdin)})
    print(f"the password of {login} is set")


@user.command()
@click.argument("login")
@click.option("--keep-home", is_flag=True, help="Leave the home directory.")
@click.option("--no-archive", is_flag=True, help="Keep no archive of the home.")
@YES
@JSON
@click.pass_obj
def remove(context: Any, login: str, keep_home: bool, no_archive: bool, yes: bool, as_json: bool) -> None:
    """Remove an account with its containers, networks, volumes, images and home, which is archived first."""
    view = context.api.call("GET", "users", login)
    if not yes and sys.stdin.isatty():
        what = f"{view['containers']} containers, {view['networks']} networks, {view['volumes']} volumes"
        home = "" if keep_home else f" and {view['home']}{' for good' if no_archive else ''}"
        click.confirm(f"Remove {login} with {what}{home}?", abort=True)
    query = {"keep_home": str(keep_home).lower(), "archive": str(not no_archive).lower()}
    found = context.api.call("DELETE", "users", login, patience=LONG_SECONDS, **query)
    if as_json:
        show_json(found)
        return
    print(f"{login} is removed")
    if kept := found["archive"]:
        print(f"  its home: {kept['path']} ({size(kept['bytes'])}), kept until {kept['keep_until'][:10]}\n  SHA-256:  {kept['sha256']}")
    for why in found["left"].values():
        print(f"  left: {clean(why)}")


@user.command()
@click.argument("login")
@click.pass_obj
def leave(context: Any, login: str) -> None:
    """End access for good; nothing is removed until `user remove`, and `user unlock` takes it back."""
    context.api.call("POST", "users", login, "leave")
    print(f"{login} has no access any more; `hostadmin user remove {login}` removes what it owns")


@user.command()
@click.argument("login")
@YES
@click.pass_obj
def release(context: Any, login: str, yes: bool) -> None:
    """Give an account back that was there before hostadmin: its containers go, account and home stay."""
    view = context.api.call("GET", "users", login)
    if not yes and sys.stdin.isatty():
        what = f"{view['containers']} containers, {view['networks']} networks, {view['volumes']} volumes"
        click.confirm(f"Remove {what} of {login}, and leave its account alone from now on?", abort=True)
    context.api.call("POST", "users", login, "release")
    print(f"{login} is not managed any more; its account and home are as they were")


@click.group()
def access() -> None:
    """Who may use Docker here."""


@access.command()
@click.argument("login")
@click.pass_obj
def grant(context: Any, login: str) -> None:
    """Give access; it works at once, in open shells too."""
    context.api.call("PUT", "access", login)
    print(f"{login} has access to Docker")


@access.command()
@click.argument("login")
@click.pass_obj
def revoke(context: Any, login: str) -> None:
    """Take access away, at once; open sessions end."""
    context.api.call("DELETE", "access", login)
    print(f"{login} has no access to Docker any more")


@access.command("list")
@click.argument("login", required=False)
@JSON
@click.pass_obj
def list_access(context: Any, login: str | None, as_json: bool) -> None:
    """List who has access."""
    items = [i for i in context.api.call("GET", "access")["items"] if login in (None, i["login"])]
    if as_json:
        show_json(items)
        return
    columns = ("login", "managed", "state", "profile")
    table(columns, ([i[c] for c in columns] for i in items))
