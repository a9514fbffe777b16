"""Digest of the final body in a header, for gateways that check what reaches them (RFC 9530)."""

from __future__ import annotations

import base64
import hashlib

from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import Stage, hook


@hook(stage=Stage.SEAL, reads={"body"}, writes={"header:content-digest"})
def content_digest(ex: Exchange) -> None:
    """Set Content-Digest to the SHA-256 of the body that leaves (RFC 9530, 2)."""
    digest = base64.b64encode(hashlib.sha256(ex.body.data).digest()).decode()
    ex.headers.set("content-digest", f"sha-256=:{digest}:")
