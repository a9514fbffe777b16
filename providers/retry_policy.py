"""Policy of a provider's retries: which failures are tried again, and for how long. No Django."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from providers.base.nearest import name_hint

CONNECT: Final = "connect"
"""No connection, or one that broke before a response began."""
TIMEOUT: Final = "timeout"
"""The provider sent nothing for `stream_idle_timeout_seconds`, or could not be reached in time."""
STATUSES: Final = (408, 409, 429, 500, 502, 503, 504, 529)
"""Statuses that may be tried again; a 401 is answered by renewing the credential."""
FAILURES: Final = (*STATUSES, CONNECT, TIMEOUT)
MAX_ATTEMPTS: Final = 10
MAX_BUDGET_S: Final = 3600.0
DEFAULT_BUDGET_S: Final = 30.0
_KEYS: Final = ("attempts", "statuses", "budget_seconds")


class BadRetry(ValueError):
    """A policy that cannot be used. The message is a sentence."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retries of one provider.

    `attempts` counts the first one too. `budget_s` limits the sum of the waits between attempts.
    """

    attempts: int
    failures: frozenset[int | str] = frozenset(FAILURES)
    budget_s: float = DEFAULT_BUDGET_S


def retry_policy(values: object) -> RetryPolicy | None:
    """Return the policy of a stored mapping; None for an empty one, which means no retries.

    {"attempts": 3, "statuses": [429, "connect"], "budget_seconds": 20}

    Raises:
        BadRetry: the mapping cannot be used.
    """
    if not isinstance(values, dict):
        raise BadRetry("Give a mapping, such as {“attempts”: 3}.")
    if not values:
        return None
    unknown = [str(key) for key in values if key not in _KEYS]
    if unknown:
        raise BadRetry(f"There is no “{unknown[0]}” here; {name_hint(unknown[0], _KEYS)}")
    return RetryPolicy(
        attempts=_attempts(values.get("attempts")),
        failures=_failures(values.get("statuses", list(FAILURES))),
        budget_s=_budget(values.get("budget_seconds", DEFAULT_BUDGET_S)),
    )


def _attempts(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 2 <= value <= MAX_ATTEMPTS:
        return value
    raise BadRetry(f"“attempts” is a number from 2 to {MAX_ATTEMPTS}; it counts the first one.")


def _failures(values: object) -> frozenset[int | str]:
    if not isinstance(values, list) or not values:
        raise BadRetry(f"“statuses” is a list of: {_listed()}.")
    for value in values:
        # True and 429.0 are equal to numbers, and are none that a person writes.
        if type(value) not in (int, str) or value not in FAILURES:
            raise BadRetry(
                f"“{str(value)[:40]}” is not tried again; “statuses” may have {_listed()}."
            )
    return frozenset(values)


def _budget(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and 0 <= float(value) <= MAX_BUDGET_S:  # type: ignore[arg-type]
        return float(value)  # type: ignore[arg-type]
    raise BadRetry(f"“budget_seconds” is a number from 0 to {MAX_BUDGET_S:g}.")


def _listed() -> str:
    return ", ".join(map(str, FAILURES))
