"""A session as a file to share: HTML that asks nobody, Markdown, JSONL, and the ways to get them."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import Client

from flows.export.session_file import session_html
from flows.export.session_kinds import kind_of
from flows.export.session_markdown import session_markdown
from flows.models import Flow
from flows.queries.sessions import Session, session
from providers.base.errors import CcproxyError
from providers.models import AuditEntry
from tests.flows.seed import HOSTILE, IDS, seed_all
from tests.flows.seed_session import SESSION, seed_session
from tests.streamed import whole_body

pytestmark = pytest.mark.django_db


@pytest.fixture
def seeded() -> Session:
    """The session with a hook that broke the cache."""
    seed_session()
    found = session(SESSION)
    assert found is not None
    return found


def test_the_page_holds_everything_and_asks_nobody(seeded: Session) -> None:
    html = session_html(seeded)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    assert policy[1].startswith("default-src &#x27;none&#x27;")
    for element in ("style", "script"):
        [text] = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
        digest = b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"sha256-{digest}" in policy[1]
    assert not re.search(r"<link|<iframe|\sstyle=|\son\w+=|<form", html)
    sources = re.findall(r'\ssrc="([^"]*)"', html)
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    addresses = re.findall(r'<a[^>]* href="([^"]*)"', html)
    assert all(address.startswith(("#", "https://example.org")) for address in addresses)
    for anchor in {address for address in addresses if address.startswith("#f-")}:
        assert f'id="{anchor[1:]}"' in html


def test_the_page_shows_conversation_changes_tokens_and_raw(seeded: Session) -> None:
    html = session_html(seeded)
    assert html.count("I will run the tests first.") >= 1
    assert "Why does the lexer fail on <strong>Windows</strong> files?" in html
    assert "$0.048" in html
    changed = html[html.index('id="changes"') :]
    assert "<b>" in changed[: changed.index("</table>")]
    assert "&quot;max_tokens&quot;" in html[html.index('id="raw"') :]


def test_hostile_texts_stay_texts() -> None:
    seed_all()
    flow = Flow.objects.get(pk=IDS["hostile"])
    found = session(flow.session_id)
    assert found is not None
    html = session_html(found)
    outside = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert "<script>" not in outside
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", html)
    assert HOSTILE not in session_markdown(found)


def test_markdown_has_each_message_once(seeded: Session) -> None:
    text = session_markdown(seeded)
    assert text.count("## User") == 3
    assert text.count("I will run the tests first.") == 1
    assert "**Calls** `Bash`" in text
    assert text.index("**Calls** `Bash`") < text.index("1 failed, 12 passed")


@pytest.mark.parametrize("kind", ["html", "markdown", "jsonl"])
def test_console_and_rest_send_the_file(seeded: Session, staff: Client, kind: str) -> None:
    for address in (
        f"/flows/session/{SESSION}/export/{kind}",
        f"/api/sessions/{SESSION}/export/{kind}/",
    ):
        response = staff.get(address)
        assert response.status_code == 200
        assert "attachment; filename=" in response["Content-Disposition"]
        assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert len(whole_body(response)) > 1000
    assert AuditEntry.objects.filter(action="export", outcome="done").count() == 2


def test_what_is_not_there_is_not_found(seeded: Session, staff: Client) -> None:
    for address in (
        "/flows/session/nobody/export/html",
        f"/flows/session/{SESSION}/export/pdf",
        "/flows/nobody/share/html",
        "/api/sessions/nobody/export/html/",
    ):
        assert staff.get(address).status_code == 404


def test_pages_offer_it(seeded: Session, staff: Client) -> None:
    page = staff.get(f"/flows/session/{SESSION}/").content.decode()
    assert f'href="/flows/session/{SESSION}/export/jsonl"' in page
    flow_page = staff.get(f"/flows/{seeded.rows[0].flow.pk}/").content.decode()
    assert f'href="/flows/session/{SESSION}/export/html"' in flow_page
    one = staff.get(f"/flows/{seeded.rows[0].flow.pk}/share/html")
    assert b"Windows" in whole_body(one)


@pytest.mark.parametrize("suffix", ["html", "md", "jsonl"])
def test_the_command_writes_it(seeded: Session, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"session.{suffix}"
    call_command("flows", "export", SESSION[:8], "-o", str(file))
    assert b"Windows" in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0


def test_the_command_names_what_it_cannot_do(seeded: Session, tmp_path: Path) -> None:
    with pytest.raises(CcproxyError, match="No session or flow begins with"):
        call_command("flows", "export", "nobody", "-o", str(tmp_path / "x.html"))
    with pytest.raises(CcproxyError, match="has to end in"):
        call_command("flows", "export", SESSION, "-o", str(tmp_path / "x.pdf"))
    with pytest.raises(CcproxyError, match="cannot be written"):
        call_command("flows", "export", SESSION, "-o", str(tmp_path / "no" / "x.md"))


def test_suffixes_name_the_kinds() -> None:
    assert [kind_of(Path(f"a.b.{suffix}")) for suffix in ("HTML", "md", "jsonl")] == [
        "html",
        "markdown",
        "jsonl",
    ]
