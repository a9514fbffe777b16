"""The console's scripts: modules that find each other, and no address of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from tests.environment import ROOT

SCRIPTS = sorted((ROOT / "flows/static/flows").glob("*.js"))
FRAME = sorted((ROOT / "ccproxy_site/static/ccproxy_site").glob("*.js"))
IMPORT = re.compile(r'^import (?:\{[^}]*\} from )?"\./([a-z_]+\.js)";$', re.MULTILINE)
PATH_LITERAL = re.compile(r"[\"'`]/[a-z]")


@pytest.mark.parametrize("script", SCRIPTS + FRAME, ids=lambda path: path.name)
def test_addresses_come_from_the_server(script: Path):
    assert not PATH_LITERAL.search(script.read_text())


@pytest.mark.parametrize(
    "folder, entries, scripts",
    [
        # The last one is of exported sessions, which stand alone.
        ("flows", ["console.js", "resend.js", "share.js"], SCRIPTS),
        ("ccproxy_site", ["shell.js", "theme.js", "admin_labels.js", "first_error.js"], FRAME),
    ],
)
def test_every_module_is_served_and_reached(
    folder: str, entries: list[str], scripts: list[Path]
) -> None:
    reached, waiting = set(), list(entries)
    while waiting:
        name = waiting.pop()
        reached.add(name)
        found = finders.find(f"{folder}/{name}")
        assert isinstance(found, str), name
        waiting += [
            other for other in IMPORT.findall(Path(found).read_text()) if other not in reached
        ]
    assert reached == {script.name for script in scripts}


def test_templates_load_modules_and_list_no_keys():
    base = (ROOT / "templates/base.html").read_text()
    assert re.findall(r"<script[^>]*>", base) == [
        """<script src="{% static 'ccproxy_site/theme.js' %}">""",
        """<script type="module" src="{% static 'ccproxy_site/shell.js' %}">""",
        """<script type="module" src="{% static 'flows/console.js' %}">""",
    ]
    assert '<dl class="keys" data-keys></dl>' in base
