"""The product's scripted Perplexity as a server that keeps every request."""

from __future__ import annotations

import gzip

from interceptor.demo.perplexity_site import PerplexitySite
from interceptor.demo.script import Answer
from tests.fakes.upstream import Script, Seen, Upstream

TOKEN = "session-token-0123456789"


class PerplexityUpstream(Upstream):
    """A scripted provider with one Perplexity account."""

    def __init__(self) -> None:
        super().__init__()
        self.site = PerplexitySite(TOKEN)

    def scripted_answer(self, seen: Seen) -> Script:
        headers = {name.lower(): value for name, value in seen.headers}
        body = seen.body
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        reply = self.site.answer(seen.method, seen.target, headers, body)
        return script_of(reply or Answer(404, "text/plain", (b"nothing here",)))

    def asks(self) -> list[Seen]:
        """Every ask that arrived, in order."""
        return [seen for seen in self.requests if seen.path == "/rest/sse/perplexity_ask"]


def script_of(reply: Answer) -> Script:
    framing = "chunked" if reply.is_stream else "length"
    return Script(
        reply.status, (("content-type", reply.content_type),), reply.pieces, framing=framing
    )
