"""Refusal of a file of shapes."""

from __future__ import annotations

from providers.base.errors import CcproxyError


class ShapeFileError(CcproxyError):
    """A file that cannot be read as a shape; the message names the file and the reason."""
