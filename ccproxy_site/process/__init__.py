"""Processes: start-up checks, services and their order, workers, the log.

May import every application, and the console to serve it. Pages and hooks belong elsewhere.
"""
