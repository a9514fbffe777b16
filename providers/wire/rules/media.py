"""Media types, data URLs, audio formats, and OpenAI's wrappers of text documents."""

from __future__ import annotations

import base64
import mimetypes
from typing import Final
from urllib.parse import unquote_to_bytes

from providers.wire.core.ir import Media, MediaKind

AUDIO_FORMATS: Final = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mp3": "mp3",
    "audio/mpeg": "mp3",
}
_AUDIO_TYPES: Final = {"wav": "audio/wav", "mp3": "audio/mpeg"}


def audio_type(audio_format: str) -> str:
    """Return the media type of OpenAI's audio `format`."""
    return _AUDIO_TYPES.get(audio_format, f"audio/{audio_format}")


def kind_of_type(media_type: str | None, default: MediaKind = "document") -> MediaKind:
    """Return the media kind that a media type is to a model."""
    main = (media_type or "").partition("/")[0]
    if main == "image":
        return "image"
    if main == "audio":
        return "audio"
    return "video" if main == "video" else default


def guess_type(url: str, default: str) -> str:
    """Return the media type a URL's path suggests."""
    return mimetypes.guess_type(url.partition("?")[0])[0] or default


def from_url(url: str, kind: MediaKind) -> Media:
    """Build media from a URL; a `data:` URL is decoded (RFC 2397)."""
    if url[:5].lower() != "data:":
        return Media(kind, url=url)
    head, comma, data = url.partition(",")
    if not comma:
        return Media(kind, url=url)
    media_type, *parameters = head[5:].split(";")
    if not any(parameter.strip().lower() == "base64" for parameter in parameters):
        data = base64.b64encode(unquote_to_bytes(data)).decode("ascii")
    return Media(kind, data=data, media_type=media_type or None)


def data_url(media: Media, default_type: str) -> str | None:
    """Return the media as a `data:` URL, or None if its bytes are not at hand.

    A text document is encoded.
    """
    if media.text is not None:
        encoded = base64.b64encode(media.text.encode("utf-8", "surrogatepass")).decode("ascii")
        return f"data:text/plain;base64,{encoded}"
    if media.data is None:
        return None
    return f"data:{media.media_type or default_type};base64,{media.data}"
