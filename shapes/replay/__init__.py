"""Application of a shape to a request: plain functions on plain values. No Django, no mitmproxy."""
