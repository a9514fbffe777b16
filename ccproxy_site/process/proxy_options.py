"""Server settings in the form that mitmproxy wants them."""

from __future__ import annotations

import logging

from mitmproxy.utils.human import parse_size

from interceptor.config.files.server import ServerSettings

logger = logging.getLogger(__name__)


def mitmproxy_options(settings: ServerSettings) -> dict[str, object]:
    """Return the options that are passed on under mitmproxy's own names."""
    chosen = settings.inspector.mitmproxy
    if chosen.ssl_insecure:
        logger.warning(
            "ssl_insecure is on: certificates are verified only where a credential is sent"
        )
    return {
        "allow_hosts": list(chosen.allow_hosts),
        "body_size_limit": chosen.body_size_limit,
        "ignore_hosts": list(chosen.ignore_hosts),
        "ssl_insecure": chosen.ssl_insecure,
        "ssl_verify_upstream_trusted_ca": chosen.ssl_verify_upstream_trusted_ca,
    }


def stream_over_bytes(settings: ServerSettings) -> int | None:
    """Return the size from which responses stream.

    mitmproxy's own option of this name would stream requests too, before a hook or a rule has
    read them.
    """
    return parse_size(settings.inspector.mitmproxy.stream_large_bodies)
