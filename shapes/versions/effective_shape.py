"""A stored version as requests take it: with its patches applied."""

from __future__ import annotations

from providers.base.errors import CcproxyError
from shapes.active_rows import parts_of
from shapes.models import Shape
from shapes.replay.shape_document import ShapeParts, patched
from shapes.replay.shape_text import BadShape
from shapes.replay.unified_diff import BadPatch


class BrokenPatch(CcproxyError):
    """A stored patch that does not apply; the message names its hunk."""


def effective_parts(shape: Shape) -> ShapeParts:
    """Return a version with its patches applied.

    Raises:
        BrokenPatch: one does not apply.
    """
    # A version that is only reviewed has no row, and so no patches.
    patches: list[tuple[str, str]] = []
    if shape.pk is not None:
        patches = [(patch.name, patch.diff) for patch in shape.patches.all()]
    try:
        return patched(parts_of(shape), patches)
    except (BadPatch, BadShape) as exc:
        raise BrokenPatch(f"{shape}: {exc}.") from None
