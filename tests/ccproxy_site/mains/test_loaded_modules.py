"""What the recorder and the console have loaded once they serve: nothing that a start need not wait for.

The proxy's and the supervisor's modules: tests/interceptor/test_proxy_imports.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import ROOT

# All imports of a main, also those in its functions. A recorder checks hooks as well, a console opens
# its listener.
_PROGRAM = """
import ast, asyncio, importlib, json, pkgutil, sys
from importlib.util import find_spec
from pathlib import Path

import django

main = sys.argv[1]
importlib.import_module(main)
django.setup()
for node in ast.walk(ast.parse(Path(find_spec(main).origin).read_text())):
    if isinstance(node, ast.ImportFrom) and node.module != "__future__":
        importlib.import_module(node.module)

async def listen():
    from ccproxy_site.console import server

    server._install_reactor(asyncio.get_running_loop())
    server._server("127.0.0.1", 0)

if main.endswith("console_main"):
    asyncio.run(listen())
else:
    import interceptor.hooks

    for module in pkgutil.iter_modules(interceptor.hooks.__path__, "interceptor.hooks."):
        importlib.import_module(module.name)
print(json.dumps([*sys.modules]))
"""
_NOWHERE = (
    "aioquic", "celery", "curl_cffi", "fastmcp", "genai_prices", "grpc", "h2", "httpcore", "jq", "mitmproxy",
    "OpenSSL", "opentelemetry", "psycopg", "pydantic.v1", "pygments", "pyparsing", "redis",
    "requests", "rich", "service_identity", "wsproto",
    # Schemas of the sections of a configuration file that the database holds.
    "interceptor.config.files.sections.provider_section", "interceptor.config.files.whole_file",
)  # fmt: skip
_RECORDER = (
    "channels.routing", "daphne", "django.contrib.admin", "django.views.debug", "django_filters", "drf_spectacular",
    "httpx", "markdown_it", "rest_framework", "twisted", "unfold", "whitenoise",
)  # fmt: skip
_CONSOLE = (
    "_nvx_utf8validator", "flows.console.tabs", "flows.lineage.link_thread", "flows.writer.thread",
    "markdown_it", "pycparser",
)  # fmt: skip


def loaded(main: str, directory: Path) -> set[str]:
    """Return the modules of a fresh process that has imported what the main imports."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, f"ccproxy_site.mains.{main}"],
        env=kept
        | {
            "PYTHONPATH": str(ROOT),
            "CCPROXY_CONFIG_DIR": str(directory),
            "CCPROXY_ROLE": "recorder" if main == "recorder_main" else "",
            "DJANGO_SETTINGS_MODULE": "ccproxy_site.settings",
        },
        capture_output=True,
        check=True,
        text=True,
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("main", "needed", "not_needed"),
    [
        ("recorder_main", "flows.writer.thread", _RECORDER),
        ("console_main", "daphne.server", _CONSOLE),
    ],
)
def test_a_process_loads_what_it_needs_to_start(
    main: str, needed: str, not_needed: tuple[str, ...], tmp_path: Path
) -> None:
    found = loaded(main, tmp_path)
    assert needed in found
    assert sorted(found.intersection([*_NOWHERE, *not_needed])) == []


_OF_NURSERY = """
import json, os, sys
from importlib import import_module
from ccproxy_site.mains import nursery_main

for name in nursery_main.COMMON:
    import_module(name)
before = set(sys.modules)
for name in nursery_main.OF_DJANGO:
    import_module(name)
print(json.dumps([len(os.listdir("/proc/self/task")), sorted(set(sys.modules) - before)]))
"""


def test_the_nursery_imports_of_django_what_both_need_and_no_settings(tmp_path: Path) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", _OF_NURSERY],
        env=kept | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        text=True,
    )
    threads, names = json.loads(done.stdout)
    assert threads == 1
    assert "django.db.models" in names
    assert "ccproxy_site.settings" not in names
    for main in ("recorder_main", "console_main"):
        unneeded = set(names) - loaded(main, tmp_path)
        assert unneeded == set(), main
