"""A thread of the account: its entries page by page, and the ids that continue it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from providers.perplexity.site_calls import Call, Site, SiteFailed
from providers.wire.core.ir import JsonObject
from providers.wire.perplexity.ask_conf import API_VERSION, BLOCK_USE_CASES, ThreadConf

REASON: Final = "thread-body"
MAX_PAGES: Final = 200


@dataclass(frozen=True, slots=True)
class ThreadIds:
    """Ids by which a thread goes on."""

    backend_uuid: str
    context_uuid: str
    read_write_token: str = field(default="", repr=False)
    slug: str = ""

    def as_fields(self) -> JsonObject:
        """Return the fields of a request's `pplx` object."""
        found = {
            "last_backend_uuid": self.backend_uuid,
            "frontend_context_uuid": self.context_uuid,
        }
        if self.read_write_token:
            found["read_write_token"] = self.read_write_token
        return found


async def entries_of(site: Site, slug: str, conf: ThreadConf) -> list[JsonObject]:
    """Return the entries of a thread, oldest first.

    Raises:
        SiteFailed: with the site's status; 502 where its pages make no sense.
    """
    found: list[JsonObject] = []
    seen: set[str] = set()
    cursor = ""
    for _ in range(MAX_PAGES):
        page = await site.json(_page(slug, cursor, conf))
        entries = page.get("entries") if isinstance(page, dict) else None
        if not isinstance(entries, list):
            raise SiteFailed("Perplexity returned a thread without entries.", status_code=502)
        found += [entry for entry in entries if isinstance(entry, dict)]
        if not (page.get("has_next_page") or page.get("has_next")):
            return found
        cursor = _cursor(page)
        if not cursor or cursor in seen:
            raise SiteFailed("Perplexity returned a thread's page without end.", status_code=502)
        seen.add(cursor)
    raise SiteFailed(f"The thread has more than {MAX_PAGES} pages.", status_code=502)


def _cursor(page: JsonObject) -> str:
    value = page.get("next_cursor") or page.get("end_cursor")
    return str(value) if value is not None else ""


def _page(slug: str, cursor: str, conf: ThreadConf) -> Call:
    query = [
        ("version", API_VERSION),
        ("source", "default"),
        ("limit", str(conf.page_size)),
        ("from_first", "true"),
        ("with_parent_info", "true"),
        ("with_schematized_response", "true"),
        *[("supported_block_use_cases", name) for name in BLOCK_USE_CASES],
    ]
    if cursor:
        query.append(("cursor", cursor))
    path = f"/rest/thread/{quote(slug, safe='')}"
    return Call("GET", path, tuple(query), reason=REASON, timeout_s=conf.page_timeout_s)


def ids_of(entries: list[JsonObject]) -> ThreadIds:
    """Return the ids of a thread's last entry.

    Raises:
        SiteFailed: (502) it has none.
    """
    last: JsonObject = entries[-1] if entries else {}
    backend, context = last.get("backend_uuid") or last.get("uuid"), last.get("context_uuid")
    if not isinstance(backend, str) or not isinstance(context, str):
        raise SiteFailed("The thread's last entry has no ids to go on from.", status_code=502)
    return ThreadIds(
        backend,
        context,
        _text(last.get("read_write_token")),
        _text(last.get("thread_url_slug")),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
