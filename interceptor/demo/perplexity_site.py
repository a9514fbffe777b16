"""Scripted Perplexity: its ask endpoint, threads, library and uploads, for one account.

As the real site does, it refuses programs: a call without the headers of its page gets a page of
its guard instead of an answer.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from interceptor.demo.perplexity_events import Entry, Event, clarifying_events, events_of
from interceptor.demo.script import Answer, json_answer, sse

ASK = "/rest/sse/perplexity_ask"
COOKIE = "__Secure-next-auth.session-token"
_GUARD_PAGE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>"
_CALL = re.compile(r"/(?P<kind>rest/\S+|search/new)")
_NEEDED = {"user-agent": "Chrome/", "origin": "https://www.perplexity.ai", "referer": "https://"}
_ASK_NEEDS = {
    **_NEEDED,
    "x-perplexity-request-reason": "perplexity-query-state-provider",
    "x-app-apiversion": "2.18",
    "x-app-apiclient": "default",
    "x-request-id": "-",
    "sec-fetch-dest": "empty",
    "sec-fetch-mode": "cors",
    "sec-fetch-site": "same-origin",
}


class PerplexitySite:
    """One account with its threads.

    A question with "rate limit" gets a 429, one with "clarify" gets questions, one with "cut off"
    a stream without an end.

    Attributes:
        threads: entries by the thread's slug, oldest first.
        asked: the parameters of every ask.
        files: names of the files that came into the bucket, with their sizes in bytes.
    """

    def __init__(self, token: str) -> None:
        self.token = token
        self.threads: dict[str, list[Entry]] = {}
        self.asked: list[Event] = []
        self.files: dict[str, int] = {}
        self.titles: dict[str, str] = {}
        self.shared: dict[str, int] = {}
        self.warmed: list[str] = []
        self.is_full = False
        """Refuse further uploads."""
        self._numbers = itertools.count(1)

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer | None:
        """Return the response to a call; None for paths that are not the site's."""
        path, _, query = target.partition("?")
        if path.startswith("/bucket/") and method == "POST":
            return self._stored(path, headers, body)
        if _CALL.match(path) is None:
            return None
        if not _has(headers, _ASK_NEEDS if path == ASK else _NEEDED):
            return Answer(403, "text/html", (_GUARD_PAGE,))
        if f"{COOKIE}={self.token}" not in headers.get("cookie", ""):
            return json_answer(401, {"error": {"message": "Your session has expired."}})
        return self._called(method, path, parse_qs(query), headers, _object(body))

    def _called(
        self,
        method: str,
        path: str,
        query: dict[str, list[str]],
        headers: Mapping[str, str],
        body: Event,
    ) -> Answer:
        if path == ASK:
            return self._ask(body)
        if path == "/search/new":
            self.warmed += query.get("q", [])
            return Answer(200, "text/html", (b"<html></html>",))
        if path.startswith("/rest/thread/") and method == "GET" and path != _RECENT:
            return self._thread(path.rpartition("/")[2], query)
        if path == "/rest/uploads/batch_create_upload_urls":
            return self._upload_urls(headers.get("host", ""), body)
        if path == "/rest/sse/attachment_processing/subscribe":
            done = [sse({"file_uuid": one, "success": True}) for one in body.get("file_uuids", [])]
            return Answer(200, "text/event-stream", tuple(done))
        call = self._library.get((method, path))
        if call is None:
            return json_answer(404, {"error": {"message": f"there is no {path}"}})
        return call(body)

    # --- asks

    def _ask(self, body: Event) -> Answer:
        params, query = body.get("params", {}), str(body.get("query_str", ""))
        self.asked.append(body)
        if "rate limit" in query:
            return json_answer(429, {"error": {"message": "You have used up your searches."}})
        entry = self._entry(query, params)
        if "clarify" in query:
            events = clarifying_events(entry)
        else:
            self.threads.setdefault(entry.slug, []).append(entry)
            events = events_of(entry)
        if "cut off" in query:
            events = events[:-1]
        return Answer(200, "text/event-stream", tuple([sse(event) for event in events]))

    def _entry(self, query: str, params: Event) -> Entry:
        number = next(self._numbers)
        before = self._before(params.get("last_backend_uuid"))
        slug = before.slug if before else f"thread-{number}"
        place = len(self.threads.get(slug, [])) + 1
        answer = (
            f"Entry {place} of {slug} says [1]: “{query[-60:]}” is scripted [2], and nothing left"
            " this machine."
        )
        return Entry(
            f"entry-{number}",
            before.context_uuid if before else str(params.get("frontend_context_uuid")),
            slug,
            query,
            answer,
            str(params.get("model_preference")),
            tuple(params.get("attachments") or ()),
        )

    def _before(self, backend_uuid: Any) -> Entry | None:
        entries = [entry for thread in self.threads.values() for entry in thread]
        return next((entry for entry in entries if entry.backend_uuid == backend_uuid), None)

    # --- threads

    def _thread(self, slug: str, query: dict[str, list[str]]) -> Answer:
        entries = self.threads.get(slug)
        if entries is None:
            return json_answer(404, {"error": {"message": "there is no such thread"}})
        start = int(query.get("cursor", ["0"])[0])
        end = start + int(query.get("limit", ["100"])[0])
        page: Event = {"entries": [_as_entry(entry) for entry in entries[start:end]]}
        if end < len(entries):
            page |= {"has_next_page": True, "next_cursor": str(end)}
        return json_answer(200, {"status": "success", **page})

    # --- uploads

    def _upload_urls(self, host: str, body: Event) -> Answer:
        results: Event = {}
        for key in body.get("files", {}):
            number = next(self._numbers)
            address = f"http://{host}/bucket/file-{number}"
            results[key] = {
                "s3_bucket_url": address,
                "s3_object_url": f"{address}/object",
                "fields": {"key": f"file-{number}", "policy": "p"},
                "file_uuid": f"uuid-{number}",
                "rate_limited": self.is_full,
            }
        # The real one does not promise an order either.
        return json_answer(200, {"results": dict(reversed(list(results.items())))})

    def _stored(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        at = body.rfind(b'name="file"')
        is_last = at > body.find(b'name="key"') > 0
        if not is_last or "cookie" in headers or b'; name="' in body[at + 8 :]:
            return Answer(403, "application/xml", (b"<Error/>",))
        self.files[path.rpartition("/")[2]] = len(body)
        return Answer(204, "application/xml", ())

    # --- library

    @property
    def _library(self) -> dict[tuple[str, str], Callable[[Event], Answer]]:
        return {
            ("GET", "/rest/rate-limit/all"): lambda _: json_answer(
                200, {"remaining_pro": 300, "remaining_research": 20}
            ),
            ("POST", "/rest/thread/list_ask_threads"): self._list,
            ("GET", _RECENT): self._list,
            ("POST", "/rest/thread/set_thread_title"): self._title,
            ("POST", "/rest/thread/update_thread_access"): self._share,
            ("DELETE", "/rest/thread/delete_thread_by_entry_uuid"): self._delete,
            ("POST", "/rest/entry/export"): lambda body: json_answer(
                200, {"file_content_64": "IyBUaHJlYWQK", "filename": f"t.{body.get('format')}"}
            ),
        }

    def _list(self, body: Event) -> Answer:
        start = int(body.get("offset", 0))
        slugs = list(reversed(self.threads))[start : start + int(body.get("limit", 20))]
        return json_answer(200, [_as_row(self, slug) for slug in slugs])

    def _title(self, body: Event) -> Answer:
        return self._changed(body, lambda slug: self.titles.update({slug: str(body["title"])}))

    def _share(self, body: Event) -> Answer:
        return self._changed(
            body, lambda slug: self.shared.update({slug: int(body["updated_access"])})
        )

    def _delete(self, body: Event) -> Answer:
        return self._changed(body, lambda slug: self.threads.pop(slug))

    def _changed(self, body: Event, change: Callable[[str], object]) -> Answer:
        wanted = body.get("context_uuid"), body.get("entry_uuid")
        for slug, entries in list(self.threads.items()):
            if entries[0].context_uuid in wanted or entries[-1].backend_uuid in wanted:
                change(slug)
                return json_answer(200, {"status": "success"})
        return json_answer(404, {"error": {"message": "there is no such thread"}})


_RECENT = "/rest/thread/list_recent"


def _as_row(site: PerplexitySite, slug: str) -> Event:
    entries = site.threads[slug]
    return {
        "slug": slug,
        "title": site.titles.get(slug, entries[0].query[:60]),
        "context_uuid": entries[0].context_uuid,
        "uuid": entries[-1].backend_uuid,
        "thread_access": site.shared.get(slug, 1),
        "query_count": len(entries),
    }


def _as_entry(entry: Entry) -> Event:
    blocks = [block for event in events_of(entry) for block in event["blocks"]]
    return {
        "uuid": entry.backend_uuid,
        "backend_uuid": entry.backend_uuid,
        "context_uuid": entry.context_uuid,
        "read_write_token": f"rw-{entry.slug}",
        "thread_url_slug": entry.slug,
        "thread_title": entry.query[:60],
        "query_str": entry.query,
        "attachments": list(entry.attachments),
        "structured_answer_block_usages": ["ask_text_0_markdown"],
        "blocks": [block for block in blocks if "diff_block" not in block],
    }


def _has(headers: Mapping[str, str], needed: Mapping[str, str]) -> bool:
    return all(part in headers.get(name, "") for name, part in needed.items())


def _object(body: bytes) -> Event:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
