"""Bodies of HAR entries: text, base64, data URLs, form fields, and missing bodies. Pure.

The tools disagree about most fields, so the reader trusts what the value is more than its label:

    {"text": "aGk=", "encoding": "BASE64"}                      → hi
    {"text": "data:text/plain;base64,aGk=", "encoding": "base64"} → hi
    {"text": "no base64 at all", "encoding": "base64"}          → no base64 at all
    {"params": [{"name": "a", "value": "b c"}], "text": ""}     → a=b+c
    {"size": 900}                                               → a missing body of 900 bytes
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes, urlencode

from flows.bytes.decode import decode
from flows.imports.loose_json import count_of, dict_of, list_of, text_of

_BASE64_CHARS: Final = re.compile(rb"[A-Za-z0-9+/_-]*={0,2}")
_LINE_ENDS: Final = b"\r\n"
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_DATA_URL: Final = re.compile(
    r"data:(?P<type>[\w.+-]+/[\w.+-]+)(?P<parameters>(?:;[^,;\s]*)*),(?P<data>\S*)", re.IGNORECASE
)
_BOUNDARY: Final = re.compile(r'boundary="?([^";,\s]+)', re.IGNORECASE)
_OWN_BOUNDARY: Final = "form-boundary-of-the-import"
_COMPRESSED: Final = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
# A byte order mark, which browsers leave out of the text but count.
_UNCOUNTED_BYTES: Final = 3
_BODILESS: Final = (204, 205, 304)
_MISSING: Final = "The body ("
_CUT: Final = "Only the first "


class Body(NamedTuple):
    """A message's body. `data` is None if the file lacks a body of `size_bytes`."""

    data: bytes | None
    size_bytes: int
    truncated: bool = False


def own_body(message: dict[str, Any], content: dict[str, Any]) -> Body:
    """Return a body that our own export wrote; its comment says what was not kept."""
    data = _bytes(content.get("text"), content.get("_encoding") or content.get("encoding"))
    size_bytes = count_of(message.get("bodySize"))
    if size_bytes is None:
        size_bytes = len(data)
    comment = text_of(content.get("comment"))
    if comment.startswith(_MISSING) and not data:
        return Body(None, size_bytes)
    return Body(data, size_bytes, truncated=comment.startswith(_CUT))


def request_body(request: dict[str, Any], headers: dict[str, str]) -> Body:
    """Return the body of a request; `headers` by lower-case name."""
    post = dict_of(request.get("postData"))
    data = _bytes(post.get("text"), post.get("_encoding") or post.get("encoding"))
    reported = count_of(request.get("bodySize")) or 0
    params = list_of(post.get("params"))
    if not data and params:
        media_type = text_of(post.get("mimeType")) or headers.get("content-type", "")
        return _form(params, media_type, headers)
    if data:
        return Body(data, reported or len(data))
    # Chrome leaves out large bodies, and says nothing about it.
    declared = reported or count_of(headers.get("content-length")) or 0
    return Body(None if declared else b"", declared)


def response_body(
    response: dict[str, Any], headers: dict[str, str], *, is_bodiless: bool, streamed: bytes
) -> Body:
    """Return the body of a response.

    `streamed`: events that the file lists separately. `is_bodiless`: the response to a HEAD.
    """
    content = dict_of(response.get("content"))
    text = content.get("text")
    size = count_of(content.get("size"))
    reported = count_of(response.get("bodySize")) or 0
    data = _bytes(text, content.get("encoding"), size)
    if data:
        data = _decompressed(data, headers.get("content-encoding", ""))
        longest = max(len(data), len(text_of(text).encode("utf-8", "surrogatepass")))
        if not _is_cut(data, longest, size or 0, text_of(content.get("mimeType"))):
            return Body(data, reported or len(data))
        return Body(data, max(reported, size or 0), truncated=True)
    if streamed:
        return Body(streamed, reported or len(streamed))
    status = count_of(response.get("status")) or 0
    if is_bodiless or status in _BODILESS or 100 <= status < 200:
        return Body(b"", 0)
    declared = size or 0
    # An empty text may be an empty body; no text at all, of a body with a size, is a lack.
    if not declared and not isinstance(text, str):
        declared = reported
        if size is None:
            declared = reported or count_of(headers.get("content-length")) or 0
    return Body(None if declared else b"", declared)


def binary_message(text: Any) -> bytes:
    """Return the bytes of a binary websocket message: base64, or what the tool wrote."""
    return _bytes(text, "base64")


def _bytes(text: Any, encoding: Any, size: int | None = None) -> bytes:
    """Return the bytes of a text.

    Without the label, a data URL is decoded only if the content's `size` confirms it: a response
    may be a data URL.
    """
    written = text_of(text)
    data = written.encode("utf-8", "surrogatepass")
    is_labelled = text_of(encoding).strip().lower() == "base64"
    if not is_labelled and size is None:
        return data
    of_url = _of_data_url(written)
    if of_url is not None and (is_labelled or (len(of_url) == size != len(data))):
        return of_url
    if not is_labelled:
        return data
    decoded = _of_base64(data, size)
    return data if decoded is None else decoded


def _of_data_url(text: str) -> bytes | None:
    if text[:5].lower() != "data:":
        return None
    found = _DATA_URL.fullmatch(text.strip())
    if found is None:
        return None
    if found["parameters"].lower().endswith(";base64"):
        return _of_base64(unquote_to_bytes(found["data"]), None)
    return unquote_to_bytes(found["data"])


def _of_base64(data: bytes, size: int | None) -> bytes | None:
    """Return decoded base64, also in lines and in the alphabet for URLs; None if it is none.

    Padding may be missing only if the content's `size` confirms the result: a word of text is valid
    base64 without padding.
    """
    chars = data.translate(None, _LINE_ENDS)
    if not _BASE64_CHARS.fullmatch(chars):
        return None
    is_unpadded = bool(len(chars) % 4)
    padded = chars + b"=" * (-len(chars) % 4)
    try:
        decoded = base64.b64decode(padded.translate(_URL_SAFE), validate=True)
    except (binascii.Error, ValueError):
        return None
    if is_unpadded and len(decoded) != size:
        return None
    return decoded


def _decompressed(data: bytes, encoding: str) -> bytes:
    """Return a body without its encoding; most tools write it so, some write the wire's bytes."""
    if not encoding or not data.startswith(_COMPRESSED):
        return data
    decoded = decode(data, encoding)
    return decoded.data if decoded.complete else data


def _is_cut(data: bytes, longest: int, size: int, media_type: str) -> bool:
    """Return whether a body is shorter than the size that the file gives."""
    # Two or four bytes a character became one.
    if "utf-16" in media_type.lower() or "utf-32" in media_type.lower():
        return False
    # A tool may have written LF for CRLF.
    return size > longest + data.count(b"\n") + _UNCOUNTED_BYTES


def _form(params: list[Any], media_type: str, headers: dict[str, str]) -> Body:
    """Return the body of a form's fields, which some tools write instead of the text."""
    fields = [dict_of(param) for param in params]
    if not media_type.lower().startswith("multipart/"):
        pairs = [(text_of(field.get("name")), text_of(field.get("value"))) for field in fields]
        data = urlencode(pairs, errors="surrogatepass").encode()
        return Body(data, len(data))
    found = _BOUNDARY.search(headers.get("content-type", "")) or _BOUNDARY.search(media_type)
    boundary = found[1] if found else _OWN_BOUNDARY
    parts = [_part(field, boundary) for field in fields]
    text = "".join([*parts, f"--{boundary}--\r\n"])
    data = text.encode("utf-8", "surrogatepass")
    # The content of a file is mostly left out.
    lacks_files = any(field.get("fileName") and not field.get("value") for field in fields)
    return Body(data, len(data), truncated=lacks_files)


def _part(field: dict[str, Any], boundary: str) -> str:
    lines = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(field.get("name"))}"'
    if field.get("fileName"):
        lines += f'; filename="{_quoted(field.get("fileName"))}"'
    media_type = text_of(field.get("contentType"))
    if media_type:
        lines += f"\r\nContent-Type: {media_type}"
    return f"{lines}\r\n\r\n{text_of(field.get('value'))}\r\n"


def _quoted(value: Any) -> str:
    # As browsers write a name with these characters.
    return text_of(value).replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
