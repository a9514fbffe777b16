"""Password login with a brake on guessing."""

from __future__ import annotations

import hashlib
from typing import Any

from django.core.cache import cache
from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

MAX_FAILURES = 10
WINDOW_S = 60
REFUSED = (
    "That name and password do not open this console. After ten failed tries wait a minute; "
    "on the machine itself, “ccproxy login” prints a one-time link."
)


class ThrottledAuthenticationForm(AuthenticationForm):
    """At most ten failed tries a minute for an account from an address. Every refusal reads the same."""

    def clean(self) -> dict[str, Any]:
        key = self._key()
        if cache.get(key, 0) >= MAX_FAILURES:
            raise self.get_invalid_login_error()
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            cache.add(key, 0, WINDOW_S)
            cache.incr(key)
            raise
        cache.delete(key)
        return cleaned

    def get_invalid_login_error(self) -> ValidationError:
        return ValidationError(REFUSED, code="invalid_login")

    def confirm_login_allowed(self, user: Any) -> None:
        if not user.is_active or not user.is_staff:
            raise self.get_invalid_login_error()

    def _key(self) -> str:
        address = self.request.META.get("REMOTE_ADDR", "") if self.request else ""
        account = self.cleaned_data.get("username", "").lower()
        return "login-failures-" + hashlib.sha256(f"{address}\0{account}".encode()).hexdigest()
