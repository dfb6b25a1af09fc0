"""`hostadmin restart`, `hostadmin cleanup`, `hostadmin job`."""

from typing import Any

import click

from hostadmin.cli.output import pairs, short, show_json, size, table
from hostadmin.cli.users import JSON, YES

JOB = "stopped-containers"


@click.group()
def restart() -> None:
    """Restart policies that were corrected, and crash loops."""


@restart.command("list")
@JSON
@click.pass_obj
def list_restarts(context: Any, as_json: bool) -> None:
    """List corrected and crash-looping containers."""
    items = context.api.call("GET", "restarts")["items"]
    if as_json:
        show_json(items)
        return
    columns = ("name", "owner", "finding", "found", "applied", "at", "reason")
    table(columns, ([i[c] for c in columns] for i in items))


@restart.command()
@click.argument("ref")
@click.pass_obj
def release(context: Any, ref: str) -> None:
    """Release a container: its policy is left as it is from now on."""
    count = context.api.call("POST", "restarts", ref, "release")["released"]
    print(f"released {count} findings about {ref}")


@click.group()
def cleanup() -> None:
    """Plan first, then exactly that plan."""


def _print_plan(plan: dict[str, Any]) -> None:
    columns = ("container", "id", "owner", "image", "why", "size", "status", "message")
    rows = [
        [i["container"], short(i["id"]), i["owner"], i["image"], i["why"], size(i["size"]), i["status"], i["message"]]
        for i in plan["items"]
    ]
    table(columns, rows)
    print(f"\nplan {plan['id']}: {len(rows)} containers, {size(plan['size'])}")


@cleanup.command("plan")
@click.argument("job", default=JOB)
@JSON
@click.pass_obj
def plan_cleanup(context: Any, job: str, as_json: bool) -> None:
    """Show what would go, why, and how much space that is."""
    plan = context.api.call("POST", "cleanup", job, "plan")
    if as_json:
        show_json(plan)
        return
    _print_plan(plan)
    if plan["items"]:
        print(f"carry it out with: hostadmin cleanup run --plan {plan['id']}")


@cleanup.command("run")
@click.argument("job", default=JOB)
@click.option("--plan", "plan_id", metavar="ID", help="A stored plan; without it a new one is made.")
@YES
@JSON
@click.pass_obj
def run_cleanup(context: Any, job: str, plan_id: str | None, yes: bool, as_json: bool) -> None:
    """Carry out a plan: exactly its ids."""
    if plan_id is None:
        plan = context.api.call("POST", "cleanup", job, "plan")
        plan_id = plan["id"]
        if plan["items"] and not yes:
            _print_plan(plan)
            click.confirm("Remove them?", abort=True)
    done = context.api.call("POST", "cleanup", job, "run", body={"plan": plan_id})
    if as_json:
        show_json(done)
    else:
        _print_plan(done)


@click.group()
def job() -> None:
    """Scheduled jobs."""


@job.command("list")
@JSON
@click.pass_obj
def list_jobs(context: Any, as_json: bool) -> None:
    """List the jobs."""
    items = context.api.call("GET", "jobs")["items"]
    if as_json:
        show_json(items)
        return
    table(
        ("name", "trigger", "next", "last", "description"),
        ([i["name"], i["trigger"], i["next_run"], (i["last_run"] or {}).get("status"), i["description"]] for i in items),
    )


@job.command("run")
@click.argument("name")
@JSON
@click.pass_obj
def run_job(context: Any, name: str, as_json: bool) -> None:
    """Run a job now."""
    row = context.api.call("POST", "jobs", name, "run")
    if as_json:
        show_json(row)
    else:
        pairs((k, row[k]) for k in ("job", "status", "started_at", "ended_at", "detail"))


@job.command()
@click.argument("name", required=False)
@JSON
@click.pass_obj
def history(context: Any, name: str | None, as_json: bool) -> None:
    """List runs, newest first."""
    items = context.api.call("GET", "jobs", "history", name=name)["items"]
    if as_json:
        show_json(items)
        return
    columns = ("job", "trigger", "started_at", "status", "detail")
    table(columns, ([i[c] for c in columns] for i in items))
