"""Warm-up call that the web page makes before an ask."""

from __future__ import annotations

from typing import Any, Final

from interceptor.hooks.pplx_requests import asks_perplexity
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import Stage, hook
from providers.base.errors import RefuseRequest
from providers.perplexity.site_calls import Call
from providers.wire.perplexity.ask_conf import AskConf

PATH: Final = "/search/new"
MAX_QUERY_CHARS: Final = 2000
"""The site answers longer addresses with 414."""


async def warm_up(ex: Exchange) -> str:
    """Make the call and return what came of it; a failure is not the request's."""
    body: Any = ex.body.peek()
    query = body.get("query_str") if isinstance(body, dict) else None
    if not isinstance(query, str) or ex.provider is None or ex.perplexity is None:
        return "skipped"
    limit_s = (ex.provider.ask or AskConf()).search.preflight_timeout_s
    call = Call("GET", PATH, (("q", query[:MAX_QUERY_CHARS]),), timeout_s=limit_s)
    try:
        await ex.perplexity.site(ex.provider, ex.credential).send(call)
    except RefuseRequest as exc:
        return str(exc)
    return "done"


@hook(
    stage=Stage.OUTBOUND,
    reads={"body"},
    writes={"meta:pplx_preflight"},
    guard=asks_perplexity,
    prepare=warm_up,
    timeout_s=60.0,
)
def pplx_preflight(ex: Exchange) -> None:
    """Open a search at Perplexity before asking, as its web page does."""
    ex.metadata["pplx_preflight"] = ex.prepared
