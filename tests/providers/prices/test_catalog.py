from __future__ import annotations

import re
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.prices import catalog
from providers.prices.catalog import NAMES_FILE, models_of, read_vendors
from tests.catalog_names import text
from tests.environment import ROOT


def test_a_known_host_lists_its_vendors_models():
    assert "claude-haiku-4-5" in models_of("anthropic", "api.anthropic.com")
    assert "deepseek-chat" in models_of("deepseek", "API.deepseek.com")
    assert "gpt-5" in models_of("openai", "api.openai.com")


def test_configured_names_win():
    assert models_of("anthropic", "api.anthropic.com", ["mine"]) == ["mine"]


def test_google_lists_only_what_its_wire_format_serves():
    names = models_of("vertex_ai", "europe-west1-aiplatform.googleapis.com")
    assert "gemini-2.5-pro" in names
    assert not [name for name in names if name.startswith("claude")]


def test_an_unknown_host_gets_its_vendors_names_but_an_openai_compatible_one_none():
    assert models_of("anthropic", "gateway.example") == models_of("anthropic", "api.anthropic.com")
    assert models_of("openai", "127.0.0.1") == []


@pytest.mark.parametrize(
    "provider_type", ["openai", "anthropic", "google", "perplexity_pro", "zai"]
)
def test_prefixes_and_price_tiers_are_no_names(provider_type):
    hosts = {"openai": "api.openai.com"}
    names = models_of(provider_type, hosts.get(provider_type, "x.example"))
    assert names
    assert not [name for name in names if name.endswith("-") or ":" in name]


def test_an_answer_cannot_be_spoiled_by_its_caller():
    models_of("anthropic", "api.anthropic.com").clear()
    assert models_of("anthropic", "api.anthropic.com")


def test_it_needs_no_network_and_no_django(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_, **__):
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert models_of("openai", "api.openai.com")
    command = [sys.executable, "-m", "tests.providers.prices.without_django"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def test_the_prepared_names_are_the_catalogues():
    assert NAMES_FILE.read_text() == text(), "run: make tables"
    assert catalog._vendors() == read_vendors()


def test_another_version_of_the_catalogue_is_read_itself(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(catalog, "catalogue_version", lambda: "another")
    monkeypatch.setattr(catalog, "read_vendors", lambda: ())
    assert catalog._vendors.__wrapped__() == ()


_PATTERNS = st.lists(
    st.sampled_from([r"\.", ".", "a", "-", "/", "[ab]", "(a)?", r"\w", "$"]), min_size=1
).map("".join)


@given(_PATTERNS, st.text("ab./-", max_size=8))
def test_a_plain_text_fits_as_its_pattern_does(pattern: str, url: str):
    assert catalog._begins(url, pattern) is (re.match(pattern, url) is not None)


def test_names_are_known_without_loading_the_catalogue():
    command = [sys.executable, "-m", "tests.providers.prices.without_prices"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
