"""Upload of attachments: addresses in Perplexity's bucket, the files, and their processing.

The same code runs in a proxy and in a task worker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

from providers.base.errors import RefuseRequest
from providers.base.http_client import httpx
from providers.base.loopback import is_loopback
from providers.perplexity.attachments import Attachment
from providers.perplexity.site_calls import Call, Site, SiteFailed
from providers.wire.perplexity.ask_conf import API_VERSION, UploadConf
from providers.wire.perplexity.page_headers import fetch_headers

if TYPE_CHECKING:
    from providers.perplexity.address_guard import GuardedTransport

logger = logging.getLogger(__name__)

CREATE_PATH: Final = "/rest/uploads/batch_create_upload_urls"
SUBSCRIBE_PATH: Final = "/rest/sse/attachment_processing/subscribe"
_DONE: Final = (200, 201, 204)

Progress = Callable[[int, int], None]
"""Gets the number of uploaded files and the number of all."""


class Slot(NamedTuple):
    """A place for one file in the bucket."""

    bucket_url: str
    object_url: str
    fields: dict[str, str]
    file_uuid: str


async def upload_all(
    site: Site, files: Sequence[Attachment], limits: UploadConf, progress: Progress
) -> list[str]:
    """Upload files and return their addresses, in the same order.

    Raises:
        SiteFailed: with 429 when the account may upload no more, else with the site's status.
    """
    slots = await _slots(site, files)
    progress(0, len(files))
    transport = _bucket_guard(site)
    async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=None) as client:
        for number, (slot, file) in enumerate(zip(slots, files, strict=True), 1):
            await _store(client, site, slot, file, limits.upload_timeout_s)
            progress(number, len(files))
    await _wait_for_processing(site, slots, limits.subscribe_timeout_s)
    return [slot.object_url for slot in slots]


async def _slots(site: Site, files: Sequence[Attachment]) -> list[Slot]:
    """Ask for a place for each file. The reply is read by key: it promises no order."""
    wanted = {str(uuid4()): file for file in files}
    described = {
        key: {
            "filename": file.name,
            "content_type": file.content_type,
            "source": "default",
            "file_size": len(file.data),
            "force_image": file.content_type.startswith("image/"),
            "skip_parsing": False,
            "persistent_upload": False,
        }
        for key, file in wanted.items()
    }
    query = (("version", API_VERSION), ("source", "default"))
    reply = await site.json(Call("POST", CREATE_PATH, query, {"files": described}))
    results = reply.get("results") if isinstance(reply, dict) else None
    return [_slot(results, key) for key in wanted]


def _slot(results: Any, key: str) -> Slot:
    found = results.get(key) if isinstance(results, dict) else None
    if not isinstance(found, dict):
        raise SiteFailed("Perplexity gave no address for an upload.", status_code=502)
    if found.get("rate_limited") is True:
        raise SiteFailed("This Perplexity account may upload no more for now.", status_code=429)
    try:
        fields = {str(name): str(value) for name, value in found["fields"].items()}
        return Slot(
            str(found["s3_bucket_url"]), str(found["s3_object_url"]), fields, found["file_uuid"]
        )
    except (KeyError, AttributeError):
        raise SiteFailed("Perplexity gave no address for an upload.", status_code=502) from None


def _bucket_guard(site: Site) -> GuardedTransport:
    """Return the way to the bucket: on the internet, or on this machine as its site is."""
    # Imported by the first upload: every process that checks hooks would load httpcore.
    from providers.perplexity.address_guard import GuardedBackend, GuardedTransport, is_public

    if is_loopback(site.conf.host):
        backend = GuardedBackend(lambda address: address.is_loopback or is_public(address))
        return GuardedTransport(backend)
    return GuardedTransport(GuardedBackend())


async def _store(
    client: httpx.AsyncClient, site: Site, slot: Slot, file: Attachment, limit_s: float
) -> None:
    """Send one file. The bucket wants its fields first and the file last; it gets no cookie."""
    parts = urlsplit(slot.bucket_url)
    if parts.scheme != "https" and not is_loopback(site.conf.host):
        raise SiteFailed("Perplexity named a bucket without TLS.", status_code=502)
    try:
        async with asyncio.timeout(limit_s):
            response = await client.post(
                slot.bucket_url,
                data=slot.fields,
                files={"file": (file.name, file.data, file.content_type)},
            )
    except TimeoutError:
        raise SiteFailed(
            f"{file.name} was not uploaded within {limit_s:g} s.", status_code=502
        ) from None
    except (httpx.HTTPError, OSError) as exc:
        raise SiteFailed(f"{file.name} could not be uploaded: {exc}", status_code=502) from None
    if response.status_code not in _DONE:
        raise SiteFailed(
            f"The bucket refused {file.name} with status {response.status_code}.", status_code=502
        )


async def _wait_for_processing(site: Site, slots: Sequence[Slot], limit_s: float) -> None:
    """Wait until Perplexity has read the files; a failure only warns, as on the page."""
    headers = {
        **fetch_headers(),
        "accept": "text/event-stream",
        "x-perplexity-request-try-number": "1",
    }
    call = Call(
        "POST",
        SUBSCRIBE_PATH,
        body={"file_uuids": [slot.file_uuid for slot in slots]},
        reason="ask-input-inner-home",
        headers=tuple(headers.items()),
        timeout_s=limit_s,
    )
    try:
        await site.send(call)
    except RefuseRequest as exc:
        logger.warning("Perplexity did not report that it has read the files: %s", exc)
