"""Rights that pages, REST and websockets ask for alike."""

from __future__ import annotations

from typing import Final

VIEW_FLOWS: Final = "flows.view_flow"
"""See what was recorded: lists, bodies, exports, usage, live text."""
