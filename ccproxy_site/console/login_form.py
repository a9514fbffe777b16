"""Password login with a rate limit on failed tries."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from providers.web.client_address import client_address
from providers.web.throttle import (
    MAX_FAILURES,
    MAX_OF_ADDRESS,
    MAX_OF_ALL,
    forget_failures,
    is_braked,
    note_failure,
    throttle_key,
)

REFUSED = (
    "That name and password do not open this console. After ten failed tries wait a minute; "
    "on the machine itself, “ccproxy login” prints a one-time link."
)


class ThrottledAuthenticationForm(AuthenticationForm):
    """Password login with limits on failed tries a minute, in all processes.

    They count for an account from an address, for an address, and for all. Refusals read alike.
    """

    def clean(self) -> dict[str, Any]:
        brakes = self._brakes()
        if any(is_braked(key, limit) for key, limit in brakes.items()):
            raise self.get_invalid_login_error()
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            for key in brakes:
                note_failure(key)
            raise
        # The others go on counting: an account of one's own must not reset them.
        forget_failures(next(iter(brakes)))
        return cleaned

    def get_invalid_login_error(self) -> ValidationError:
        return ValidationError(REFUSED, code="invalid_login")

    def confirm_login_allowed(self, user: Any) -> None:
        if not user.is_active or not user.is_staff:
            raise self.get_invalid_login_error()

    def _brakes(self) -> dict[str, int]:
        """Return what counts failures, each with its limit; the account's own is the first."""
        address = client_address(self.request) if self.request else ""
        name = self.cleaned_data.get("username", "").lower()
        return {
            throttle_key("login", address, name): MAX_FAILURES,
            throttle_key("login from", address): MAX_OF_ADDRESS,
            throttle_key("login"): MAX_OF_ALL,
        }
