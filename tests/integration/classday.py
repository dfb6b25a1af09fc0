"""Plays the class day (``theday.py``) at terminals: one ``Person`` per student, with the trainer beside.

A step that does not come back as the log says raises ``Unexpected`` with all that was on the screen.
"""

import re
import time
from collections.abc import Callable, Iterable
from typing import Final

from tests.integration.terminal import PATIENCE, Answer, Terminal, Unexpected
from tests.integration.theday import CTRL_C, STUDENTS, Line, Section, Step

NEW_CLI: Final = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
OLD_CLI: Final = "/usr/bin:/bin:/usr/sbin:/sbin"
_NAME: Final = re.compile(r"%(\w+)%")


class Person:
    """One student's day.

    Args:
        login: the student, one of ``STUDENTS``.
        path: the student's ``PATH`` (``NEW_CLI`` or ``OLD_CLI``).
        guarded: whether hostadmin is in front (else the bare engine, where guarded steps make no sense).
        trainer_path: where the trainer's ``hostadmin`` is.
        trainer_environ: further environment of the trainer's terminal.

    ``on_section``, ``on_begin``, ``on_end`` may be set: called at each section, before and after each step.

    """

    def __init__(
        self,
        login: str,
        *,
        path: str = NEW_CLI,
        guarded: bool = True,
        trainer_path: str = "",
        trainer_environ: dict[str, str] | None = None,
    ) -> None:
        self.login = login
        number = STUDENTS.index(login) + 1
        self.names = {"me": login, "other": STUDENTS[number - 2], "n": str(number)}
        self.guarded = guarded
        self._paths = {"student": path, "trainer": f"{trainer_path}:{NEW_CLI}" if trainer_path else NEW_CLI}
        self._environ = {"student": {}, "trainer": trainer_environ or {}}
        self._terminals: dict[str, Terminal] = {}
        self.on_section: Callable[[Person, Section], None] | None = None
        self.on_begin: Callable[[Person, Step], None] | None = None
        self.on_end: Callable[[Person, Step], None] | None = None
        self.echo: Callable[[str], None] | None = None

    def terminal(self, by: str = "student") -> Terminal:
        """Return the student's or the trainer's terminal; it is opened once and stays open."""
        if by not in self._terminals:
            login = self.login if by == "student" else "root"
            self._terminals[by] = Terminal(login, path=self._paths[by], environ=self._environ[by], echo=self.echo)
        return self._terminals[by]

    def play(self, sections: Iterable[Section]) -> None:
        """Type section by section.

        Raises:
            Unexpected: at the first answer that is not as the log says.

        """
        for section in sections:
            if self.on_section is not None:
                self.on_section(self, section)
            for step in section.steps:
                if self.guarded or not step.guarded:
                    self.do(step)

    def do(self, step: Step) -> Answer:
        """Type one step, again and again within its time, and judge what came back."""
        end = time.monotonic() + step.within
        typed = self.fill(step.typed)
        while True:
            if self.on_begin is not None:
                self.on_begin(self, step)
            try:
                answer = self._type(step, typed)
                self._judge(step, typed, answer)
            except Unexpected:
                if time.monotonic() >= end:
                    raise
                time.sleep(0.1)
                continue
            if self.on_end is not None:
                self.on_end(self, step)
            return answer

    def fill(self, text: str) -> str:
        """Put the kept names into a text; ``%c12%`` is the short form of ``%c1%``."""
        return _NAME.sub(lambda found: self._name(found[1]), text)

    def close(self) -> None:
        """Close the terminals."""
        for terminal in self._terminals.values():
            terminal.close()
        self._terminals.clear()

    def _name(self, name: str) -> str:
        if name in self.names:
            return self.names[name]
        if name.endswith("2") and name[:-1] in self.names:
            return self.names[name[:-1]][:12]
        return f"%{name}%"  # a format of date, not a name

    def _type(self, step: Step, typed: str) -> Answer:
        terminal = self.terminal(step.by)
        if not step.inside:
            return terminal.type(typed)
        shown = terminal.say(typed, self.fill(step.opens))  # "": a program that shows nothing by itself
        said = [(line, self._converse(terminal, line)) for line in step.inside]
        if step.inside[-1].then == step.opens:
            terminal.press("exit\n")
        answer = terminal.finish()
        for line, seen in said:  # judged outside of the program, so that the step can be typed again
            self._judge(Step(line.typed, line.shows, line.hides), self.fill(line.typed), Answer(seen, 0))
        return Answer(shown + "".join(seen for _, seen in said) + answer.output, answer.code)

    def _converse(self, terminal: Terminal, line: Line) -> str:
        typed = self.fill(line.typed)
        if line.pause:
            if typed:
                terminal.press(f"{typed}\n")
            time.sleep(line.pause)  # what is to be seen is that nothing comes
            shown = ""
        else:
            shown = terminal.say(typed, self.fill(line.until))
        if line.press:
            terminal.press(line.press)
            shown += terminal.watch(line.then)
        return shown

    def _judge(self, step: Step, typed: str, answer: Answer) -> None:
        wrong = []
        if step.code is not None and answer.code != step.code:
            wrong.append(f"exit code {answer.code}, not {step.code}")
        for pattern in (*step.shows, *([step.keeps] if step.keeps else [])):
            if not re.search(self.fill(pattern), answer.output, re.MULTILINE):
                wrong.append(f"does not show {self.fill(pattern)!r}")
        wrong += [f"shows {self.fill(p)!r}" for p in step.hides if re.search(self.fill(p), answer.output, re.MULTILINE)]
        if wrong:
            raise Unexpected(f"{self.login} ({step.by}) typed {typed!r}: {'; '.join(wrong)}; it showed:\n{answer.output}")
        if step.keeps:
            found = re.search(self.fill(step.keeps), answer.output, re.MULTILINE)
            assert found is not None
            self.names.update(found.groupdict())


__all__ = ["CTRL_C", "NEW_CLI", "OLD_CLI", "PATIENCE", "Person"]
