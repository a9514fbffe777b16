"""Method under which a name lookup is recorded; apart, because the shell's list loads little."""

from __future__ import annotations

from typing import Final

LOOKUP: Final = "DNS"
"""The method of a name lookup."""
