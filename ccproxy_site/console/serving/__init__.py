"""Requests of the console on their way to Django: a context and a turn each."""
