"""`hostadmin roster` and `hostadmin cohort`."""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from hostadmin.cli.client import LONG_SECONDS, ApiError
from hostadmin.cli.output import clean, pairs, show_json, size, table
from hostadmin.cli.users import JSON, YES
from hostadmin.core.errors import Invalid

FILE_MOST = 1 << 20  # the service takes no larger roster
REPLAN = ("plan-stale", "plan-applied")
TRIES = 3
SIGNS = {"cohort": "=", "create": "+", "adopt": "+", "unlock": "+", "change": "~", "leave": "-", "remove": "-", "release": "-"}


@click.group()
def roster() -> None:
    """A whole class from a file: plan first, then exactly that plan."""


def _options(command: Any) -> Any:
    for option in (
        click.option("--cohort", metavar="NAME", help="The cohort's name; default: what the file says, else its own name."),
        click.option("--profile", help="The profile of whoever has none in the file."),
        click.option("--starts", metavar="DATE", help="The first day, YYYY-MM-DD."),
        click.option("--ends", metavar="DATE", help="The last day, YYYY-MM-DD."),
        click.option("--adopt", is_flag=True, help="Take over accounts that are on this host already."),
        JSON,
    ):
        command = option(command)
    return command


def _plan(context: Any, file: Path, wishes: dict[str, Any]) -> dict[str, Any]:
    """Hand a roster in; print all its problems if it is refused."""
    count = file.stat().st_size
    if count > FILE_MOST:
        raise Invalid(f"Refused roster {file.name}: it has {count} bytes, at most {FILE_MOST} are read. Nothing was done.", key="roster")
    query = {name: value for name, value in wishes.items() if value not in (None, False)}
    try:
        plan: dict[str, Any] = context.api.upload(
            "POST", "rosters", data=file.read_bytes(), patience=LONG_SECONDS, filename=file.name, **query
        )
    except ApiError as error:
        problems = error.fields.get("problems")
        if not problems:
            raise
        print_problems(problems)
        told = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        message = f"Refused roster {file.name}: {told}, listed above. Nothing was done."
        raise ApiError(message, key=error.key, **error.fields) from error
    return plan


def print_problems(problems: list[dict[str, Any]]) -> None:
    """Print every problem of a roster, one a line, where it is and why."""
    for problem in problems:
        place = [f"row {problem['row']}" if problem["row"] else "", f"line {problem['line']}" if problem["line"] else ""]
        what = f"{clean(problem['column'])}" if problem["column"] else ""
        value = f" {clean(problem['value'])}" if problem["value"] else ""
        where = ", ".join(p for p in (*place, what) if p) + value
        print(f"  {where}: {clean(problem['reason'])}" if where else f"  {clean(problem['reason'])}", file=sys.stderr)


def _print_plan(plan: dict[str, Any]) -> None:
    for step in plan["steps"]:
        name = f"  {clean(step['name'])}" if step.get("name") else ""
        status = "" if step["status"] == "planned" else f"  [{step['status']}]{' ' + clean(step['message']) if step['message'] else ''}"
        print(f"{SIGNS[step['action']]} {step['action']} {step['login']}{name}{status}")
        for change in step["changes"] or []:
            old = "" if change["old"] in (None, "", []) else f"{clean(change['old'])} -> "
            print(f"    {change['attribute']}: {old}{clean(change['new'])}")
        for note in step["notes"] or []:
            print(f"    ({clean(note)})")
    for warning in plan["warnings"] or []:
        print(f"warning: {clean(warning)}")
    counts = ", ".join(f"{count} to {action}" for action, count in plan["counts"].items() if action != "cohort") or "nothing to do"
    print(f"\nplan {plan['id']} for {plan['cohort']}: {counts}, {plan['unchanged']} unchanged")


@roster.command("plan")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_options
@click.pass_obj
def plan_roster(context: Any, /, file: Path, as_json: bool, **wishes: Any) -> None:
    """Show what a roster would change: nothing is done."""
    plan = _plan(context, file, wishes)
    if as_json:
        show_json(plan)
        return
    _print_plan(plan)


@roster.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--plan", "plan_id", metavar="ID", help="Carry out a plan that was shown before.")
@click.option("--undo", is_flag=True, help="Take back what the last plan of this roster (or --plan) has done.")
@YES
@_options
@click.pass_obj
def apply_roster(context: Any, /, file: Path | None, plan_id: str | None, undo: bool, yes: bool, as_json: bool, **wishes: Any) -> None:
    """Make the accounts what a roster says; run again, it does what is left."""
    if (file is None) == (plan_id is None):
        raise click.UsageError("Give a roster FILE, or a plan with --plan ID.")
    if undo:
        _undo(context, plan_id or _last_plan(context, file, wishes), yes=yes, as_json=as_json)
        return
    for left in reversed(range(TRIES)):
        plan = context.api.call("GET", "rosters", plan_id) if plan_id else _plan(context, file or Path(), wishes)
        if not plan["steps"]:
            _report(plan, as_json=as_json)
            return
        if not as_json:
            _print_plan(plan)
        asked = not yes and sys.stdin.isatty()
        if asked:
            click.confirm("Carry it out?", abort=True)
        try:
            done = context.api.call("POST", "rosters", plan["id"], "apply", patience=LONG_SECONDS)
        except ApiError as error:
            if error.key in REPLAN and not asked and not plan_id and left:  # nobody has looked at it: look again
                continue
            raise
        _report(done, as_json=as_json)
        return


def _report(plan: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(plan)
    elif not plan["steps"]:
        print(f"{plan['cohort']}: {plan['unchanged']} users are as the roster says; nothing to do")
    else:
        print(f"\n{plan['cohort']} is as the roster says: {len(plan['steps'])} steps done, {plan['unchanged']} users were so already")
        if plan["counts"].get("create"):
            print(f"  passwords, once: hostadmin cohort cards {plan['cohort']}")


def _last_plan(context: Any, file: Path | None, wishes: dict[str, Any]) -> str:
    """Return the newest plan of a roster's cohort of which anything was done; files of one name may be several cohorts'."""
    name, cohort = (file or Path()).name, wishes["cohort"] or (file or Path()).stem
    begun = [p for p in context.api.call("GET", "rosters")["items"] if p["begun"] and not p["undone_at"]]
    found = [p for p in begun if p["cohort"] == cohort or (p["file"] == name and not wishes["cohort"])]
    if len(names := sorted({clean(p["cohort"]) for p in found})) > 1:
        raise Invalid(
            f"Rosters of the name {clean(name)} have made several cohorts ({', '.join(names)}): name yours with --cohort.", key="roster"
        )
    if found:
        return str(found[0]["id"])
    raise Invalid(
        f"No plan of {clean(cohort)} has done anything that could be taken back; see `hostadmin roster list`.", key="plan-not-applied"
    )


def _undo(context: Any, plan_id: str, *, yes: bool, as_json: bool) -> None:
    plan = context.api.call("GET", "rosters", plan_id)
    if not as_json:
        made = [s["login"] for s in plan["steps"] if s["action"] == "create" and s["status"] in ("done", "undoing")]
        told = f"; removed with all they own, homes archived: {', '.join(made)}" if made else ""
        print(f"plan {plan_id} of {plan['cohort']} is taken back{told}")
    if not yes and sys.stdin.isatty():
        click.confirm("Take it back?", abort=True)
    done = context.api.call("POST", "rosters", plan_id, "undo", patience=LONG_SECONDS)
    if as_json:
        show_json(done)
        return
    print(f"taken back: {sum(s['status'] == 'undone' for s in done['steps'])} steps")


@roster.command("list")
@JSON
@click.pass_obj
def list_rosters(context: Any, as_json: bool) -> None:
    """List the newest plans."""
    items = context.api.call("GET", "rosters")["items"]
    if as_json:
        show_json(items)
        return
    table(
        ("plan", "cohort", "file", "created", "applied", "taken back", "steps"),
        (
            [
                p["id"],
                p["cohort"],
                p["file"],
                p["created_at"],
                p["applied_at"],
                p["undone_at"],
                [f"{n} {a}" for a, n in p["counts"].items()],
            ]
            for p in items
        ),
    )


@roster.command("show")
@click.argument("plan_id", metavar="PLAN")
@JSON
@click.pass_obj
def show_roster(context: Any, plan_id: str, as_json: bool) -> None:
    """Show a plan and how far it has got."""
    plan = context.api.call("GET", "rosters", plan_id)
    if as_json:
        show_json(plan)
        return
    _print_plan(plan)


@click.group()
def cohort() -> None:
    """The users of one roster."""


@cohort.command("list")
@click.option("--all", "ended", is_flag=True, help="Those that have ended, too.")
@JSON
@click.pass_obj
def list_cohorts(context: Any, ended: bool, as_json: bool) -> None:
    """List the cohorts."""
    items = context.api.call("GET", "cohorts", ended=str(ended).lower())["items"]
    if as_json:
        show_json(items)
        return
    columns = ("name", "state", "users", "profile", "starts", "ends", "cards")
    table(columns, ([c[k] for k in columns] for c in items))


@cohort.command()
@click.argument("name")
@JSON
@click.pass_obj
def show(context: Any, name: str, as_json: bool) -> None:
    """Show a cohort, a row per student."""
    view = context.api.call("GET", "cohorts", name, patience=LONG_SECONDS)
    if as_json:
        show_json(view)
        return
    pairs((key, view[key]) for key in ("name", "state", "profile", "starts", "ends", "cards"))
    print()
    table(
        ("login", "name", "state", "last seen", "containers", "restarts", "disk", "nearest quota"),
        (
            [
                *(s[k] for k in ("login", "name", "state")),
                (s["last_seen"] or "never")[:16],
                f"{s['running']} of {s['containers']} run" if s["containers"] else "none",
                s["restarts"],
                None if s["disk"] is None else size(s["disk"]),
                s["quota"],
            ]
            for s in view["students"]
        ),
    )
    if view["archives"]:
        print("\nhomes that are kept:")
        columns = ("login", "archive", "sha256", "bytes", "keep_until")
        table(columns, ([a[k] for k in columns] for a in view["archives"]))


@cohort.command()
@click.argument("name")
@click.option("--output", "-o", metavar="FILE", help="Where to write the page; - for standard output.")
@click.option("--renew", is_flag=True, help="Make new passwords for all who have not chosen their own yet.")
@click.pass_obj
def cards(context: Any, name: str, output: str | None, renew: bool) -> None:
    """Fetch the cards to print, once: afterwards nobody knows the passwords.

    Written to NAME-cards.html, for your eyes only, unless standard output is a file or a pipe.
    """
    target = output or (f"{name}-cards.html" if sys.stdout.isatty() else "-")
    descriptor = None if target == "-" else _open_new(target)  # before they are gone
    try:
        found = context.api.call("POST", "cohorts", name, "cards", body={"renew": renew}, patience=LONG_SECONDS)
    except BaseException:
        if descriptor is not None:
            os.close(descriptor)
            os.unlink(target)
        raise
    if descriptor is None:
        print(found["html"])
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(found["html"])
    print(f"{found['cards']} cards, {found['passwords']} with a password: {target}; print it, then delete it")


def _open_new(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Invalid(
            f"Cannot write the cards to {path}: {error.strerror}. Nothing was fetched; name another file with -o.", key="file"
        ) from error


@cohort.command()
@click.argument("name")
@click.option("--plan", "plan_id", metavar="ID", help="Carry out (or undo) a plan that was shown before.")
@click.option("--undo", is_flag=True, help="Bring back what the last reset (or --plan) has taken away.")
@click.option("--force", is_flag=True, help="Take away what cannot be recovered, too.")
@YES
@JSON
@click.pass_obj
def reset(context: Any, name: str, plan_id: str | None, undo: bool, force: bool, yes: bool, as_json: bool) -> None:
    """Take away all containers, networks and volumes of a class; recoverable for a while."""
    if undo:
        done = context.api.call("POST", "cohorts", name, "reset", "undo", body={"plan": plan_id}, patience=LONG_SECONDS)
        _print_reset(done, as_json=as_json)
        return
    if plan_id is None:
        plan = context.api.call("POST", "cohorts", name, "reset", "plan", patience=LONG_SECONDS)
        plan_id = plan["id"]
        if not as_json:
            _print_reset(plan, as_json=False)
        if not plan["items"]:
            if as_json:
                show_json(plan)
            return
        if not yes and sys.stdin.isatty():
            click.confirm(f"Take all of this away from {name}?", abort=True)
    done = context.api.call("POST", "cohorts", name, "reset", body={"plan": plan_id, "force": force}, patience=LONG_SECONDS)
    _print_reset(done, as_json=as_json)


def _print_reset(plan: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(plan)
        return
    table(
        ("owner", "kind", "name", "what", "size", "status", ""),
        (
            [
                *(i[k] for k in ("owner", "kind", "name", "about")),
                None if i["size"] is None else size(i["size"]),
                i["status"],
                i["message"] or i["note"],
            ]
            for i in plan["items"]
        ),
    )
    sums = {kind: sum(counts[kind] for counts in plan["accounts"].values()) for kind in ("containers", "networks", "volumes")}
    whole = ", ".join(f"{count} {kind}" for kind, count in sums.items() if count) or "nothing there"
    kept = (
        f"; `--undo` brings it back until {plan['until']}"
        if plan["until"]
        else f"; recoverable for {plan['hours']} h"
        if plan["hours"]
        else ""
    )
    print(f"\nplan {plan['id']}: {whole} of {len(plan['accounts'])} users{kept}")


@cohort.command()
@click.argument("name")
@click.option("--plan", "plan_id", metavar="ID", help="Carry out a plan that was shown before.")
@click.option(
    "--at-last-day/--not-at-last-day", "at_last_day", default=None, help="Let the service do it once the last day is over (or not)."
)
@click.option("--no-archive", is_flag=True, help="Do not keep the homes.")
@YES
@JSON
@click.pass_obj
def end(context: Any, name: str, plan_id: str | None, at_last_day: bool | None, no_archive: bool, yes: bool, as_json: bool) -> None:
    """End a class: every user is removed with all they own, at once or after the last day; homes are archived first."""
    if at_last_day is not None:
        view = context.api.call("PUT", "cohorts", name, "end", body={"at_last_day": at_last_day})
        if as_json:
            show_json(view)
        else:
            print(f"{name} is {'ended by itself after' if at_last_day else 'not ended by itself; its last day stays'} {view['ends']}")
        return
    if plan_id is None:
        plan = context.api.call("POST", "cohorts", name, "end", "plan")
        plan_id = plan["id"]
        if not as_json:
            _print_end(plan)
        if not yes and sys.stdin.isatty():
            click.confirm(f"Remove {len(plan['steps'])} users of {name}?", abort=True)
    done = context.api.call("POST", "cohorts", name, "end", body={"plan": plan_id, "archive": not no_archive}, patience=LONG_SECONDS)
    if as_json:
        show_json(done)
        return
    counts = Counter(step["action"] for step in done["steps"])
    back = f", {counts['release']} given back" if counts["release"] else ""
    kept = f"; their homes: hostadmin cohort show {name}" if counts["remove"] and not no_archive else ""
    print(f"{name} has ended: {counts['remove']} users removed{back}{kept}")


def _print_end(plan: dict[str, Any]) -> None:
    columns = ("action", "login", "name", "containers", "networks", "volumes", "images", "home")
    table(
        columns,
        (
            [
                s["action"],
                s["login"],
                s["name"],
                *(s["owns"][k] for k in ("containers", "networks", "volumes")),
                s["owns"]["images"],
                s["home"],
            ]
            for s in plan["steps"]
        ),
    )
    print(f"\nplan {plan['id']}: users of {plan['cohort']} that go with all of this: {len(plan['steps'])}")
