"""Every error that hostadmin shows to somebody.

``HostadminError``
├── ``Refused``      theirs: told plainly, 4xx, logged at info
│   ├── ``Invalid``        400  the request itself is wrong
│   ├── ``Forbidden``      403  a rule says no
│   ├── ``NotFound``       404  no such thing, or not yours: one answer
│   └── ``Conflict``       409  it clashes with what is there
└── ``Failed``       ours or the host's: 5xx, logged with its cause
    ├── ``Unavailable``    503  the engine or the database cannot be reached
    └── ``StorageFull``    507  nothing can be recorded, so nothing is done

``key`` is stable (kebab case) and ends up in the problem's ``type``; ``message`` is a sentence that
says what was refused or failed, by which rule, and what to do. No message carries a secret.
"""

from typing import Any


class HostadminError(Exception):
    """Base of all errors with a key, an HTTP status, a sentence and fields.

    Args:
        message: one sentence for the person who sees it.
        key: stable identifier in kebab case.
        fields: further JSON members for the API's problem document.

    """

    status = 500
    key = "failed"

    def __init__(self, message: str, *, key: str | None = None, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.key = key or self.key
        self.fields = fields


class Refused(HostadminError):
    """The caller's fault: nothing was done."""

    status = 400
    key = "refused"


class Invalid(Refused):
    """The request itself is wrong (400)."""

    key = "invalid"


class Forbidden(Refused):
    """A rule says no (403)."""

    status = 403
    key = "forbidden"


class NotFound(Refused):
    """There is no such thing, or it is not the caller's: one and the same answer (404)."""

    status = 404
    key = "not-found"


class Conflict(Refused):
    """It clashes with what is there (409)."""

    status = 409
    key = "conflict"


class Failed(HostadminError):
    """Our fault or the host's (500)."""


class Unavailable(Failed):
    """The engine, the database or the service cannot be reached (503)."""

    status = 503
    key = "unavailable"


class StorageFull(Failed):
    """The disk of the database is full: what cannot be recorded is not done (507)."""

    status = 507
    key = "storage-full"
