"""Permissions that the pages and the REST resources of shapes ask for. One table for both."""

from __future__ import annotations

from typing import Final, Literal

Act = Literal["look", "capture", "change", "delete", "acknowledge", "edit-profile", "preview"]

RIGHTS: Final[dict[Act, tuple[str, ...]]] = {
    "look": ("shapes.view_shape",),
    "capture": ("shapes.add_shape", "flows.view_flow"),
    "change": ("shapes.change_shape",),
    "delete": ("shapes.delete_shape",),
    "acknowledge": ("shapes.change_shapingprofile",),
    "edit-profile": ("shapes.change_shapingprofile",),
    "preview": ("shapes.view_shape", "flows.view_flow"),
}
"""Act → permissions, all of which a member of the staff needs."""
