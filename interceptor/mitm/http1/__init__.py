"""Both sides of HTTP/1 connections, with limits, and their fast paths."""
