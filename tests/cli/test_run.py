"""`ccproxy run -- CMD`: the command is on its own, only its SDKs are pointed at the proxy."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from jail.run.base_urls import ALL, Route, new_run, proxy_variables
from jail.withproxy import split_options
from tests.calls import CCPROXY, ROOT
from tests.patience import PATIENCE_S

URL = "http://127.0.0.1:4000"
NAMES = ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE", "GOOGLE_GEMINI_BASE_URL")


def test_the_command_gets_base_urls_and_its_exit_code_counts(ccproxy, port):
    script = " ".join(f"echo ${name};" for name in NAMES) + " exit 7"
    done = ccproxy("run", "--", "sh", "-c", script, CCPROXY_PORT=port)
    assert done.returncode == 7
    urls = done.stdout.split()
    run = urls[0].split("/")[4]
    url = f"http://127.0.0.1:{port}/run/{run}/to"
    assert run.startswith("sh-")
    assert urls == [f"{url}/anthropic", f"{url}/openai/v1", f"{url}/openai/v1", f"{url}/google"]
    first, last = done.stderr.splitlines()
    console = f"http://127.0.0.1:{ccproxy.ports['console']}/flows/?run={run}"
    assert first == f"ccproxy: recording to {console}"
    assert "no request of sh came through" in last and "ccproxy jail" in last


def test_the_dashes_may_be_left_out_and_options_belong_to_the_command(ccproxy, port):
    done = ccproxy("run", "-q", "echo", "--inspect", "-v", "--", "--config", CCPROXY_PORT=port)
    assert (done.stdout, done.stderr) == ("--inspect -v -- --config\n", "")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["no-such-command"], 127, "there is no command “no-such-command” on PATH"),
        (["/no/such/file"], 127, "there is no command “/no/such/file”"),
        (["/etc/passwd"], 126, "cannot run /etc/passwd: Permission denied"),
        (["--inspect", "--", "true"], 1, "nothing runs that could capture this command"),
        (["-i", "true"], 1, "nothing runs that could capture this command"),
        (["-i", "--", "no-such-command"], 127, "there is no command “no-such-command” on PATH"),
        (["-i"], 1, "run --inspect needs a command"),
        (["-i", "--egres", "x", "true"], 2, "unrecognized arguments: --egres"),
        ([], 1, "run needs a command"),
        (["--"], 1, "run needs a command"),
    ],
)
def test_what_cannot_be_run(ccproxy, arguments, code, message):
    done = ccproxy("run", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"ccproxy: {message}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("options", [["--quiet"], []])
def test_a_signal_ends_the_command(ccproxy, port, options):
    process = subprocess.Popen(
        [*CCPROXY, "run", *options, "--", "sh", "-c", "echo $$; exec sleep 60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=ccproxy.environ(CCPROXY_PORT=port),
    )
    assert process.stdout is not None
    # With --quiet nothing is left to do at the end: the command takes the process over.
    assert (int(process.stdout.readline()) == process.pid) == bool(options)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == -signal.SIGTERM
    process.stdout.close()


@pytest.mark.parametrize("options", ["-q ", ""])
def test_a_closed_pipe_ends_the_command(ccproxy, port, options):
    command = f"{' '.join(map(repr, CCPROXY))} run {options}-- yes | head -1"
    environ = ccproxy.environ(CCPROXY_PORT=port)
    done = subprocess.run(
        ["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        env=environ,
    )
    assert done.stdout.split() == ["y", str(128 + signal.SIGPIPE)]
    assert all(line.startswith("ccproxy: ") for line in done.stderr.splitlines())


def test_settings_in_the_current_directory_are_not_read(ccproxy, tmp_path, port):
    project = tmp_path / "project"
    project.mkdir()
    for name in ("ccproxy.yaml", ".env", "sitecustomize.py", "yaml.py", "jail.py"):
        (project / name).write_text(
            "port: 6666\n" if name.endswith("yaml") else "raise SystemExit(99)\n"
        )
    done = ccproxy(
        "run",
        "sh",
        "-c",
        "echo $ANTHROPIC_BASE_URL",
        cwd=project,
        CCPROXY_PORT=port,
        PYTHONSAFEPATH="1",
    )
    assert done.stdout.startswith(f"http://127.0.0.1:{port}/run/")


@pytest.mark.parametrize(
    ("arguments", "options", "command"),
    [
        (["--", "a", "-h"], [], ["a", "-h"]),
        (["a", "--", "b"], [], ["a", "--", "b"]),
        (["-i", "--", "--", "a"], ["-i"], ["--", "a"]),
        (["-h"], ["-h"], []),
        (["-q", "--stored", "a", "-q"], ["-q", "--stored"], ["a", "-q"]),
    ],
)
def test_where_the_command_begins(arguments, options, command):
    assert split_options(arguments) == (options, command)


def test_a_company_s_proxy_is_not_asked_for_loopback():
    variables = proxy_variables(
        Route(URL), {"HTTP_PROXY": "http://proxy:3128", "no_proxy": "corp.example"}
    )
    assert variables["no_proxy"] == "corp.example,127.0.0.1,localhost"
    assert "no_proxy" not in proxy_variables(Route(URL), {})


@pytest.mark.parametrize(
    ("environ", "own_vendors"),
    [
        ({}, {"anthropic", "openai", "google"}),
        ({"ANTHROPIC_API_KEY": "sk-ant-own"}, {"anthropic", "openai", "google"}),
        ({"ANTHROPIC_AUTH_TOKEN": "sk-ant-oat-ccproxy-x"}, {"openai", "google"}),
        ({"CODEX_API_KEY": "sk-ccproxy-openai.cct-t"}, {"anthropic", "google"}),
    ],
)
def test_a_sentinel_key_is_routed_by_its_name(environ, own_vendors):
    route = Route(URL, "a-1", token="cct-t")
    found = {v.provider for v in ALL if "/to/" in route.base_url(v, environ)}
    assert found == own_vendors
    for vendor in ALL:
        url = route.base_url(vendor, environ)
        own = f"/to/{vendor.provider}.cct-t" if vendor.provider in own_vendors else ""
        assert url == f"{URL}/run/a-1{own}"
    assert Route(URL, own_credentials=False).base_url(ALL[0], {}) == URL


def test_a_run_s_name_fits_into_a_path():
    for command in ("/usr/bin/claude", "./my tool!", "/", "é" * 80):
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", new_run(command))


def test_manage_py_runs_it_too(ccproxy, port):
    manage = (sys.executable, str(ROOT / "manage.py"))
    done = subprocess.run(
        [*manage, "withproxy", "--quiet", "--", "sh", "-c", "exit 5"],
        env=ccproxy.environ(CCPROXY_PORT=port),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 5
    assert os.path.basename(manage[0]).startswith("python")
