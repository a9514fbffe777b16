"""Paths into JSON bodies, as users' hooks write them, and when the library behind them is loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.environment import ROOT
from tests.interceptor.exchanges import exchange

BODY = {"metadata": {"user_id": "u"}, "messages": [{"role": "user"}], "none": None}


def test_it_works() -> None:
    ex = exchange(BODY)
    assert ex.get("metadata.user_id") == "u"
    assert ex.get("messages.0.role") == "user"
    ex.set("metadata.tier.name", "x")
    ex.delete("messages.0.role")
    ex.delete("messages.5.role")
    assert ex.json == {
        "metadata": {"user_id": "u", "tier": {"name": "x"}},
        "messages": [{}],
        "none": None,
    }


def test_what_is_not_there_is_the_default() -> None:
    ex = exchange(BODY)
    assert ex.get("metadata.other") is None
    assert ex.get("messages.3.role", "x") == "x"
    # A null of the client is a value.
    assert ex.get("none", "x") is None
    assert exchange(None).get("a", "x") == "x"


def test_what_cannot_be_set_is_a_key_error() -> None:
    with pytest.raises(KeyError, match=r"cannot set messages\.x"):
        exchange(BODY).set("messages.x", 1)


@pytest.mark.parametrize(("name", "is_loaded"), [("inject_auth", False), ("own_hooks.sign", True)])
def test_paths_are_loaded_with_the_first_hook_of_a_user(name: str, is_loaded: bool) -> None:
    full = name.replace("own_hooks", "tests.interceptor.hooks.own_hooks")
    program = (
        "import sys\n"
        "from interceptor.hooks.table import find_hook\n"
        f"find_hook({full!r})\n"
        "print('glom' in sys.modules)"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT, text=True
    )
    assert process.stdout.strip() == str(is_loaded)
