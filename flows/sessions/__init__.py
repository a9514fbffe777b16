"""Sessions as people see them: the list of sessions, one session's conversation, its charts.

This room reads what `flows.queries` and `flows.reading` find, and writes nothing.
"""
