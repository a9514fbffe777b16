"""Texts that a flow's request can be written as."""

from __future__ import annotations

from typing import Final

SDK_KINDS: Final[dict[str, str]] = {
    "anthropic": "Python, anthropic",
    "openai": "Python, openai",
    "google": "Python, google-genai",
}
"""Calls of the vendors' SDKs."""

KINDS: Final[dict[str, str]] = {
    "curl": "curl",
    "httpx": "Python, httpx",
    **SDK_KINDS,
    "markdown": "Markdown transcript",
}
"""Name in addresses → label."""
