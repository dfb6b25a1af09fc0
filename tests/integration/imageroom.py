"""Two students, and how the engine and the ledger see their images."""

from dataclasses import dataclass

from tests.integration.people import Student
from tests.integration.stage import Engine, Hostadmin

API = "/v1.41"


@dataclass(frozen=True)
class Room:
    """Two students: ``ashu`` attacks, ``dev`` has what is to be kept."""

    engine: Engine
    hostadmin: Hostadmin
    ashu: Student
    dev: Student

    def image(self, ref: str) -> str:
        """Return the id that the engine has for a reference, empty if there is none."""
        status, found = self.engine.eye.call("GET", f"/images/{ref}/json")
        return str(found["Id"]) if status == 200 else ""

    def held(self, login: str) -> set[str]:
        """Return the ids that the ledger says somebody holds."""
        rows = self.hostadmin.rows("select image_id from image_holders h join users u on u.id = h.user_id where u.login = ?", login)
        return {image for (image,) in rows}

    def secret(self, tag: str, text: str) -> str:
        """Have dev build a private image with a file ``/secret``; return its id."""
        self.dev.ok("build", "-q", "-t", tag, "-", stdin=f"FROM alpine\nRUN echo {text} >/secret\n")
        return self.image(tag)


def load(student: Student, data: bytes) -> bytes:
    """Load an image file; return the whole answer."""
    return student.raw("POST", f"{API}/images/load?quiet=1", data)
