"""Reads by plain SQL, with and without Django, for commands that people wait for."""
