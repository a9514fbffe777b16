"""Images of a request: their order, and the bytes of those that travel in it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from providers.wire.core.ir import Media, Request, ToolResult

IMAGE_TYPES: Final = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}
"""First bytes of a file → media type, of the kinds that cannot carry scripts."""
ImageUrl = Callable[[int], str]
"""Returns the address of an image by its number in the request."""


class ImageFile(NamedTuple):
    """The bytes of an image and its media type."""

    data: bytes
    media_type: str


def images(request: Request) -> Iterator[Media]:
    """Yield the images of a request in the order in which they are numbered."""
    for turn in request.turns:
        for block in turn.blocks:
            parts = block.content if isinstance(block, ToolResult) else [block]
            for part in parts:
                if isinstance(part, Media) and part.kind == "image":
                    yield part


def image_bytes(media: Media) -> ImageFile | None:
    """Return an image that travels in the request; None for a reference and for other kinds.

    The first bytes decide the type, not the request, which could name one that runs scripts.
    """
    try:
        data = base64.b64decode(media.data or "", validate=False)
    except (binascii.Error, ValueError):
        return None
    for magic, media_type in IMAGE_TYPES.items():
        if data.startswith(magic):
            return ImageFile(data, media_type)
    return None
