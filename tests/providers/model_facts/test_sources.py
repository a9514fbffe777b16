"""Each row of the facts is from its vendor's own pages, or is marked as unconfirmed."""

from __future__ import annotations

import tomllib
from io import StringIO
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.test import Client

from providers.wire.facts.table import built_in
from tests.environment import ROOT

ROWS: list[dict[str, Any]] = tomllib.loads(
    (ROOT / "providers/wire/facts/facts.toml").read_text(encoding="utf-8")
)["row"]
OF_VENDORS = {
    "platform.claude.com",
    "docs.anthropic.com",
    "developers.openai.com",
    "platform.openai.com",
    "ai.google.dev",
    "docs.cloud.google.com",
    "docs.x.ai",
    "docs.mistral.ai",
    "console.groq.com",
    "docs.aws.amazon.com",
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["models"][0])
def test_the_source_is_the_vendors_or_unconfirmed(row) -> None:
    is_vendors = urlsplit(row["source"]).hostname in OF_VENDORS
    assert row.get("confirmed", True) is is_vendors


@pytest.mark.django_db
def test_what_is_unconfirmed_is_told_everywhere(admin_client: Client) -> None:
    doubted = [row for row in built_in().rows if not row.confirmed]
    assert 5 <= len(doubted) < len(built_in().rows) / 4
    out = StringIO()
    call_command("models", stdout=out)
    page = admin_client.get("/models/").content.decode()
    assert out.getvalue().count("(unconfirmed)") == len(doubted)
    assert page.count("<strong>unconfirmed</strong>") == len(doubted)
    assert (
        "unconfirmed by the vendor" in admin_client.get("/models/?model=gpt-5.6").content.decode()
    )


def test_grok_models_by_what_xai_says() -> None:
    table = built_in()
    assert table.of("grok-4.3").efforts == ("none", "low", "medium", "high")
    assert "reasoning" in table.of("grok-4.20-0309-reasoning").refuses
    assert "stop" not in table.of("grok-4.20-non-reasoning").refuses
    assert table.of("grok-4.20-non-reasoning").thinks == "never"
