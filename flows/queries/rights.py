"""Rights that pages, REST, tools and websockets ask for alike. One table for all of them."""

from __future__ import annotations

from typing import Final, Literal

VIEW_FLOWS: Final = "flows.view_flow"
"""See what was recorded: lists, bodies, exports, usage, live text."""

RESEND: Final = "flows.add_resend"
"""Send a recorded request again."""

Act = Literal["look", "resend", "try-rule", "read-library", "change-library"]

RIGHTS: Final[dict[Act, tuple[str, ...]]] = {
    "look": (VIEW_FLOWS,),
    "resend": (VIEW_FLOWS, RESEND),
    "try-rule": (VIEW_FLOWS, "providers.view_transformrule"),
    "read-library": (VIEW_FLOWS, "providers.view_provider"),
    "change-library": (VIEW_FLOWS, "providers.view_provider", "providers.change_provider"),
}
"""Act → permissions, all of which a member of the staff needs."""
