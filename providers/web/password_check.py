"""Own password of a person, asked again before an act that reaches a stored secret."""

from __future__ import annotations

from typing import Any

from providers.web.throttle import forget_failures, is_braked, note_failure, throttle_key

WRONG_PASSWORD = "That is not your password. After ten failed tries wait a minute."  # noqa: S105
_NO_PASSWORD = (
    "Your account has no password, and this asks for one. Set it first: ccproxy changepassword {}"  # noqa: S105
)


def password_problem(user: Any, password: str, purpose: str) -> str:
    """Return why the act is refused; "" for the right password.

    Args:
        purpose: wrong passwords are counted by account and purpose.
    """
    if not user.is_authenticated or not user.has_usable_password():
        return _NO_PASSWORD.format(user.get_username())
    key = throttle_key(purpose, user.get_username())
    if not is_braked(key) and user.check_password(password):
        forget_failures(key)
        return ""
    note_failure(key)
    return WRONG_PASSWORD
