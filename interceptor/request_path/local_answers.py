"""Responses that the reverse listener gives itself.

| address                | methods   | recorded | why                                           |
|------------------------|-----------|----------|-----------------------------------------------|
| `/`                    | GET, HEAD | no       | people and clients look whether it runs; with |
|                        |           |          | a sentinel key it is the provider's           |
| `/health`              | GET, HEAD | no       | supervisors ask every few seconds             |
| `/api/hello`           | GET, HEAD | no       | Claude Code looks at each start whether its   |
|                        |           |          | base URL can be reached, mostly without a key;|
|                        |           |          | with a sentinel key it is the provider's      |
| `/mcp/notify`          | POST      | no       | programs send events for a session, often     |
| `/pplx/messages/SLUG`  | GET, HEAD | yes      | a thread of a Perplexity account              |
| `/v1/models`, `/models`| GET, HEAD | yes      | the response depends on providers and key     |

Claude Code's other side endpoints (settings, policy limits, telemetry) are not answered here. They
carry content, which the record has to show, and only their provider knows the response.
"""

from __future__ import annotations

import os

import orjson

from interceptor.exchange.flow_state import FlowState, OwnAnswer
from interceptor.exchange.notify import SECRET_HEADER, take_notification
from interceptor.exchange.recording_state import RECORD_NOW
from interceptor.hooks.inject_auth import sentinel_provider
from interceptor.notes.notification import NOTIFY_PATH
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.headers import HeaderMap
from interceptor.request_path.pplx.thread_import import PREFIX, import_thread
from interceptor.request_path.surroundings import Surroundings
from interceptor.transform.model_lists import models_response
from providers.wire.detect import canonical_path

HELLO_PATH = "/api/hello"
UNRECORDED_PATHS = ("/", "/health", f"/health?{RECORD_NOW}", HELLO_PATH, NOTIFY_PATH)
"""Recording what the proxy answers there would drown the traffic."""
MODELS_PATH = "/v1/models"
GREETING = (
    "ccproxy is running. Point an SDK's base URL here and use the API key sk-ccproxy-PROVIDER."
)


async def answer_locally(state: FlowState, exchange: Exchange, around: Surroundings) -> None:
    """Answer the proxy's own addresses before any hook runs.

    A request that names a provider by a sentinel key goes on to it, except the list of models. One
    whose base path names a provider goes on in any case.
    """
    if state.source != "reverse" or state.as_forwarded or state.to_provider is not None:
        return
    if exchange.method == "POST" and exchange.path == NOTIFY_PATH:
        shown = HeaderMap(state.head.fields).get(SECRET_HEADER) if state.head else None
        body = exchange.body.decoded() or b""
        state.answer = await take_notification(
            body, shown or "", around.notify_secret, around.notes
        )
        return
    if exchange.method not in ("GET", "HEAD"):
        return
    path, _, query = canonical_path(exchange.path, None).partition("?")
    sentinel = sentinel_provider(exchange)
    found: dict[str, object]
    if path == HELLO_PATH and sentinel is None:
        found = {"status": "ok"}
    elif path == "/health":
        found = _health(state, around)
        if RECORD_NOW in query.split("&"):
            around.recording.hurry()
    elif path == "/" and sentinel is None:
        found = {"status": "ok", "service": "ccproxy", "version": around.version}
        found["message"] = GREETING
    elif path == MODELS_PATH and (sentinel is None or sentinel in exchange.providers):
        refresh = "refresh=true" in query.split("&")
        if sentinel:
            chosen = [exchange.providers[sentinel]]
        else:
            chosen = await around.models.with_credentials(exchange.providers.values())
        names = await around.models.of(chosen, refresh=refresh)
        state.answer = OwnAnswer(200, models_response(names, state.family))
        return
    elif path.startswith(PREFIX):
        await import_thread(state, exchange, around, path, query)
        return
    else:
        return
    state.answer = OwnAnswer(200, orjson.dumps(found))


def _health(state: FlowState, around: Surroundings) -> dict[str, object]:
    found: dict[str, object] = {"status": "ok", "version": around.version}
    found["revision"] = state.snapshot.revision
    if around.recording.waiting:
        found["waiting"] = dict(around.recording.waiting)
    if around.recording.positions is not None:
        recorded, stored = around.recording.positions()
        found["record"] = {"proxy": os.getpid(), "recorded": recorded, "stored": stored}
    if around.recording.problem:
        # The status code stays 200: requests are answered all the same.
        found |= {"status": "degraded", "recording": around.recording.problem}
    return found
