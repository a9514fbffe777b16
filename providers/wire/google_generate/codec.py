"""Google generateContent as a `WireFormat`."""

from __future__ import annotations

from providers.base.names import GOOGLE_GENERATE, WireFormatName
from providers.wire.core.base import WireFormat
from providers.wire.failures import reported_failure
from providers.wire.google_generate import request_decode, request_encode, response, stream


class GoogleGenerate:
    """`POST /v1beta/models/{model}:generateContent` and its relatives."""

    name: WireFormatName = GOOGLE_GENERATE
    decode_request = staticmethod(request_decode.decode_request)
    encode_request = staticmethod(request_encode.encode_request)
    decode_tools = staticmethod(request_decode.decode_tools)
    decode_response = staticmethod(response.decode_response)
    encode_response = staticmethod(response.encode_response)
    stream_decoder = staticmethod(stream.GoogleStreamDecoder)
    stream_encoder = staticmethod(stream.GoogleStreamEncoder)
    decode_error = staticmethod(reported_failure.decode_error)


FORMAT: WireFormat = GoogleGenerate()
