"""The `ccproxy` command at a terminal: completion, hints, reads without Django."""
