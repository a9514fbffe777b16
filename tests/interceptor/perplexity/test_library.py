"""REST resources of a Perplexity account's library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from interceptor.library import library_service
from providers.models import AuditEntry, Provider
from tests.fakes.perplexity import TOKEN, PerplexityUpstream
from tests.visitors import staff_with

pytestmark = pytest.mark.django_db
BASE = "/api/perplexity/pplx"
READ = ("flows.view_flow", "providers.view_provider")


@pytest.fixture(autouse=True)
def row(site: PerplexityUpstream) -> Iterator[Provider]:
    library_service._limits.clear()
    site.site.threads.clear()
    for question in ("One", "Two"):
        site.site._ask(
            {"query_str": question, "params": {"frontend_context_uuid": f"c-{question}"}}
        )
    yield Provider.objects.create(
        name="pplx",
        type="perplexity_pro",
        scheme="http",
        host="127.0.0.1",
        port=site.port,
        path="/rest/sse/perplexity_ask",
        auth_type="key",
        secret=TOKEN,
    )


def signed_in(*rights: str) -> Client:
    client = Client()
    client.force_login(staff_with("someone", *rights))
    return client


def writer() -> Client:
    return signed_in(*READ, "providers.change_provider")


def change(client: Client, slug: str, **data: Any) -> Any:
    return client.patch(f"{BASE}/threads/{slug}/", data, content_type="application/json")


def test_threads_and_limits(site: PerplexityUpstream) -> None:
    client = signed_in(*READ)
    threads = client.get(f"{BASE}/threads/").json()
    assert [thread["title"] for thread in threads] == ["Two", "One"]
    assert len(client.get(f"{BASE}/threads/?limit=1&offset=1").json()) == 1
    found = client.get(f"{BASE}/threads/{threads[0]['slug']}/").json()
    assert found["messages"][0]["content"] == "Two"
    assert client.get(f"{BASE}/limits/").json()["remaining_pro"] == 300
    assert client.get(f"{BASE}/limits/").json()["remaining_pro"] == 300
    asked = [seen for seen in site.requests if seen.path == "/rest/rate-limit/all"]
    assert len(asked) == 1
    assert client.get(f"{BASE}/threads/?limit=x").status_code == 400


def test_changes_are_made_and_audited(site: PerplexityUpstream) -> None:
    client = writer()
    slug = next(iter(site.site.threads))
    assert change(client, slug, title="New", access="public").status_code == 204
    assert site.site.titles[slug] == "New" and site.site.shared[slug] == 2
    document = client.post(
        f"{BASE}/threads/{slug}/export/", {"format": "md"}, content_type="application/json"
    )
    assert document.json()["filename"] == "t.md"
    assert client.delete(f"{BASE}/threads/{slug}/").status_code == 204
    assert slug not in site.site.threads
    rows = AuditEntry.objects.filter(action="perplexity-thread")
    assert [(row.outcome, row.detail) for row in rows.order_by("pk")] == [
        ("done", "changed"),
        ("done", "deleted"),
    ]


def test_rights(site: PerplexityUpstream) -> None:
    slug = next(iter(site.site.threads))
    reader, other = signed_in(*READ), Client()
    assert change(reader, slug, title="New").status_code == 403
    assert reader.delete(f"{BASE}/threads/{slug}/").status_code == 403
    assert other.get(f"{BASE}/threads/").status_code in (401, 403)
    assert slug in site.site.threads


def test_errors(site: PerplexityUpstream) -> None:
    client = writer()
    assert client.get(f"{BASE}/threads/nowhere/").status_code == 404
    assert client.get("/api/perplexity/none/threads/").status_code == 404
    assert change(client, "x", access="everyone").status_code == 400
    Provider.objects.filter(name="pplx").update(auth_type="none")
    assert client.get(f"{BASE}/limits/").status_code == 503
