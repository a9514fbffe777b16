"""Perplexity's ask as a `ProviderCodec`; no client speaks it."""

from __future__ import annotations

from providers.base.names import PERPLEXITY_ASK, WireFormatName
from providers.wire.core.base import ProviderCodec
from providers.wire.failures import reported_failure
from providers.wire.perplexity import request_encode, response, stream


class PerplexityAsk:
    """`POST /rest/sse/perplexity_ask`."""

    name: WireFormatName = PERPLEXITY_ASK
    encode_request = staticmethod(request_encode.encode_request)
    decode_response = staticmethod(response.decode_response)
    stream_decoder = staticmethod(stream.PerplexityStreamDecoder)
    decode_error = staticmethod(reported_failure.decode_error)


FORMAT: ProviderCodec = PerplexityAsk()
