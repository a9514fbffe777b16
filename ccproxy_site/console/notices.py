"""Warnings that every page of the console shows while they apply."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

from ccproxy_site.console.recording_word import RECORDING

UNVERIFIED = (
    "Certificates of providers are not verified (inspector.mitmproxy.ssl_insecure): anyone"
    " between the proxy and the provider can read and change requests and responses. Only"
    " connections that carry a stored credential are verified all the same."
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


def recording_notice(request: HttpRequest) -> dict[str, str]:
    """Template variable of every page: why flows are not stored at the moment.

    It needs no database, and the login page shows it too.
    """
    if not RECORDING.problem:
        return {}
    return {"ccproxy_recording_notice": RECORDING.problem}
