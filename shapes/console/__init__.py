"""Pages of shapes: list, version, comparison, review of a capture, changes."""
