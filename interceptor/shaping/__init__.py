"""Hooks that give requests a shape: the outer hook `shape`, and the inner hooks of profiles.

No Django, no mitmproxy. The plain functions on which they stand are `shapes.replay`.
"""
