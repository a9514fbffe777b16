"""Live view of running flows: the bus, its websockets, and catching up on a running response.

Lossy by design; the database has everything a moment later. May import `flows.reading`,
`flows.queries`, `flows.redaction`, `flows.models` and what is below them.
"""
