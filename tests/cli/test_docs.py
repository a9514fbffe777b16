"""docs/commands.md names every command."""

from __future__ import annotations

import re

import pytest

from ccproxy_site.command_table import COMMANDS
from jail.run.base_urls import Route, proxy_variables
from tests.environment import ROOT

PAGE = (ROOT / "docs/commands.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_explained(name):
    assert f"\n| `{name}` | `{COMMANDS[name].django_name}` | " in PAGE


def test_no_command_is_invented():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert rows == [(name, command.django_name) for name, command in COMMANDS.items()]


def test_the_variables_of_run():
    for name, value in proxy_variables(Route("http://127.0.0.1:4000", "NAME"), {}).items():
        row = next(
            line for line in PAGE.splitlines() if line.startswith("|") and f"`{name}`" in line
        )
        assert row.endswith(f"| `{value}` |")
