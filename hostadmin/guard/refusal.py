"""How the guard says no: one exception, with the status and the words that the caller reads."""

from typing import Final

RULE_REQUEST: Final = "request"  # malformed: framing, path, query, JSON
RULE_ACCESS: Final = "access"  # who may come in at all
RULE_OWNERSHIP: Final = "ownership"  # not there, or not yours
RULE_ENGINE: Final = "engine"  # the engine cannot be reached


class Refusal(Exception):  # a refusal is an answer, not an error
    """A request that is not forwarded.

    Args:
        status: HTTP status of the answer.
        message: the sentence for the caller, in the Engine's own error form.
        rule: the name of the rule, for the audit.
        recorded: whether the audit gets an event (a missing object is no event).
        close: whether the connection must end, because its framing is no longer known.

    """

    def __init__(self, status: int, message: str, rule: str, *, recorded: bool = True, close: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.rule = rule
        self.recorded = recorded
        self.close = close


def malformed(message: str, *, status: int = 400, close: bool = False) -> Refusal:
    """Return the refusal of a request that breaks the protocol or a schema."""
    return Refusal(status, message, RULE_REQUEST, close=close)
