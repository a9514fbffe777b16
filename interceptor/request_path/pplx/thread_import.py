"""`GET /pplx/messages/SLUG`: a thread of a Perplexity account as chat messages."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, unquote

import orjson

from interceptor.exchange.flow_state import FlowState, OwnAnswer
from interceptor.hooks.inject_auth import sentinel_provider
from interceptor.pipeline.exchange import Exchange
from interceptor.request_path.surroundings import Surroundings
from providers.base.errors import RefuseRequest
from providers.perplexity.messages import thread_as_messages
from providers.perplexity.threads import entries_of
from providers.provider_conf import ProviderConf
from providers.wire.perplexity.ask_conf import PERPLEXITY_TYPE, AskConf, CitationMode

PREFIX: Final = "/pplx/messages/"
_MODES: Final[dict[str, CitationMode]] = {
    "markdown": "markdown",
    "default": "default",
    "clean": "clean",
}


async def import_thread(
    state: FlowState, exchange: Exchange, around: Surroundings, path: str, query: str
) -> None:
    """Answer with the thread that the path names, or with an error that says why not."""
    try:
        conf = account_of(state, exchange)
        found = await _messages(conf, around, path, query)
    except RefuseRequest as exc:
        kind = "pplx_unavailable" if exc.status_code == 503 else "pplx_fetch_error"
        error = {"message": str(exc), "type": kind, "code": exc.status_code}
        state.answer = OwnAnswer(exc.status_code, orjson.dumps({"error": error}))
        return
    state.answer = OwnAnswer(200, orjson.dumps(found))


async def _messages(
    conf: ProviderConf, around: Surroundings, path: str, query: str
) -> dict[str, object]:
    if around.perplexity is None:
        raise RefuseRequest("No account is asked here.", status_code=503)
    wishes = parse_qs(query)
    ask = conf.ask or AskConf()
    asked = wishes.get("citation_mode", [""])[-1]
    if asked and asked not in _MODES:
        raise RefuseRequest(f"citation_mode must be one of {', '.join(_MODES)}.")
    credential = None
    if conf.auth is not None:
        credential = await around.resolver.resolve(conf.name, conf.auth)
    slug = unquote(path.removeprefix(PREFIX)).strip("/")
    site = around.perplexity.site(conf, credential)
    entries = await entries_of(site, slug, ask.thread)
    return thread_as_messages(
        entries,
        slug,
        citation_mode=_MODES.get(asked, ask.thread.citation_mode),
        with_reasoning=wishes.get("include_reasoning", ["true"])[-1].lower() != "false",
    )


def account_of(state: FlowState, exchange: Exchange) -> ProviderConf:
    """Return the account that the sentinel key names, or the only one.

    Raises:
        RefuseRequest: 503 without such a provider, 403 where the client token excludes it.
    """
    named = sentinel_provider(exchange)
    chosen = [
        conf
        for conf in exchange.providers.values()
        if conf.type == PERPLEXITY_TYPE and named in (None, conf.name)
    ]
    if not chosen:
        raise RefuseRequest("There is no provider of the type perplexity_pro.", status_code=503)
    if len(chosen) > 1:
        names = ", ".join(f"sk-ccproxy-{conf.name}" for conf in chosen)
        raise RefuseRequest(f"There are several accounts; name one by its key: {names}.")
    allowed = state.client_token.providers if state.client_token else frozenset()
    if allowed and chosen[0].name not in allowed:
        raise RefuseRequest("The client token does not cover this provider.", status_code=403)
    return chosen[0]
