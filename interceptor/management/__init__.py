"""Management commands of the interceptor."""
