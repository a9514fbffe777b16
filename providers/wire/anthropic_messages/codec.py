"""Anthropic Messages as a `WireFormat`."""

from __future__ import annotations

from providers.base.names import ANTHROPIC_MESSAGES, WireFormatName
from providers.wire.anthropic_messages import request_decode, request_encode, response, stream
from providers.wire.core.base import WireFormat
from providers.wire.failures import reported_failure


class AnthropicMessages:
    """`POST /v1/messages`."""

    name: WireFormatName = ANTHROPIC_MESSAGES
    decode_request = staticmethod(request_decode.decode_request)
    encode_request = staticmethod(request_encode.encode_request)
    decode_tools = staticmethod(request_decode.decode_tools)
    decode_response = staticmethod(response.decode_response)
    encode_response = staticmethod(response.encode_response)
    stream_decoder = staticmethod(stream.AnthropicStreamDecoder)
    stream_encoder = staticmethod(stream.AnthropicStreamEncoder)
    decode_error = staticmethod(reported_failure.decode_error)


FORMAT: WireFormat = AnthropicMessages()
