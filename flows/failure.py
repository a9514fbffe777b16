"""Decision whether a flow failed: of rows, lists, sums, sessions, the terminal and notices.

No Django: the terminal's list needs it too. `FAILED` in `flows.models` is the same decision
as a condition of the database; a test compares both.
"""

from __future__ import annotations

from typing import Final, Protocol

from flows.lookup_method import LOOKUP

ERROR_STATE: Final = "error"
LIVE_STATE: Final = "live"
FIRST_ERROR_STATUS: Final = 400
DISCONNECTED: Final = "Client disconnected"
"""Beginning of the error of a flow whose client went away."""


class Ended(Protocol):
    """The columns of a flow that say how it ended."""

    @property
    def state(self) -> str: ...

    @property
    def status_code(self) -> int | None: ...

    @property
    def error(self) -> str: ...


def is_failure(state: str, status_code: int | None, error: str = "") -> bool:
    """Return whether columns of a flow say that it failed: an error, or a status that is one."""
    if state == ERROR_STATE or is_error_status(status_code):
        return True
    # A websocket that is still open may have failed already.
    return state == LIVE_STATE and bool(error)


def is_error_status(status_code: int | None) -> bool:
    """Return whether a status says that the request failed."""
    return status_code is not None and status_code >= FIRST_ERROR_STATUS


def with_status(status_code: int | None) -> str:
    """Return " with 529" behind "failed"; "" for a status that is no failure.

    A cut stream has the status of its beginning: "failed with 200" would puzzle.
    """
    return f" with {status_code}" if is_error_status(status_code) else ""


def is_alarming(method: str, state: str, status_code: int | None, error: str) -> bool:
    """Return whether columns of a flow say that a person should hear of it.

    A client that went away knows, and a name without an address is no failure of a provider.
    """
    if method == LOOKUP or error.startswith(DISCONNECTED):
        return False
    return is_failure(state, status_code, error)


def has_failed(flow: Ended) -> bool:
    """Return whether a flow failed."""
    return is_failure(flow.state, flow.status_code, flow.error)
