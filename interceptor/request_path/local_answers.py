"""Responses that the reverse listener gives itself: `/`, `/health` and the list of models."""

from __future__ import annotations

import orjson

from interceptor.exchange.flow_state import FlowState, OwnAnswer
from interceptor.hooks.inject_auth import sentinel_provider
from interceptor.pipeline.exchange import Exchange
from interceptor.request_path.surroundings import Surroundings
from interceptor.transform.model_lists import models_response
from providers.wire.detect import canonical_path

MODELS_PATH = "/v1/models"
GREETING = (
    "ccproxy is running. Point an SDK's base URL here and use the API key sk-ccproxy-PROVIDER."
)


async def answer_locally(state: FlowState, exchange: Exchange, around: Surroundings) -> None:
    """Answer the proxy's own addresses before any hook runs.

    A request that names a provider by a sentinel key goes on to it, except the list of models.
    """
    if state.source != "reverse" or state.as_forwarded or exchange.method not in ("GET", "HEAD"):
        return
    path, _, query = canonical_path(exchange.path, None).partition("?")
    sentinel = sentinel_provider(exchange)
    if path == "/health":
        found = _health(state, around)
    elif path == "/" and sentinel is None:
        found = {"status": "ok", "service": "ccproxy", "version": around.version}
        found["message"] = GREETING
    elif path == MODELS_PATH and (sentinel is None or sentinel in exchange.providers):
        refresh = "refresh=true" in query.split("&")
        chosen = [exchange.providers[sentinel]] if sentinel else [*exchange.providers.values()]
        names = await around.models.of(chosen, refresh=refresh)
        state.answer = OwnAnswer(200, models_response(names, state.family))
        return
    else:
        return
    state.answer = OwnAnswer(200, orjson.dumps(found))


def _health(state: FlowState, around: Surroundings) -> dict[str, object]:
    return {"status": "ok", "version": around.version, "revision": state.snapshot.revision}
