"""OpenAI Responses as a `WireFormat`."""

from __future__ import annotations

from providers.base.names import OPENAI_RESPONSES, WireFormatName
from providers.wire.core.base import WireFormat
from providers.wire.failures import reported_failure
from providers.wire.openai_responses import (
    request_decode,
    request_encode,
    response,
    stream_decode,
    stream_encode,
)


class OpenAIResponses:
    """`POST /v1/responses`."""

    name: WireFormatName = OPENAI_RESPONSES
    decode_request = staticmethod(request_decode.decode_request)
    encode_request = staticmethod(request_encode.encode_request)
    decode_tools = staticmethod(request_decode.decode_tools)
    decode_response = staticmethod(response.decode_response)
    encode_response = staticmethod(response.encode_response)
    stream_decoder = staticmethod(stream_decode.ResponsesStreamDecoder)
    stream_encoder = staticmethod(stream_encode.ResponsesStreamEncoder)
    decode_error = staticmethod(reported_failure.decode_error)


FORMAT: WireFormat = OpenAIResponses()
