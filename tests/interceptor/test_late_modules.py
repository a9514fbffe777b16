"""Modules of mitmproxy that run with their first use: in fresh processes, which have not used any."""

from __future__ import annotations

import subprocess
import sys

import pytest

from interceptor.late_modules import LATE
from tests.interceptor.test_proxy_imports import MODULES, ROOT

BEGIN = f"""
import sys
from importlib import import_module
from interceptor.late_modules import LATE, LateModule, import_late, run

import_late()
for name in {MODULES!r}:
    import_module(name)
waiting = {{late.name for late in LATE if isinstance(sys.modules[late.name], LateModule)}}
assert waiting == {{late.name for late in LATE}}, waiting
"""
USES = {
    "pyparsing": """
import pyparsing
assert pyparsing.Word("ab").parse_string("abba").as_list() == ["abba"]
""",
    "mitmproxy.command_lexer": """
from mitmproxy import command
assert command.unquote("'a b'") == "a b"
assert command.command_lexer.expr.parseString("set 'a b'").as_list() == ["set", " ", "'a b'"]
assert command.unquote('"c"') == "c"
""",
    "ruamel.yaml": """
from mitmproxy.options import Options
from mitmproxy.optmanager import parse, serialize
import io
text = io.StringIO()
serialize(Options(listen_port=4321), text, "")
assert parse(text.getvalue())["listen_port"] == 4321
""",
    "service_identity": """
import aioquic.tls, service_identity
assert issubclass(service_identity.VerificationError, Exception)
assert callable(aioquic.tls.service_identity.cryptography.verify_certificate_hostname)
""",
}


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("late", LATE, ids=lambda late: late.name)
def test_it_runs_with_its_first_use(late) -> None:
    after = f"\nassert not isinstance(sys.modules[{late.name!r}], LateModule)"
    done = run(BEGIN + f"assert {late.user!r} in sys.modules\n" + USES[late.name] + after)
    assert done.returncode == 0, done.stderr


def test_threads_that_use_it_at_once_see_all_of_it() -> None:
    program = """
import pyparsing, threading
sys.setswitchinterval(1e-6)
begin, found = threading.Barrier(8), []

def use():
    begin.wait()
    found.append(pyparsing.common.integer)

threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == 8 and len({*map(id, found)}) == 1, found
"""
    done = run(BEGIN + program)
    assert done.returncode == 0, done.stderr


def test_a_name_that_it_lacks_is_an_attribute_error_and_it_has_run() -> None:
    program = """
import pyparsing
assert not hasattr(pyparsing, "__nothing__") and isinstance(pyparsing, LateModule)
assert not hasattr(pyparsing, "nothing") and not isinstance(pyparsing, LateModule)
"""
    done = run(BEGIN + program)
    assert done.returncode == 0, done.stderr


def test_modules_that_have_run_are_left_alone() -> None:
    done = run(
        "import pyparsing, mitmproxy.command, interceptor.late_modules as late\n"
        "before = mitmproxy.command.unquote\n"
        "late.import_late()\n"
        "assert mitmproxy.command_lexer.unquote is before\n"
        "assert not isinstance(pyparsing, late.LateModule)"
    )
    assert done.returncode == 0, done.stderr
