"""The console's requests, Redis' commands and Celery's tasks are spans of the same service."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from interceptor.config.files.server import ServerSettings
from tests.environment import ROOT
from tests.fakes.otlp_collector import GrpcCollector, attributes

# Everything global, so in a process of its own.
_PROGRAM = """
import socket, threading
from ccproxy_site import asgi
from interceptor.config.transfer.database import ensure_database
ensure_database()
from django.conf import settings
import asyncio
from django.test import AsyncClient
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
def get(path):
    client = AsyncClient()
    return asyncio.run(client.get(path, headers={"traceparent": TRACE})).status_code
get("/login/a-secret-token-of-24-characters/?key=abcdefghijklmnopqrstuvwx")
assert get("/metrics") == 200, get("/metrics")
import redis
def pong(server):
    connection, _ = server.accept()
    while data := connection.recv(4096):
        connection.sendall(b"+OK\\r\\n" * data.count(b"*"))
server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=pong, args=(server,), daemon=True).start()
redis.Redis(port=server.getsockname()[1], protocol=2).set("name", "a value")
from celery.signals import worker_init
from ccproxy_site.celery import app
worker_init.send(sender=None)
def work():
    return 1
app.task(work, name="a.task").apply()
from opentelemetry import trace
trace.get_tracer_provider().force_flush()
"""


def test_spans_of_django_redis_and_celery(tmp_path: Path) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with GrpcCollector() as collector:
        environ = {
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "ccproxy_site.settings",
            "CCPROXY_CONFIG_DIR": str(tmp_path),
            "CCPROXY_CONSOLE__HOSTS": '["testserver"]',
            "CCPROXY_OTEL__ENABLED": "true",
            "CCPROXY_OTEL__ENDPOINT": collector.url,
            "CCPROXY_OTEL__SERVICE_NAME": "my-proxy",
        }
        command = [sys.executable, "-c", _PROGRAM]
        done = subprocess.run(command, env=kept | environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        spans = collector.spans
        resources = [attributes(group.resource.attributes) for group in collector.resource_spans]
    scopes = {
        scope.scope.name.rpartition(".")[2]
        for group in collector.resource_spans
        for scope in group.scope_spans
    }
    assert scopes == {"django", "redis", "celery"}
    assert {resource["service.name"] for resource in resources} == {"my-proxy"}
    text = str(spans)
    assert "a-secret-token" not in text
    assert "abcdefghijklmnop" not in text
    assert "a value" not in text
    assert "a.task" in text
    (page,) = [span for span in spans if span.name == "GET metrics"]
    assert (page.trace_id.hex(), page.kind) == ("4bf92f3577b34da6a3ce929d0e0e4736", 2)
    said = attributes(page.attributes)
    assert (said["http.route"], said["http.response.status_code"]) == ("metrics", 200)


def test_off_it_does_nothing() -> None:
    from ccproxy_site.telemetry import instrumentation

    assert instrumentation.instrument_console(ServerSettings()) is False
    assert instrumentation.instrument_worker(ServerSettings()) is False
