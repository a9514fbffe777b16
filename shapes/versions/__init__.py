"""Versions of shapes in the database: capture, activation, counts, comparison."""
