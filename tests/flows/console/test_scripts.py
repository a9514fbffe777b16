"""The console's scripts: modules that find each other, and no address of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from tests.environment import ROOT

SCRIPTS = sorted((ROOT / "flows/static/flows").glob("*.js"))
IMPORT = re.compile(r'^import (?:\{[^}]*\} from )?"\./([a-z_]+\.js)";$', re.MULTILINE)
PATH_LITERAL = re.compile(r"[\"'`]/[a-z]")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_addresses_come_from_the_server(script: Path):
    assert not PATH_LITERAL.search(script.read_text())


def test_every_module_is_served_and_reached():
    reached, waiting = set(), ["console.js", "resend.js"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        found = finders.find(f"flows/{name}")
        assert isinstance(found, str), name
        waiting += [
            other for other in IMPORT.findall(Path(found).read_text()) if other not in reached
        ]
    assert reached == {script.name for script in SCRIPTS}


def test_templates_load_modules_and_list_no_keys():
    base = (ROOT / "templates/base.html").read_text()
    assert re.findall(r"<script[^>]*>", base) == [
        """<script type="module" src="{% static 'flows/console.js' %}">"""
    ]
    assert '<dl class="keys" data-keys></dl>' in base
