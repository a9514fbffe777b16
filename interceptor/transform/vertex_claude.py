"""Bodies for Claude on Vertex AI: the path names the model, the body names the version.

https://docs.anthropic.com/en/api/claude-on-vertex-ai
"""

from __future__ import annotations

from typing import Final

from interceptor.pipeline.body import Body
from interceptor.transform.target import VERTEX_CLAUDE
from providers.provider_conf import ProviderConf
from providers.wire.surgery import with_member, without_model

_VERSION: Final = "vertex-2023-10-16"
_COUNTS: Final = "/count-tokens:rawPredict"


def fit_for_vertex(
    body: Body, provider: ProviderConf | None, path: str
) -> tuple[bytes, bytes] | None:
    """Change a body for its endpoint; every other byte stays.

    {"model": "claude-x", "messages": []}
    → {"anthropic_version": "vertex-2023-10-16", "messages": []}

    Returns the plain body before and after, or None where nothing changed.
    """
    if provider is None or provider.type != VERTEX_CLAUDE:
        return None
    parsed, before = body.peek(), body.decoded()
    if not isinstance(parsed, dict) or not before:
        return None
    after = before
    if "anthropic_version" not in parsed:
        after = with_member(after, "anthropic_version", _VERSION)
    # The endpoint that counts tokens is the same for all models.
    if not path.partition("?")[0].endswith(_COUNTS):
        after = without_model(after)
    if after == before:
        return None
    body.replace_plain(after)
    return before, after
