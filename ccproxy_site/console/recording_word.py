"""The last word of the recorder about the record, in the console's memory.

It comes over the socket pair, because the database may be what is away.
"""

from __future__ import annotations


class RecordingWord:
    """Why flows are not stored at the moment, by the recorder's last word."""

    def __init__(self) -> None:
        self.problem = ""
        """A sentence, "" while flows are stored, or without a recorder."""

    def hear(self, problem: str) -> None:
        """Keep the recorder's newest word."""
        self.problem = problem


RECORDING = RecordingWord()
