"""Bodies for Claude on Vertex AI and Amazon Bedrock.

Both take Anthropic's Messages with the version in the body and the model in the path:
https://docs.anthropic.com/en/api/claude-on-vertex-ai
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
"""

from __future__ import annotations

from typing import Final

from interceptor.pipeline.body import Body
from interceptor.pipeline.headers import HeaderMap
from interceptor.transform.target import VERTEX_CLAUDE
from providers.base.names import BEDROCK_CLAUDE
from providers.provider_conf import ProviderConf
from providers.wire.core.ir import JsonObject
from providers.wire.surgery import with_member, without_member, without_model

_VERSIONS: Final = {VERTEX_CLAUDE: "vertex-2023-10-16", BEDROCK_CLAUDE: "bedrock-2023-05-31"}
_COUNTS: Final = "/count-tokens:rawPredict"
_BETA_HEADER: Final = "anthropic-beta"


def fit_for_cloud(
    body: Body, headers: HeaderMap, provider: ProviderConf | None, path: str
) -> tuple[bytes, bytes] | None:
    """Change a body, and its headers, for the cloud that runs the model; every other byte stays.

    {"model": "claude-x", "messages": []}
    → {"anthropic_version": "vertex-2023-10-16", "messages": []}

    Returns the plain body before and after, or None where nothing changed.
    """
    version = None if provider is None else _VERSIONS.get(provider.type)
    if provider is None or version is None:
        return None
    parsed, before = body.peek(), body.decoded()
    if not isinstance(parsed, dict) or not before:
        return None
    after = before
    if "anthropic_version" not in parsed:
        after = with_member(after, "anthropic_version", version)
    if provider.type == BEDROCK_CLAUDE:
        after = _for_bedrock(after, parsed, headers)
    # Vertex AI's endpoint that counts tokens is the same for all models.
    elif not path.partition("?")[0].endswith(_COUNTS):
        after = without_model(after)
    if after == before:
        return None
    body.replace_plain(after)
    return before, after


def _for_bedrock(body: bytes, parsed: JsonObject, headers: HeaderMap) -> bytes:
    """Move the betas from their header into the body; streaming is in the path too.

    {"model": "x", "stream": true, "messages": []} with the header anthropic-beta: a,b
    → {"anthropic_beta": ["a", "b"], "messages": []}
    """
    if "anthropic_beta" not in parsed and (betas := _betas(headers)):
        body = with_member(body, "anthropic_beta", betas)
    headers.remove(_BETA_HEADER)
    return without_member(without_member(body, "model"), "stream")


def _betas(headers: HeaderMap) -> list[str]:
    named = ",".join(headers.get_all(_BETA_HEADER))
    return [beta.strip() for beta in named.split(",") if beta.strip()]
