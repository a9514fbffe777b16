"""Records that wait for the writer."""
