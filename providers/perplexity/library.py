"""The account's library: its threads listed, renamed, shared, deleted and exported, its limits."""

from __future__ import annotations

from typing import Any, Final

from providers.perplexity.site_calls import Call, Site
from providers.perplexity.threads import ThreadIds, entries_of, ids_of
from providers.wire.core.ir import JsonObject
from providers.wire.perplexity.ask_conf import API_VERSION, ThreadConf

ACCESS: Final = {"private": 1, "public": 2}
FORMATS: Final = ("pdf", "md", "docx")
_VERSION: Final = (("version", API_VERSION), ("source", "default"))


class Library:
    """Threads of one account. Every method raises `SiteFailed` where the site refuses."""

    def __init__(self, site: Site, conf: ThreadConf) -> None:
        self._site = site
        self._conf = conf

    async def limits(self) -> Any:
        """Return what the account may still ask."""
        return await self._site.json(Call("GET", "/rest/rate-limit/all", _VERSION))

    async def threads(self, *, offset: int = 0, limit: int = 20, search: str = "") -> Any:
        """Return a page of threads, newest first."""
        body = {"limit": limit, "offset": offset, "ascending": False, "search_term": search}
        return await self._call("POST", "/rest/thread/list_ask_threads", body, "threads-body")

    async def entries(self, slug: str) -> list[JsonObject]:
        """Return the entries of a thread."""
        return await entries_of(self._site, slug, self._conf)

    async def rename(self, slug: str, title: str) -> None:
        """Give a thread another title."""
        ids = await self._ids(slug)
        body = {"context_uuid": ids.context_uuid, "title": title, **_token(ids)}
        await self._call("POST", "/rest/thread/set_thread_title", body, "thread-body")

    async def share(self, slug: str, access: str) -> None:
        """Make a thread public or private."""
        ids = await self._ids(slug)
        body = {
            "context_uuid": ids.context_uuid,
            "updated_access": ACCESS[access],
            **_token(ids),
        }
        await self._call("POST", "/rest/thread/update_thread_access", body, "thread-body")

    async def delete(self, slug: str) -> None:
        """Delete a thread; the site keeps no copy that ccproxy could bring back."""
        ids = await self._ids(slug)
        body = {"entry_uuid": ids.backend_uuid, **_token(ids)}
        path = "/rest/thread/delete_thread_by_entry_uuid"
        await self._call("DELETE", path, body, "home-sidebar")

    async def export(self, slug: str, form: str) -> Any:
        """Return a thread's last entry as a document in base64: pdf, md or docx."""
        ids = await self._ids(slug)
        body = {"entry_uuid": ids.backend_uuid, "format": form}
        return await self._call("POST", "/rest/entry/export", body, "entry-export")

    async def _ids(self, slug: str) -> ThreadIds:
        return ids_of(await self.entries(slug))

    async def _call(self, method: str, path: str, body: JsonObject, reason: str) -> Any:
        return await self._site.json(Call(method, path, _VERSION, body, reason))


def _token(ids: ThreadIds) -> JsonObject:
    return {"read_write_token": ids.read_write_token} if ids.read_write_token else {}
