"""With `otel.enabled` false nothing of OpenTelemetry is loaded; without its packages neither."""

from __future__ import annotations

import builtins
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.telemetry.tracing import TracingConf, tracing_of
from tests.environment import ROOT

_RECORDER = """
import json, sys
import django
django.setup()
from django.conf import settings
import ccproxy_site.mains.recorder as recorder
telemetry = recorder.RecorderTelemetry(recorder.tracing_conf(settings.CCPROXY), lambda: None, list)
assert telemetry.tracing is None and telemetry.push is None
print(json.dumps([*sys.modules]))
"""


def test_the_recorder_loads_nothing_of_it(tmp_path: Path) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", _RECORDER],
        env={
            **kept,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "ccproxy_site.settings",
            "CCPROXY_CONFIG_DIR": str(tmp_path),
            "CCPROXY_ROLE": "recorder",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = json.loads(done.stdout)
    assert "flows.telemetry.tracing" in loaded
    packages = {name.partition(".")[0] for name in loaded}
    assert packages.isdisjoint({"opentelemetry", "grpc", "prometheus_client"})
    assert "google.protobuf" not in loaded


def test_a_missing_package_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = builtins.__import__

    def without_grpc(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "grpc":
            raise ModuleNotFoundError("No module named 'grpc'", name="grpc")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_grpc)
    with caplog.at_level(logging.INFO, "flows.telemetry"):
        assert tracing_of(TracingConf(enabled=True), {}) is None
    assert [record.getMessage() for record in caplog.records] == [
        "Telemetry is off: the package grpc is not installed"
    ]


@pytest.mark.parametrize(
    ("endpoint", "environ", "message"),
    [
        ("ftp://collector:4317", {}, "'ftp://collector:4317' is neither http://HOST:PORT nor"),
        ("http://collector:port", {}, "'http://collector:port' is no address"),
        ("https://c", {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere"}, "/nowhere cannot be read"),
        ("http://c", {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "'http/json' is neither grpc"),
        ("http://c", {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, "'soon' is no number of seconds"),
    ],
)
def test_what_cannot_begin_is_one_warning(
    caplog: pytest.LogCaptureFixture, endpoint: str, environ: dict[str, str], message: str
) -> None:
    with caplog.at_level(logging.INFO, "flows.telemetry"):
        assert tracing_of(TracingConf(enabled=True, endpoint=endpoint), environ) is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert message in record.getMessage()
