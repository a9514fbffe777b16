"""Tools for the library of a Perplexity account, on the scripted site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from ccproxy_site.mcp.tool_table import TOOLS
from interceptor.library import library_service
from providers.models import AuditEntry, Provider
from tests.ccproxy_site.mcp.conftest import READ, WRITE, with_client
from tests.fakes.perplexity import TOKEN, PerplexityUpstream

CHANGES: dict[str, dict[str, Any]] = {
    "rename_perplexity_thread": {"title": "New"},
    "share_perplexity_thread": {"access": "public"},
    "export_perplexity_thread": {},
    "delete_perplexity_thread": {},
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[PerplexityUpstream]:
    with PerplexityUpstream() as server:
        yield server


@pytest.fixture
def site(upstream: PerplexityUpstream, transactional_db: None) -> PerplexityUpstream:
    """The site with two threads, and the account `pplx` on it."""
    library_service._limits.clear()
    upstream.site.threads.clear()
    for question in ("One", "Two"):
        params = {"frontend_context_uuid": f"c-{question}"}
        upstream.site._ask({"query_str": question, "params": params})
    add_account("pplx", upstream.port)
    return upstream


def add_account(name: str, port: int, **more: Any) -> None:
    values = {
        "type": "perplexity_pro",
        "scheme": "http",
        "host": "127.0.0.1",
        "path": "/rest/sse/perplexity_ask",
        "auth_type": "key",
        "secret": TOKEN,
    }
    Provider.objects.create(name=name, port=port, **{**values, **more})


def answers(folder: Path, token: str, calls: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    """Structured results of calls on one connection; of a refusal its sentence."""

    async def call_all(client: Client) -> list[Any]:
        results = [await client.call_tool(name, values) for name, values in calls]
        return [
            str(result.content) if result.is_error else result.structured_content
            for result in results
        ]

    return with_client(folder, token, call_all)


def test_threads_are_read_by_the_read_token(site: PerplexityUpstream, tmp_path: Path) -> None:
    newest = [*site.site.threads][-1]
    listed, page, found, limits = answers(
        tmp_path,
        READ,
        [
            ("list_perplexity_threads", {}),
            ("list_perplexity_threads", {"provider": "pplx", "offset": 1, "limit": 1}),
            ("get_perplexity_thread", {"slug": newest}),
            ("perplexity_limits", {}),
        ],
    )
    assert [thread["title"] for thread in listed["threads"]] == ["Two", "One"]
    assert [thread["title"] for thread in page["threads"]] == ["One"]
    assert found["messages"][0] == {"role": "user", "content": "Two"}
    assert found["thread_info"]["entry_count"] == 1
    assert limits["limits"]["remaining_pro"] == 300


def test_changes_need_the_write_token(site: PerplexityUpstream, tmp_path: Path) -> None:
    slug = next(iter(site.site.threads))
    calls = [(name, {"slug": slug, **values}) for name, values in CHANGES.items()]
    refusals = answers(tmp_path, READ, calls)
    assert all("write token" in refusal for refusal in refusals)
    assert slug not in site.site.titles
    assert slug in site.site.threads
    done = dict(zip(CHANGES, answers(tmp_path, WRITE, calls), strict=True))
    assert (site.site.titles[slug], site.site.shared[slug]) == ("New", 2)
    assert done["export_perplexity_thread"]["document"]["filename"] == "t.md"
    assert done["delete_perplexity_thread"] == {"slug": slug, "change": "deleted"}
    assert slug not in site.site.threads
    rows = AuditEntry.objects.filter(action="perplexity-thread").order_by("pk")
    found = [(row.outcome, row.detail, row.source, row.actor) for row in rows]
    by = ("mcp", "MCP write token")
    assert found == [("done", what, *by) for what in ("changed", "changed", "deleted")]
    deleting = next(tool for tool in TOOLS if tool.name == "delete_perplexity_thread")
    assert deleting.hints == {"readOnlyHint": False, "destructiveHint": True}


def test_errors_are_sentences(site: PerplexityUpstream, tmp_path: Path) -> None:
    add_account("second", site.port, auth_type="none", secret="")
    sentences = answers(
        tmp_path,
        READ,
        [
            ("get_perplexity_thread", {"slug": "nowhere", "provider": "pplx"}),
            ("perplexity_limits", {"provider": "other"}),
            ("perplexity_limits", {}),
            ("perplexity_limits", {"provider": "second"}),
        ],
    )
    assert "there is no such thread" in sentences[0]
    assert "accounts: pplx, second" in sentences[1]
    assert "accounts: pplx, second" in sentences[2]
    assert "no session token" in sentences[3]


def test_without_an_account(tmp_path: Path, transactional_db: None) -> None:
    (sentence,) = answers(tmp_path, READ, [("list_perplexity_threads", {})])
    assert "no enabled Perplexity account" in sentence
