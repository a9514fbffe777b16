"""Headers of Perplexity's web page on a request to its ask endpoint.

The site refuses requests without them. The session's cookie is no business of this hook: the step
`leave` writes it, for the provider's own host alone.
"""

from __future__ import annotations

from interceptor.hooks.pplx_requests import asks_perplexity
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import Stage, hook
from providers.wire.perplexity.page_headers import ASK_REASON, ask_headers

_NAMES = frozenset(ask_headers())
_CLIENTS_OWN = ("authorization", "cookie", "x-api-key", "x-goog-api-key", "api-key")


@hook(
    stage=Stage.OUTBOUND,
    writes={f"header:{name}" for name in (*_NAMES, *_CLIENTS_OWN)},
    guard=asks_perplexity,
)
def pplx_stamp_headers(ex: Exchange) -> None:
    """Give a request to Perplexity the headers of its web page."""
    for name in _CLIENTS_OWN:
        ex.headers.remove(name)
    for name, value in ask_headers(ASK_REASON).items():
        ex.headers.set(name, value)
