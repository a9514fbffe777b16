"""Notifications of other programs, which wait for a request of their session. Pure.

notification    one call of `POST /mcp/notify`, checked
note_book       events that wait, and the book that has them
coalescing      the few events that an agent reads
injected_pair   a tool call and its result, in the four wire formats
"""
