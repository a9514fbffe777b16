"""Links between the model calls of a session: threads, predecessors, cache breaks."""
