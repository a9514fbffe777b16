"""Names of the TLS handshakes that requests may leave with. No Django.

They are curl-cffi's browsers, and `captured`: the reference client of the active shape.

curl-cffi is imported by the first look-up alone: it takes a tenth of a second and 10 MB.
"""

from __future__ import annotations

from functools import cache
from typing import Final, get_args

from providers.base.errors import ConfigError
from providers.base.nearest import capitalised, no_such

CAPTURED: Final = "captured"
"""Handshake that the active shape of the provider's type was captured with."""


class ProfilesUnavailable(ConfigError):
    """curl-cffi is missing or broken. The message says so, and names the fix."""


@cache
def profile_names() -> tuple[str, ...]:
    """Return every name: `captured`, then curl-cffi's in its own order, such as `chrome131`.

    Raises:
        ProfilesUnavailable: curl-cffi cannot be imported.
    """
    try:
        from curl_cffi.requests.impersonate import BrowserTypeLiteral
    except Exception as exc:
        # A broken native library raises OSError, SystemError and others beside ImportError.
        raise ProfilesUnavailable(unavailable(exc)) from None
    return (CAPTURED, *get_args(BrowserTypeLiteral))


def unavailable(cause: Exception) -> str:
    """Return the sentence about a curl-cffi that cannot be used."""
    return (
        f"a profile needs curl-cffi, which cannot be loaded ({type(cause).__name__}:"
        f" {str(cause)[:200]}); install the locked packages again, or clear the profile"
    )


def check_profile(name: str) -> str | None:
    """Return the fault of a profile's name as a sentence, or None. "" means no profile."""
    if not name:
        return None
    try:
        names = profile_names()
    except ProfilesUnavailable as exc:
        return capitalised(str(exc))
    if name in names:
        return None
    return f"{capitalised(no_such('profile', name, names))} All: {', '.join(names)}."
