"""The pictures of the documentation, taken anew by `make pictures`; not part of the test suite."""
