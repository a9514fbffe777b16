"""Files in a client's messages: found, taken out, and read from data URIs or downloaded."""

from __future__ import annotations

import asyncio
import base64
import binascii
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, unquote_to_bytes, urljoin, urlsplit

from providers.base.errors import RefuseRequest
from providers.base.http_client import httpx
from providers.wire.core.ir import JsonObject
from providers.wire.perplexity.ask_conf import UploadConf

if TYPE_CHECKING:
    from providers.perplexity.address_guard import GuardedBackend

MAX_REDIRECTS: Final = 3
_UNKNOWN: Final = "application/octet-stream"
_LISTS: Final = ("messages", "input", "contents")
_MEDIA: Final = ("image_url", "image", "document", "input_image", "input_file", "file")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to upload."""

    name: str
    content_type: str
    data: bytes = field(repr=False)


# -------------------------------------------------------------------------------------------------
# in messages


def sources_in(body: JsonObject) -> list[str]:
    """Return the address of each file in the messages, in order: an http or a data URI."""
    found: list[str] = []
    for parts in _part_lists(body):
        for part in parts:
            source = _source_of(part)
            if source and source not in found:
                found.append(source)
    return found


def take_out(body: JsonObject) -> None:
    """Remove the parts with files from the messages, in place."""
    for parts in _part_lists(body):
        parts[:] = [part for part in parts if not _source_of(part)]


def _part_lists(body: JsonObject) -> Iterator[list[Any]]:
    """Yield the lists of parts of all messages, in any client format."""
    for name in _LISTS:
        messages = body.get(name)
        for message in messages if isinstance(messages, list) else []:
            if not isinstance(message, dict):
                continue
            parts = message.get("parts") if name == "contents" else message.get("content")
            if isinstance(parts, list):
                yield parts
                for part in parts:
                    # Anthropic's tool results have parts of their own.
                    inner = part.get("content") if isinstance(part, dict) else None
                    if isinstance(inner, list):
                        yield inner


def _source_of(part: Any) -> str:
    """Return the address of a part's file; "" for a part without one."""
    if not isinstance(part, dict):
        return ""
    if part.get("type") in _MEDIA:
        return _named_source(part)
    inline = part.get("inlineData") or part.get("inline_data")
    if isinstance(inline, dict):
        return _data_uri(inline.get("mimeType") or inline.get("mime_type"), inline.get("data"))
    linked = part.get("fileData") or part.get("file_data")
    if isinstance(linked, dict):
        return _text(linked.get("fileUri") or linked.get("file_uri"))
    return ""


def _named_source(part: JsonObject) -> str:
    image = part.get("image_url")
    if isinstance(image, dict):
        return _text(image.get("url"))
    if isinstance(image, str):
        return image
    source = part.get("source")
    if isinstance(source, dict):
        if source.get("type") == "base64":
            return _data_uri(source.get("media_type"), source.get("data"))
        return _text(source.get("url"))
    file = part.get("file")
    holder = file if isinstance(file, dict) else part
    return _text(holder.get("file_data") or holder.get("file_url"))


def _data_uri(media_type: Any, data: Any) -> str:
    return f"data:{media_type or _UNKNOWN};base64,{data}" if isinstance(data, str) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


# -------------------------------------------------------------------------------------------------
# contents


async def read_all(
    sources: list[str], limits: UploadConf, backend: GuardedBackend | None = None
) -> list[Attachment]:
    """Return the files behind addresses.

    Raises:
        RefuseRequest: too many or too large files, or an address that must not be read (400).
    """
    if len(sources) > limits.max_files:
        raise RefuseRequest(
            f"{len(sources)} files are more than the {limits.max_files} that are allowed."
        )
    found: list[Attachment] = []
    for source in sources:
        if source.startswith("data:"):
            found.append(await asyncio.to_thread(of_data_uri, source, limits.max_file_bytes))
        else:
            found.append(await download(source, limits, backend))
    for attachment in found:
        if not attachment.data:
            raise RefuseRequest(f"The file {attachment.name} is empty.")
    return found


def of_data_uri(uri: str, max_bytes: int) -> Attachment:
    """Return the file of a data URI, in base64 or percent encoding (RFC 2397).

    Raises:
        RefuseRequest: it cannot be decoded, or is too large.
    """
    head, comma, payload = uri.removeprefix("data:").partition(",")
    media_type = head.partition(";")[0] or _UNKNOWN
    if not comma:
        raise RefuseRequest("A data URI needs a comma before its data.")
    # Four characters of base64 are three bytes.
    if len(payload) * 3 // 4 > max_bytes + 3:
        raise _too_large("The file in the request", max_bytes)
    try:
        if head.endswith(";base64"):
            data = base64.b64decode("".join(unquote(payload).split()), validate=True)
        else:
            data = unquote_to_bytes(payload)
    except (binascii.Error, ValueError):
        raise RefuseRequest("The data of a file in the request is no base64.") from None
    if len(data) > max_bytes:
        raise _too_large("The file in the request", max_bytes)
    return Attachment(f"image{mimetypes.guess_extension(media_type) or ''}", media_type, data)


async def download(
    url: str, limits: UploadConf, backend: GuardedBackend | None = None
) -> Attachment:
    """Return the file at an address; at most three redirects are followed, each checked.

    Raises:
        RefuseRequest: it must not or cannot be read, or is too large.
    """
    # Imported by the first download: every process that checks hooks would load httpcore.
    from providers.perplexity.address_guard import GuardedBackend, GuardedTransport

    try:
        async with (
            asyncio.timeout(limits.fetch_timeout_s),
            httpx.AsyncClient(
                transport=GuardedTransport(backend or GuardedBackend()),
                trust_env=False,
                timeout=None,
                headers={"accept": "image/*,*/*", "accept-encoding": "identity"},
            ) as client,
        ):
            for _ in range(MAX_REDIRECTS + 1):
                _check_url(url)
                found = await _get(client, url, limits.max_file_bytes)
                if isinstance(found, Attachment):
                    return found
                if url.startswith("https:") and not found.startswith("https:"):
                    raise RefuseRequest(f"{_shown(url)} redirects to a place without TLS.")
                url = found
    except TimeoutError:
        raise RefuseRequest(
            f"{_shown(url)} was not read within {limits.fetch_timeout_s:g} s."
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as exc:
        why = str(exc) or type(exc).__name__
        raise RefuseRequest(f"{_shown(url)} cannot be read: {why}") from None
    raise RefuseRequest(f"{_shown(url)} redirects more than {MAX_REDIRECTS} times.")


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise RefuseRequest(f"A file is read over http or https alone, not {parts.scheme[:20]}.")
    if not parts.hostname or parts.username is not None or parts.password is not None:
        raise RefuseRequest("The address of a file needs a host, and no user.")


async def _get(client: httpx.AsyncClient, url: str, max_bytes: int) -> Attachment | str:
    """Return the file, or the address of a redirect."""
    async with client.stream("GET", url) as response:
        location = response.headers.get("location")
        if response.status_code in (301, 302, 303, 307, 308) and location:
            return urljoin(url, str(location))
        if response.status_code != 200:
            raise RefuseRequest(f"{_shown(url)} answered with status {response.status_code}.")
        length = response.headers.get("content-length", "")
        if length.isdecimal() and int(length) > max_bytes:
            raise _too_large(_shown(url), max_bytes)
        data = bytearray()
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) > max_bytes:
                raise _too_large(_shown(url), max_bytes)
    name = unquote(urlsplit(url).path.rpartition("/")[2])[:100] or "image"
    labelled = response.headers.get("content-type", "").partition(";")[0].strip()
    return Attachment(name, labelled or mimetypes.guess_type(name)[0] or _UNKNOWN, bytes(data))


def _too_large(what: str, max_bytes: int) -> RefuseRequest:
    return RefuseRequest(f"{what} is larger than {max_bytes} bytes.")


def _shown(url: str) -> str:
    """Return an address for people: without its query, which may be signed."""
    return url.partition("?")[0][:200]
