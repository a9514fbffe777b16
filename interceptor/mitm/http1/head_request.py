"""mitmproxy's request for headers that were read by our own parser."""

from __future__ import annotations

import time

from mitmproxy.http import Headers, Request

from interceptor.mitm.request_head import Head


def request_of(head: Head) -> Request:
    """Return mitmproxy's request for a start line and headers; its body is still to come."""
    headers = Headers()
    headers.fields = head.fields
    return Request(
        host="",
        port=0,
        method=head.method,
        scheme=b"",
        authority=b"",
        path=head.target,
        http_version=head.version,
        headers=headers,
        content=None,
        trailers=None,
        timestamp_start=time.time(),
        timestamp_end=None,
    )
