"""`hostadmin`: a client of the API, and the starter of the processes. One module per noun."""

import os
import sys

import click

from hostadmin.core.errors import HostadminError


def main() -> None:
    """Run the command line; exit 0 done, 1 failed or refused, 2 usage."""
    from hostadmin.cli.root import root  # noqa: PLC0415  # completion and --help stay fast

    try:
        root.main(prog_name="hostadmin", standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort:
        sys.exit(1)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except HostadminError as error:
        print(f"hostadmin: {error.message} [{error.key}]", file=sys.stderr)
        sys.exit(2 if error.key == "configuration" else 75 if error.key == "already-running" else 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
