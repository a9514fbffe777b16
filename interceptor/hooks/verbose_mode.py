"""Ask Anthropic for full thinking blocks by dropping the beta flags that redact them."""

from __future__ import annotations

from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import Stage, hook

HEADER = "anthropic-beta"
PREFIX = "redact-thinking-"


def _is_anthropic(ex: Exchange) -> bool:
    return "anthropic-version" in ex.headers


@hook(
    stage=Stage.OUTBOUND,
    reads={"header:anthropic-version", f"header:{HEADER}"},
    writes={f"header:{HEADER}"},
    guard=_is_anthropic,
)
def verbose_mode(ex: Exchange) -> None:
    """Drop `redact-thinking-*` from anthropic-beta."""
    flags = ex.headers.get_list(HEADER)
    ex.headers.set_list(HEADER, [flag for flag in flags if not flag.startswith(PREFIX)])
