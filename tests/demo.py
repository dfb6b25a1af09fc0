"""``sudo make demo``: the class day in a disposable host, with hostadmin in front, as each person saw it.

Runs as root inside ``tests/disposable/dhost``. ``--students N`` plays only the first N of the seven.
"""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.integration.classday import NEW_CLI, OLD_CLI, Person
from tests.integration.stage import Hostadmin, make_stage
from tests.integration.terminal import Terminal, Unexpected, visible, without_prompt
from tests.integration.theday import GOODBYE, REVOKED, STUDENTS, THE_DAY, Section, Step

BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
HOST = os.uname().nodename
OPENING = (
    "for  i in  {names} ; do hostadmin user add $i ; done",
    "for  i in  {names} ; do echo 'Oracle098#' | hostadmin user passwd $i ; done",
    "hostadmin user list",
    "grep -i docker  /etc/group",
)
CLOSING = (
    "hostadmin container list --all",
    "hostadmin network list --all",
    "hostadmin restart list",
    "hostadmin audit list",
    "hostadmin doctor",
)


def show(text: str) -> None:
    """Print what a terminal shows, as it comes; whose prompt it is, ``prompt`` says."""
    sys.stdout.write(visible(without_prompt(text)))
    sys.stdout.flush()


def prompt(person: Person, step: Step) -> None:
    """Print the prompt of the one who is about to type."""
    print(f"\n[{person.login}@{HOST} ~]$ " if step.by == "student" else f"\n[root@{HOST} ~]# ", end="", flush=True)


def type_as_trainer(hostadmin: Hostadmin, commands: tuple[str, ...]) -> None:
    """Type commands at the trainer's own terminal."""
    environ = {"HOSTADMIN_CONFIG": str(hostadmin.config)}
    trainer = Terminal("root", path=f"{ROOT}/.venv/bin:{NEW_CLI}", environ=environ, columns=160)
    trainer.echo = show
    for command in commands:
        print(f"\n[root@{HOST} ~]# ", end="", flush=True)
        trainer.type(command.format(names=" ".join(STUDENTS)))
    trainer.echo = None
    trainer.close()
    print()


def announce(person: Person, section: Section) -> None:
    """Print a section's heading."""
    print(f"\n\n{BOLD}--- {person.login}: {section.title} ---{PLAIN}")


def play(hostadmin: Hostadmin, students: tuple[str, ...]) -> int:
    """Play the day; return how many students' days went as in the log."""
    people = [
        Person(
            login,
            path=(OLD_CLI, NEW_CLI)[n % 2],
            trainer_path=f"{ROOT}/.venv/bin",
            trainer_environ={"HOSTADMIN_CONFIG": str(hostadmin.config)},
        )
        for n, login in enumerate(students)
    ]
    good = 0
    for sections in (THE_DAY, GOODBYE + REVOKED):
        good = 0
        for person in people:
            person.on_section, person.on_begin, person.echo = announce, prompt, show
            try:
                person.play(sections)
                good += 1
            except Unexpected as error:
                print(f"\n{BOLD}NOT AS IN THE LOG: {error}{PLAIN}")
        if sections is THE_DAY:
            print(f"\n\n{BOLD}--- the trainer looks at the room ---{PLAIN}")
            type_as_trainer(hostadmin, CLOSING)
    for person in people:
        person.close()
    return good


def main() -> int:
    """Play the demo; 0 if everything came back as in the log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=len(STUDENTS))
    students = STUDENTS[: parser.parse_args().students]
    if "DHOST_CGROUP" not in os.environ:
        print("run it with `sudo make demo`: it needs the disposable host", file=sys.stderr)
        return 2
    with make_stage() as (_, hostadmin):
        print(f"{BOLD}--- the trainer makes the class ---{PLAIN}")
        type_as_trainer(hostadmin, OPENING)
        good = play(hostadmin, students)
    print(f"\n{BOLD}{good} of {len(students)} students had the day of the log.{PLAIN}")
    return 0 if good == len(students) else 1


if __name__ == "__main__":
    sys.exit(main())
