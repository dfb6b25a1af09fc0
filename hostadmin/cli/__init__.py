"""`hostadmin`: a client of the API, and the starter of the processes. One module per noun."""

import errno
import os
import sys
from typing import Final

import click

from hostadmin.core.errors import HostadminError

UNWRITTEN: Final = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
EXITS: Final = {"configuration": 2, "empty-name": 2, "already-running": 75}


def main() -> None:
    """Run the command line; exit 0 done, 1 failed or refused, 2 usage, 75 it runs already."""
    code = _run()
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _unwritten(error)
    sys.exit(code)


def _run() -> int:
    from hostadmin.cli.output import clean, show_json  # noqa: PLC0415  # completion and --help stay fast
    from hostadmin.cli.root import root  # noqa: PLC0415

    try:
        result = root.main(prog_name="hostadmin", standalone_mode=False)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except click.Abort:
        print("\nhostadmin: stopped; nothing more was done", file=sys.stderr)
        return 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except HostadminError as error:
        if "--json" in sys.argv:
            show_json({"key": error.key, "message": error.message, **error.fields})
        print(f"hostadmin: {clean(error.message)} [{clean(error.key)}]", file=sys.stderr)
        return EXITS.get(error.key, 1)
    except OSError as error:
        if error.filename is None and error.errno in UNWRITTEN:
            return _unwritten(error)
        print(f"hostadmin: {clean(error)}", file=sys.stderr)
        return 1
    return result if isinstance(result, int) else 0


def _unwritten(error: OSError) -> int:
    """Say that the output went nowhere, unless its reader has simply gone; keep Python from trying it again at exit."""
    if not isinstance(error, BrokenPipeError):
        print(f"hostadmin: the output cannot be written: {error.strerror}", file=sys.stderr)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
