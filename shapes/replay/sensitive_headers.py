"""Headers that no shape may keep: credentials, those of one connection, those of one account."""

from __future__ import annotations

from typing import Final

CREDENTIAL_HEADERS: Final = ("authorization", "x-api-key", "x-goog-api-key")
"""What providers read credentials from. The request path writes them, never a shape."""

CONNECTION_HEADERS: Final = (
    "content-length",
    "content-encoding",
    "host",
    "transfer-encoding",
    "connection",
    "accept-encoding",
)
"""They describe one connection or one body, which a shape shares with no request."""

IDENTITY_HEADERS: Final = (
    "cookie",
    "proxy-authorization",
    "x-client-request-id",
    "session-id",
    "thread-id",
    "chatgpt-account-id",
    "x-openai-fedramp",
    "x-codex-installation-id",
    "x-codex-turn-state",
    "x-codex-turn-metadata",
    "x-codex-parent-thread-id",
    "x-codex-window-id",
    "x-openai-memgen-request",
    "x-openai-subagent",
    "openai-organization",
    "openai-project",
)
"""They name a person, an account, an installation or one session."""

INTERNAL_PREFIX: Final = "x-ccproxy-"
"""Headers between a client and ccproxy; they never leave the proxy."""

CAPTURE_DROPS: Final = frozenset(
    {*CREDENTIAL_HEADERS, *CONNECTION_HEADERS, *IDENTITY_HEADERS} - {"accept-encoding"}
)
"""Headers that a capture removes."""

SECRET_HEADERS: Final = frozenset(
    {*CREDENTIAL_HEADERS, "cookie", "proxy-authorization", "set-cookie"}
)
"""Headers whose presence in a stored shape fails an audit, besides internal ones."""


def is_internal(name: str) -> bool:
    """Return True for a header of ccproxy's own."""
    return name.lower().startswith(INTERNAL_PREFIX)
