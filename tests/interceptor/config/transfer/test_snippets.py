"""Snippets `mcp`, `otel` and `pplx` of a `ccproxy.yaml`: imported, and in effect."""

from __future__ import annotations

import asyncio
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import override_settings

from ccproxy_site.mcp.bearer_tokens import BearerTokens
from ccproxy_site.telemetry.recorder_telemetry import tracing_conf
from flows.telemetry.tracing import tracing_of
from interceptor.config.files.document import parse_document
from interceptor.config.files.load_settings import load_server_settings
from interceptor.config.files.whole_file import check_file
from interceptor.config.snapshot.load import load_snapshot
from interceptor.config.transfer.exporter import export_config
from interceptor.config.transfer.import_mark import mark_imported, unread_sections
from interceptor.config.transfer.importer import import_sections
from interceptor.kept_notes import note_limits
from interceptor.models import PerplexityModel
from providers.base.errors import ConfigError
from providers.models import Provider
from providers.wire.perplexity.ask_conf import DEFAULT_CATALOGUE, CatalogueModel
from tests.rows import fill_catalogue

pytestmark = pytest.mark.django_db
SNIPPET = """\
otel:
  enabled: true
  endpoint: "http://localhost:4319"
  service_name: "team-proxy"
mcp:
  http: {port: 4035, auth: read-token-0123456789}
  buffer: {max_events_per_task: 7}
pplx:
  thread: {consistency_mode: strict}
  models:
    - {name: a/first, identifier: first, mode: search}
    - {name: a/second, identifier: second, tier: max}
providers:
  pplx: {type: perplexity_pro, host: www.perplexity.ai, path: /rest/sse/perplexity_ask, auth: null}
"""
MODELS = (
    CatalogueModel("a/first", "first", "search"),
    CatalogueModel("a/second", "second", tier="max"),
)


def run(text: str) -> list[str]:
    file = check_file(parse_document(text, "ccproxy.yaml"))
    report = import_sections(file.sections, file.document)
    return [" ".join(str(change).split()) for change in report.changes]


def exported_models() -> Any:
    data = yaml.safe_load(export_config(parse_document("", "")))["ccproxy"]
    return data.get("pplx", {}).get("models")


def test_the_snippets_take_effect(tmp_path: Path, filled_database: None) -> None:
    path = tmp_path / "ccproxy.yaml"
    path.write_text(SNIPPET)
    out = StringIO()
    call_command("importconfig", str(path), stdout=out)
    assert "server settings (otel, pplx, mcp) are not in the database" in out.getvalue()
    settings = load_server_settings(tmp_path, {})
    with override_settings(CCPROXY=settings):
        ask = load_snapshot().providers["pplx"].ask
        assert ask is not None
        assert (ask.thread.consistency_mode, ask.models) == ("strict", MODELS)
    conf = tracing_conf(settings)
    tracing = tracing_of(conf, {})
    assert tracing is not None
    assert (conf.endpoint, conf.service_name) == ("http://localhost:4319", "team-proxy")
    assert settings.mcp.http.port == 4035
    assert note_limits(settings).events_per_task == 7
    tokens = BearerTokens(settings, tmp_path)
    caller = asyncio.run(tokens.caller_of("read-token-0123456789", ""))
    assert caller is not None
    assert caller.has_right("flows.view_flow")


def test_a_catalogue_is_replaced_by_the_file_s() -> None:
    fill_catalogue()
    assert exported_models() is None
    changes = run(SNIPPET)
    assert f"removed Perplexity model {DEFAULT_CATALOGUE[0].id}" in changes
    assert "added Perplexity model a/first" in changes
    exported = exported_models()
    assert exported == [
        {"name": "a/first", "identifier": "first", "mode": "search"},
        {"name": "a/second", "identifier": "second", "tier": "max"},
    ]
    assert run(yaml.safe_dump({"pplx": {"models": exported}})) == []
    swapped = run(yaml.safe_dump({"pplx": {"models": exported[::-1]}}))
    assert swapped == [
        "changed Perplexity model a/second (position: 2 → 1)",
        "changed Perplexity model a/first (position: 1 → 2)",
    ]
    assert [row.name for row in PerplexityModel.objects.all()] == ["a/second", "a/first"]
    # A file without the section leaves it.
    run("pplx: {thread: {consistency_mode: warn}}\n")
    assert PerplexityModel.objects.count() == 2


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("a/second", "a/first", "pplx.models[1].name: a/first stands twice"),
        ("mode: search", "mode: other", "pplx.models[0].mode"),
        ("identifier: second, ", "", "pplx.models[1].identifier"),
        ("tier: max", "teir: max", "teir"),
    ],
)
def test_a_catalogue_that_is_refused(old: str, new: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        run(SNIPPET.replace(old, new))
    assert says in str(caught.value)
    assert not Provider.objects.exists()


def test_a_catalogue_that_was_edited_in_the_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "ccproxy.yaml"
    path.write_text(SNIPPET)
    with override_settings(CONFIG_DIR=tmp_path):
        mark_imported(check_file(parse_document(SNIPPET, "ccproxy.yaml")).sections)
        assert not unread_sections()
        path.write_text(SNIPPET.replace("tier: max", "tier: pro"))
        assert "models" in unread_sections()[0]
