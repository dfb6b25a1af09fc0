"""One request of a student as status, header fields and value."""

import json
from typing import Any

from tests.integration.people import Student


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
