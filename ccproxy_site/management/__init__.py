"""Management commands of the project: start, and the link into the console."""
