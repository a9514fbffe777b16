"""Addresses the reverse listener answers itself: `/`, `/health`, `/v1/models`."""

from __future__ import annotations

import orjson
from mitmproxy.http import HTTPFlow

from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.exchange.own_answer import json_response
from interceptor.hooks.inject_auth import sentinel_provider
from interceptor.transform.models_list import models_response


class LocalRoutesAddon:
    """Answers before any hook runs.

    Calls that name a provider by a sentinel key go on to it, except the model list.
    """

    def __init__(self, version: str) -> None:
        self._version = version

    def request(self, flow: HTTPFlow) -> None:
        """Answer a local address."""
        state = state_of(flow)
        if (
            state is None
            or state.exchange is None
            or state.source != "reverse"
            or state.as_forwarded
            or flow.response
        ):
            return
        if flow.request.method not in ("GET", "HEAD"):
            return
        body = self._answer(flow.request.path.partition("?")[0], state)
        if body is not None:
            flow.response = json_response(200, body, flow.id)

    def _answer(self, path: str, state: FlowState) -> bytes | None:
        assert state.exchange is not None  # noqa: S101 - narrowed by the caller
        sentinel = sentinel_provider(state.exchange)
        if path == "/health":
            return orjson.dumps(
                {"status": "ok", "version": self._version, "revision": state.snapshot.revision}
            )
        if path == "/" and sentinel is None:
            text = (
                "ccproxy is running. Point an SDK's base URL here and use the API key"
                " sk-ccproxy-PROVIDER."
            )
            return orjson.dumps(
                {"status": "ok", "service": "ccproxy", "version": self._version, "message": text}
            )
        if path in ("/v1/models", "/models") and (
            sentinel is None or sentinel in state.snapshot.providers
        ):
            return models_response(state.snapshot, sentinel, state.family)
        return None
