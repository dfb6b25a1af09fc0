"""The root command: options for all, the processes, and the nouns."""

import sys
from dataclasses import dataclass
from typing import Any

import click

from hostadmin import __version__
from hostadmin.cli import audit, classes, doctor as diagnosis, me, objects, policy, upkeep, users
from hostadmin.cli.client import Client
from hostadmin.settings import Settings, load


@dataclass
class Context:
    """What every command gets: where the configuration is, and the API's client."""

    config: str | None
    socket: str | None

    def settings(self) -> Settings:
        """Read the configuration."""
        return load(self.config)

    @property
    def api(self) -> Client:
        """The API's client."""
        return Client(self.socket or self.settings().api.socket)


CONFIG = click.option("--config", metavar="FILE", help="Configuration file.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@CONFIG
@click.option("--socket", metavar="PATH", help="The API's socket.")
@click.pass_context
def root(context: click.Context, config: str | None, socket: str | None) -> None:
    """Give a room full of people docker on one Linux host without giving them the host."""
    context.obj = Context(config, socket)


def _settings(context: Context, config: str | None) -> Settings:
    context.config = config or context.config
    return context.settings()


@root.command()
@CONFIG
@click.pass_obj
def serve(context: Context, config: str | None) -> None:
    """Run guard and service, supervised, in the foreground."""
    from hostadmin.processes import serve as run  # noqa: PLC0415

    settings = _settings(context, config)
    sys.exit(run(settings, context.config))


@root.command()
@CONFIG
@click.pass_obj
def guard(context: Context, config: str | None) -> None:
    """Run the guard alone."""
    from hostadmin.processes import run_guard  # noqa: PLC0415

    run_guard(_settings(context, config))


@root.command()
@CONFIG
@click.pass_obj
def service(context: Context, config: str | None) -> None:
    """Run API, object tracking and upkeep alone."""
    from hostadmin.processes import run_service  # noqa: PLC0415

    run_service(_settings(context, config))


@root.command()
def version() -> None:
    """Print the version."""
    print(f"hostadmin {__version__}")


@root.command()
@CONFIG
@diagnosis.CLASS
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def doctor(context: Context, config: str | None, people: int | None, as_json: bool) -> None:
    """Look whether everything is as it should be."""
    diagnosis.run(_settings(context, config), people, as_json=as_json)


COMMANDS: tuple[Any, ...] = (
    users.user,
    users.access,
    classes.roster,
    classes.cohort,
    *objects.GROUPS,
    objects.owner,
    policy.policy,
    upkeep.restart,
    upkeep.cleanup,
    upkeep.job,
    audit.audit,
    me.me,
)
for _command in COMMANDS:
    root.add_command(_command)
