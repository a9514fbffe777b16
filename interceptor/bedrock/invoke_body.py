"""Bodies for Claude on Amazon Bedrock: the path names model and streaming, the body the version.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
"""

from __future__ import annotations

from typing import Final

from interceptor.pipeline.body import Body
from interceptor.pipeline.headers import HeaderMap
from providers.base.names import BEDROCK_CLAUDE
from providers.provider_conf import ProviderConf
from providers.wire.surgery import with_member, without_member

_VERSION: Final = "bedrock-2023-05-31"
_BETA_HEADER: Final = "anthropic-beta"


def fit_for_bedrock(
    body: Body, headers: HeaderMap, provider: ProviderConf | None
) -> tuple[bytes, bytes] | None:
    """Change a body and its headers for InvokeModel; every other byte stays.

    {"model": "x", "stream": true, "messages": []} with the header anthropic-beta: a,b
    → {"anthropic_beta": ["a", "b"], "anthropic_version": "bedrock-2023-05-31", "messages": []}

    Returns the plain body before and after, or None where nothing changed.
    """
    if provider is None or provider.type != BEDROCK_CLAUDE:
        return None
    parsed, before = body.peek(), body.decoded()
    if not isinstance(parsed, dict) or not before:
        return None
    after = before
    if "anthropic_version" not in parsed:
        after = with_member(after, "anthropic_version", _VERSION)
    if "anthropic_beta" not in parsed and (betas := _betas(headers)):
        after = with_member(after, "anthropic_beta", betas)
    headers.remove(_BETA_HEADER)
    after = without_member(without_member(after, "model"), "stream")
    if after == before:
        return None
    body.replace_plain(after)
    return before, after


def _betas(headers: HeaderMap) -> list[str]:
    named = ",".join(headers.get_all(_BETA_HEADER))
    return [beta.strip() for beta in named.split(",") if beta.strip()]
