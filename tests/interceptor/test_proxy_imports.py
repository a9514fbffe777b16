"""A proxy's process loads neither Django nor what only the recorder, the console or a terminal needs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

# What a proxy's main imports; nearly everything else comes with `interceptor.proxy`.
MODULES = ("ccproxy_site.mains.proxy_main", "ccproxy_site.mains.proxy_process")

RECORDER_AND_CONSOLE = [
    "asgiref",
    "celery",
    "channels",
    "channels_redis",
    "daphne",
    "django",
    "django_filters",
    "drf_spectacular",
    "fastmcp",
    "genai_prices",
    "jq",
    "opentelemetry",
    "psycopg",
    "redis",
    "rest_framework",
    "twisted",
    "unfold",
    "whitenoise",
]
MITMPROXYS_INTERFACES = ["flask", "jinja2", "ldap3", "pyperclip", "tornado", "urwid", "werkzeug"]
TERMINAL = [
    "authlib",
    "click",
    "curl_cffi",
    "glom",
    "httpcore",
    "httpx",
    "markdown_it",
    "nh3",
    "pdb",
    "pygments",
    "readline",
    "requests",
    "rich",
    "starlette",
    "uvicorn",
]


@cache
def loaded(modules: tuple[str, ...]) -> frozenset[str]:
    """Return the top-level packages that a fresh process has loaded after importing these."""
    program = (
        "import importlib, json, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, *modules],
        capture_output=True,
        check=True,
        cwd=ROOT,
        text=True,
    )
    return frozenset(name.split(".")[0] for name in json.loads(process.stdout))


def test_a_proxy_loads_nothing_of_the_recorder_and_the_console() -> None:
    found = loaded(MODULES)
    assert "mitmproxy" in found
    assert sorted(found.intersection(RECORDER_AND_CONSOLE)) == []


def test_a_proxy_loads_no_interface_for_people() -> None:
    assert sorted(loaded(MODULES).intersection(MITMPROXYS_INTERFACES + TERMINAL)) == []


def test_the_supervisor_loads_next_to_nothing() -> None:
    found = loaded(("ccproxy_site.supervise.__main__",))
    heavy = {"asyncio", "django", "mitmproxy", "pydantic", "ssl", "yaml"}
    assert sorted(found & heavy) == []


def test_the_lists_name_packages_that_exist() -> None:
    assert "django" in loaded((*MODULES, "ccproxy_site.process.live_bridge"))
    assert "flask" in loaded(("mitmproxy.addons",))
    assert "rich" in loaded(("httpx",))


def test_mitmproxys_addons_are_imported_in_one_place() -> None:
    importers = set()
    for path in sorted(ROOT.joinpath("interceptor").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "mitmproxy.addons"
            ):
                importers.add(str(path.relative_to(ROOT)))
    assert importers == {"interceptor/stock_addons.py"}


def test_mitmproxys_own_programs_still_get_all_addons() -> None:
    """A package that was imported with its `__init__` stays as it is."""
    program = (
        "import mitmproxy.addons, interceptor.stock_addons\n"
        "assert len(mitmproxy.addons.default_addons()) > 20"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
