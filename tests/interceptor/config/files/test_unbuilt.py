"""Settings that no part of ccproxy reads yet are refused at start."""

from __future__ import annotations

from pathlib import Path

import pytest

from interceptor.config.files.groups import McpSettings
from interceptor.config.files.leaves import leaves, not_built
from interceptor.config.files.load_settings import load_server_settings
from interceptor.config.files.server import ServerSettings
from interceptor.config.files.template import write_template
from interceptor.config.files.unbuilt import refuse_unbuilt
from providers.base.errors import ConfigError
from tests.interceptor.config.product_files import SETTINGS


@pytest.fixture
def waiting(monkeypatch):
    """One group stands for those of later versions: this one reads every setting."""
    group = McpSettings.model_fields["buffer"]
    monkeypatch.setattr(group, "json_schema_extra", not_built("notifications"))


def start(directory: Path, text: str, **environ: str) -> None:
    (directory / "ccproxy.yaml").write_text(text)
    refuse_unbuilt(load_server_settings(directory, environ), directory, environ)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port: 1\nmcp:\n  buffer: {ttl_seconds: 1}\n", "3: mcp.buffer.ttl_seconds is not built"),
        (
            "ccproxy:\n  mcp:\n    buffer: {ttl_seconds: 1}\n",
            "3: ccproxy.mcp.buffer.ttl_seconds is not built yet",
        ),
        ("mcp: {buffer: {ttl_seconds: 1}}\n", "1: mcp.buffer.ttl_seconds is not built yet"),
    ],
)
def test_a_refusal_names_the_file_the_line_and_the_key(tmp_path, waiting, text, message):
    with pytest.raises(ConfigError) as caught:
        start(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/ccproxy.yaml:{message}")


def test_a_refusal_names_the_variable(tmp_path, waiting):
    name = "CCPROXY_MCP__BUFFER__TTL_SECONDS"
    with pytest.raises(ConfigError, match=f"^{name}: mcp.buffer.ttl_seconds is not built yet"):
        start(tmp_path, "", **{name: "1"})


def test_the_default_may_be_written_down(tmp_path):
    start(tmp_path, "otel: {enabled: false}\nmcp:\n  http: {port: 4030}\npplx:\n")
    start(tmp_path, "shaping: {enabled: true}\n", CCPROXY_MCP__HTTP__ENABLED="true")


def test_the_written_template_starts(tmp_path):
    write_template(tmp_path / "ccproxy.yaml")
    refuse_unbuilt(load_server_settings(tmp_path, {}), tmp_path, {})


def test_a_file_of_the_product_starts(tmp_path):
    start(tmp_path, SETTINGS)
    assert load_server_settings(tmp_path, {}).otel.enabled


def test_every_setting_is_built():
    assert [leaf.path for leaf in leaves(ServerSettings) if leaf.waits_for] == []


def test_a_setting_that_waits_may_stand_at_its_default(tmp_path, waiting):
    start(tmp_path, "mcp: {buffer: {ttl_seconds: 600}}\n")
