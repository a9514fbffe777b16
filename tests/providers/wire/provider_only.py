"""A wire format that providers alone speak: its codec has no side for clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from providers.base.names import WireFormatName
from providers.wire.core.base import ProviderCodec, TargetInfo
from providers.wire.core.formats import provider_codec
from providers.wire.core.ir import JsonObject, Request, Response

NAME = cast(WireFormatName, "asking")


class Asking:
    """`{"ask": TEXT}` → `{"said": TEXT}`; streams as Chat does."""

    name = NAME
    stream_decoder = staticmethod(provider_codec("openai_chat").stream_decoder)

    @staticmethod
    def encode_request(request: Request, target: TargetInfo) -> JsonObject:
        chat = provider_codec("openai_chat").encode_request(request, target)
        return {"ask": str(chat["messages"][-1]["content"])}

    @staticmethod
    def decode_response(body: Mapping[str, Any]) -> Response:
        message = {"role": "assistant", "content": body["said"]}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return provider_codec("openai_chat").decode_response({"choices": [choice]})

    @staticmethod
    def decode_error(status: int, body: Any) -> None:
        del status, body


FORMAT: ProviderCodec = Asking()
