"""The steps of a request from its listener to its provider, free of mitmproxy and Django.

The addons run these steps on live flows, and `interceptor.explain` runs the same list dry. A step
that ends a request sets `state.answer`; no later step runs then.
"""
