"""Writing of flows to the database, on a thread of its own, and keeping the record in its bounds.

Holds the queue (`backlog`), the thread, the building of rows, the statements, daily usage and
retention. May import `flows.reading`, `flows.bodies`, `flows.models` and what is below them.
"""
