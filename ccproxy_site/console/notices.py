"""What every page of the console says while it holds."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

UNVERIFIED = (
    "Certificates of providers are not verified (inspector.mitmproxy.ssl_insecure): whoever stands"
    " on the way can read and change what passes. Only connections that carry a stored credential"
    " are verified all the same."
)


def ssl_notice(request: HttpRequest) -> dict[str, str]:
    """Template variable of every page: a sentence while `ssl_insecure` is on, for who is
    signed in.
    """
    user = getattr(request, "user", None)
    if (
        not settings.CCPROXY.inspector.mitmproxy.ssl_insecure
        or user is None
        or not user.is_authenticated
    ):
        return {}
    return {"ccproxy_ssl_notice": UNVERIFIED}
