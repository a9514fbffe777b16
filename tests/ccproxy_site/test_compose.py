"""compose.yaml offers what docs/telemetry.md says."""

from __future__ import annotations

from typing import Any

import yaml

from interceptor.config.files.load_settings import load_server_settings
from tests.environment import ROOT


def composed() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


def test_jaeger_is_a_profile_on_loopback() -> None:
    jaeger = composed()["services"]["jaeger"]
    assert jaeger["profiles"] == ["jaeger"]
    assert set(jaeger["ports"]) == {"127.0.0.1:4317:4317", "127.0.0.1:16686:16686"}


def test_its_variables_are_settings(tmp_path: Any) -> None:
    environ = composed()["x-ccproxy"]["environment"]
    chosen = {
        name: text.partition(":-")[2].rstrip("}")
        for name, text in environ.items()
        if name.startswith("CCPROXY_OTEL__")
    }
    otel = load_server_settings(tmp_path, chosen).otel
    assert (otel.enabled, otel.endpoint) == (False, "http://jaeger:4317")


def test_the_settings_of_the_document_are_read(tmp_path: Any) -> None:
    text = (ROOT / "docs/telemetry.md").read_text()
    section = text.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "ccproxy.yaml").write_text(section)
    otel = load_server_settings(tmp_path, {}).otel
    assert (otel.enabled, otel.service_name) == (True, "ccproxy")
