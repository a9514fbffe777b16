"""`jail --doctor` and `jail --status`, and what a run says that could not be captured."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.calls import CCPROXY
from tests.e2e.process import Interceptor
from tests.environment import ROOT
from tests.jail import user
from tests.patience import PATIENCE_S


def as_user(world, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [*user.prefix(), *CCPROXY, *words]
    environment = world.environ(**environ)
    return subprocess.run(
        command,
        cwd=world.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def test_the_doctor_finds_that_jails_work(world):
    done = as_user(world, "namespace", "doctor", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["failures"]) == (0, []), done.stderr
    probe = report["probe"]
    assert (probe["default_route"], probe["capabilities"]) == ("wg0", "none")
    assert probe["dns_ok"] and probe["proxy_ok"] and probe["trust_ok"] and probe["outside_closed"]
    assert probe["resolv_conf"].startswith("nameserver 10.0.0.53\n")
    assert "Result" in as_user(world, "jail", "--doctor").stdout


def test_the_doctor_says_that_nothing_runs(world):
    empty = world.folder / "empty"
    done = as_user(world, "jail", "--doctor", CCPROXY_CONFIG_DIR=str(empty))
    assert done.returncode == 1
    assert "Failure" in done.stdout
    assert "start it with: ccproxy start" in done.stdout


def test_status_starts_nothing(world):
    done = as_user(world, "namespace", "status", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert "probe" not in report
    assert report["tools"]["slirp4netns"]["present"]
    assert report["interceptor"]["listening"]
    assert as_user(world, "namespace", "nonsense").returncode == 2


@pytest.mark.parametrize("words", [("jail", "--", "true"), ("run", "--inspect", "--", "true")])
def test_without_an_interceptor_it_is_one_sentence(world, words):
    done = as_user(world, *words, CCPROXY_CONFIG_DIR=str(world.folder / "empty"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "start it with: ccproxy start" in done.stderr


def test_where_namespaces_are_forbidden_it_is_one_sentence(world):
    """As under the limits of a container: none may be made."""
    limited = [*user.prefix(), "unshare", "--user", "--map-root-user", "sh", "-c"]
    script = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    command = [*limited, script, "sh", *CCPROXY, "jail", "--", "true"]
    done = subprocess.run(
        command,
        cwd=world.folder,
        env=world.environ(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert "does not allow user namespaces" in done.stderr
    assert "jail --doctor" in done.stderr


def test_manage_py_is_the_same(world):
    words = [*user.prefix(), sys.executable, "manage.py", "jail", "--", "sh", "-c", "exit 9"]
    assert subprocess.run(words, cwd=ROOT, env=world.environ(), timeout=PATIENCE_S).returncode == 9
    again = [*user.prefix(), *CCPROXY, "run", "-i", "sh", "-c", "exit 8"]
    assert (
        subprocess.run(again, cwd=world.folder, env=world.environ(), timeout=PATIENCE_S).returncode
        == 8
    )


def test_a_proxy_that_stops_is_told_at_the_end(world, tmp_path_factory):
    """The command goes on without a network; nothing else is tried."""
    from tests.jail.world import jail_world

    with jail_world() as other:
        script = (
            "echo up; read line; curl -sS -m 3 https://api.anthropic.com/ >/dev/null 2>&1; echo $?"
        )
        with other.start("sh", "-c", script, stdin=subprocess.PIPE) as jail:
            assert jail.stdout is not None
            assert jail.stdout.readline() == "up\n"
            stop(other.interceptor)
            out, err = jail.communicate("go\n", timeout=PATIENCE_S)
    assert out.strip() in ("6", "7", "28")
    assert jail.returncode == 0
    assert "the proxy stopped while the command ran" in err


def stop(interceptor: Interceptor) -> None:
    interceptor.terminate()
    assert interceptor.wait() == 0
