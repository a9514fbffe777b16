"""Headers that Perplexity's web page sends, without the session's cookie.

They were observed with Chrome 131 on Linux. The TLS handshake has to fit them: a provider's
fingerprint profile `chrome131` gives it.
"""

from __future__ import annotations

from typing import Final
from uuid import uuid4

from providers.wire.perplexity.ask_conf import API_VERSION, BASE_URL

USER_AGENT: Final = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0"
    " Safari/537.36"
)
ASK_REASON: Final = "perplexity-query-state-provider"


def page_headers() -> dict[str, str]:
    """Return what every call of the page has."""
    return {"user-agent": USER_AGENT, "origin": BASE_URL, "referer": f"{BASE_URL}/"}


def call_headers(reason: str = "") -> dict[str, str]:
    """Return what a call of the page's own API has. `reason` is the page's word for the call."""
    found = page_headers() | {"x-app-apiclient": "default", "x-app-apiversion": API_VERSION}
    if reason:
        found["x-perplexity-request-reason"] = reason
    return found


def fetch_headers() -> dict[str, str]:
    """Return what a browser says of a call that a page makes to its own host."""
    return {
        "sec-fetch-dest": "empty",
        "sec-fetch-mode": "cors",
        "sec-fetch-site": "same-origin",
    }


def ask_headers(reason: str = ASK_REASON) -> dict[str, str]:
    """Return the headers of an ask."""
    return {
        **call_headers(reason),
        **fetch_headers(),
        "accept": "text/event-stream, application/json",
        "content-type": "application/json",
        "x-request-id": str(uuid4()),
    }
