"""One request of a student as status, header fields and value."""

import json
from typing import Any, Final

from tests.integration.people import Student

BATCH: Final = 40


def ask(student: Student, method: str, target: str, body: Any = None, *, headers: str = "") -> tuple[int, bytes, Any]:
    """Make one request; return the status, the head as it came, and the answer (bytes if it is not JSON)."""
    head, _, data = student.raw(method, target, body, headers=headers).partition(b"\r\n\r\n")
    try:
        value = json.loads(data) if data.strip() else None
    except ValueError:
        value = data
    return int(head.split()[1]), head, value


def get(student: Student, target: str) -> Any:
    """Return the answer of a GET that must succeed."""
    status, _, value = ask(student, "GET", target)
    assert status == 200, (target, status, value)
    return value


def get_many(student: Student, targets: list[str]) -> list[tuple[int, Any]]:
    """Make many GETs over few connections (the guard may end one after an error); return status and value of each."""
    answers: list[tuple[int, Any]] = []
    while len(answers) < len(targets):
        batch = targets[len(answers) : len(answers) + BATCH]
        lines = [f"GET {t} HTTP/1.1\r\nHost: docker\r\n" for t in batch]
        found = _split(student.send(("\r\n".join(lines) + "Connection: close\r\n\r\n").encode()))
        assert found, batch[0]
        answers += found
    return answers


def _split(raw: bytes) -> list[tuple[int, Any]]:
    found = []
    while raw:
        head, _, raw = raw.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        found.append((int(head.split()[1]), json.loads(raw[:length])))
        raw = raw[length:]
    return found
