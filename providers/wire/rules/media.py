"""Media types, data URLs, audio formats, and OpenAI's wrappers of text documents.

Clients send `image/jpg`, `application/octet-stream` or nothing. Vendors compare the type with the
bytes and refuse the request, so the bytes decide. Signatures:
https://www.iana.org/assignments/media-types and the formats' own specifications.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from providers.wire.core.ir import Media, MediaKind

AUDIO_FORMATS: Final = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mp3": "mp3",
    "audio/mpeg": "mp3",
}
_AUDIO_TYPES: Final = {"wav": "audio/wav", "mp3": "audio/mpeg"}

_START_CHARS: Final = 64
_BEGINNINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
# Brands of ISO base media files; all others are MP4.
_BRANDS: Final = {
    b"avif": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"M4A ": "audio/mp4",
    b"qt  ": "video/quicktime",
}
_ALIASES: Final = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "application/x-pdf": "application/pdf",
    "text/pdf": "application/pdf",
    "audio/mp3": "audio/mpeg",
}
_SAYS_NOTHING: Final = ("", "application/octet-stream", "binary/octet-stream", "*/*", "image/*")
_TEXT_TYPES: Final = re.compile(
    r"text/.*|application/(?:json|xml|x?-?yaml|javascript|x-sh|sql|toml)|application/.*\+(?:json|xml)"
)
_VIDEO_HOSTS: Final = ("youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")


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


def settle_type(media: Media) -> None:
    """Set type and kind of media by its bytes, else by what the client and the name say, in place.

    A text document becomes text.

        (image, "image/jpg", ff d8 ff …) → (image, "image/jpeg")
        (image, "image/png", "%PDF-…") → (document, "application/pdf")
        (document, none, "a.csv", "x,y") → (document, "text/csv", text "x,y")
    """
    said = _plain_type(media.media_type)
    if media.data is None:
        if media.url is not None:
            _settle_url(media, said)
        return
    media.data = _standard_base64(media.data)
    found = type_of_bytes(_first_bytes(media.data))
    if found is None:
        found = said or (mimetypes.guess_type(media.title or "")[0] or "")
    if _TEXT_TYPES.fullmatch(found) or (not found and media.kind == "document"):
        text = _text_of(media.data)
        if text is not None:
            media.kind, media.text, media.data = "document", text, None
            media.media_type = found or "text/plain"
            return
    if not found and media.kind == "document":
        found = "application/pdf"
    media.media_type = found or None
    if found:
        media.kind = kind_of_type(found, "document" if "/" in found else media.kind)


def _settle_url(media: Media, said: str) -> None:
    """Set the type of media that only the vendor can fetch; the address may name it."""
    parts = urlsplit(media.url or "")
    guessed = mimetypes.guess_type(parts.path)[0] or ""
    if not said and parts.hostname in _VIDEO_HOSTS:
        media.kind = "video"
        return
    media.media_type = said or guessed or None
    # An image's address often names a page; the client's own field is better then.
    if media.media_type and media.kind == "document":
        media.kind = kind_of_type(media.media_type)


def _plain_type(media_type: str | None) -> str:
    """Return a type without parameters, by its usual name; "" for one that says nothing."""
    plain = (media_type or "").partition(";")[0].strip().lower()
    return "" if plain in _SAYS_NOTHING else _ALIASES.get(plain, plain)


def type_of_bytes(start: bytes) -> str | None:
    """Return the media type that the first bytes name, or None."""
    if start[:4] == b"RIFF":
        return _RIFF.get(start[8:12])
    if start[4:8] == b"ftyp":
        return _BRANDS.get(start[8:12], "video/mp4")
    return next((name for magic, name in _BEGINNINGS if start.startswith(magic)), None)


def _standard_base64(data: str) -> str:
    """Return base64 in its standard alphabet, padded, without line breaks; as given if it is none.

    "_9j_\\n4A" → "/9j/4A=="
    """
    if len(data) % 4 == 0 and _BASE64.fullmatch(data):
        return data
    packed = "".join(data.split()).replace("-", "+").replace("_", "/").rstrip("=")
    if not packed or not _BASE64.fullmatch(packed) or len(packed) % 4 == 1:
        return data
    return packed + "=" * (-len(packed) % 4)


def _first_bytes(data: str) -> bytes:
    start = data[:_START_CHARS]
    try:
        return base64.b64decode(start + "=" * (-len(start) % 4))
    except (ValueError, binascii.Error):
        return b""


def _text_of(data: str) -> str | None:
    """Return the text in base64, or None if the bytes are no text."""
    try:
        text = base64.b64decode(data, validate=True).decode("utf-8-sig")
    except ValueError:
        return None
    return None if "\0" in text else text
