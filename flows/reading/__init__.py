"""Recorded bytes turned into what they mean: messages, responses, usage, events, cache breaks.

Modules here read one body or one request at a time. They may import `flows.display`,
`flows.bodies`, `flows.models` and the wire formats of `providers.wire`; never a page.
"""
