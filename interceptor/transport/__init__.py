"""Requests sent with a browser's TLS handshake, by libcurl. Nothing runs before the first one.

mitmproxy connects to an ASGI application on a loopback port instead of the provider. Bodies cross
that connection; the heads of request and response stay in this process (`detour.py`), so the
record shows the provider's own.
"""
