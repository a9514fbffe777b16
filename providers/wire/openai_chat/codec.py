"""OpenAI Chat Completions as a `WireFormat`."""

from __future__ import annotations

from providers.base.names import OPENAI_CHAT, WireFormatName
from providers.wire.core.base import WireFormat
from providers.wire.failures import reported_failure
from providers.wire.openai_chat import request_decode, request_encode, response, stream


class OpenAIChat:
    """`POST /v1/chat/completions`."""

    name: WireFormatName = OPENAI_CHAT
    decode_request = staticmethod(request_decode.decode_request)
    encode_request = staticmethod(request_encode.encode_request)
    decode_tools = staticmethod(request_decode.decode_tools)
    decode_response = staticmethod(response.decode_response)
    encode_response = staticmethod(response.encode_response)
    stream_decoder = staticmethod(stream.ChatStreamDecoder)
    stream_encoder = staticmethod(stream.ChatStreamEncoder)
    decode_error = staticmethod(reported_failure.decode_error)


FORMAT: WireFormat = OpenAIChat()
