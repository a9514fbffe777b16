"""Password login with a rate limit on failed tries."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from providers.web.throttle import forget_failures, is_braked, note_failure, throttle_key

REFUSED = (
    "That name and password do not open this console. After ten failed tries wait a minute; "
    "on the machine itself, “ccproxy login” prints a one-time link."
)


class ThrottledAuthenticationForm(AuthenticationForm):
    """At most ten failed tries a minute for an account from an address, in all processes.

    Refusals read alike.
    """

    def clean(self) -> dict[str, Any]:
        key = self._key()
        if is_braked(key):
            raise self.get_invalid_login_error()
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            note_failure(key)
            raise
        forget_failures(key)
        return cleaned

    def get_invalid_login_error(self) -> ValidationError:
        return ValidationError(REFUSED, code="invalid_login")

    def confirm_login_allowed(self, user: Any) -> None:
        if not user.is_active or not user.is_staff:
            raise self.get_invalid_login_error()

    def _key(self) -> str:
        address = self.request.META.get("REMOTE_ADDR", "") if self.request else ""
        return throttle_key("login", address, self.cleaned_data.get("username", "").lower())
