"""`ccproxy run -- CMD`: the command is on its own, only its SDKs are pointed at the proxy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from interceptor.config.files.server import ServerSettings
from jail.withproxy import proxy_variables, split_options
from tests.calls import CCPROXY, ROOT
from tests.patience import PATIENCE_S

NAMES = ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE", "GOOGLE_GEMINI_BASE_URL")


def test_it_works(ccproxy):
    done = ccproxy(
        "run", "--", "sh", "-c", " ".join(f"echo ${name};" for name in NAMES) + " exit 7"
    )
    url = f"http://127.0.0.1:{ccproxy.ports['proxy']}"
    assert done.returncode == 7
    assert done.stdout.split() == [url, f"{url}/v1", f"{url}/v1", url]


def test_the_dashes_may_be_left_out_and_options_belong_to_the_command(ccproxy):
    assert (
        ccproxy("run", "echo", "--inspect", "-v", "--", "--config").stdout
        == "--inspect -v -- --config\n"
    )


def test_nothing_is_said_when_the_proxy_listens(ccproxy, listener):
    done = ccproxy("run", "true", CCPROXY_PORT=str(listener.getsockname()[1]))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_says_when_nothing_listens(ccproxy):
    assert "start the proxy with: ccproxy start" in ccproxy("run", "true").stderr


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
def test_what_cannot_be_run(ccproxy, listener, arguments, code, message):
    done = ccproxy("run", *arguments, CCPROXY_PORT=str(listener.getsockname()[1]))
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"ccproxy: {message}")
    assert done.stderr.count("\n") == 1


def test_a_signal_ends_the_command_itself(ccproxy):
    process = subprocess.Popen(
        [*CCPROXY, "run", "--", "sh", "-c", "echo $$; exec sleep 60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=ccproxy.environ(),
    )
    assert process.stdout is not None
    assert int(process.stdout.readline()) == process.pid
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == -signal.SIGTERM
    process.stdout.close()


def test_a_closed_pipe_ends_the_command_quietly(ccproxy, listener):
    command = f"{' '.join(map(repr, CCPROXY))} run -- yes | head -1"
    environ = ccproxy.environ(CCPROXY_PORT=str(listener.getsockname()[1]))
    done = subprocess.run(
        ["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        env=environ,
    )
    assert done.stdout.split() == ["y", str(128 + signal.SIGPIPE)]
    assert done.stderr == ""


def test_settings_in_the_current_directory_are_not_read(ccproxy, tmp_path, listener):
    project = tmp_path / "project"
    project.mkdir()
    for name in ("ccproxy.yaml", ".env", "sitecustomize.py", "yaml.py", "jail.py"):
        (project / name).write_text(
            "port: 6666\n" if name.endswith("yaml") else "raise SystemExit(99)\n"
        )
    environ = {"CCPROXY_PORT": str(listener.getsockname()[1])}
    done = ccproxy(
        "run", "sh", "-c", "echo $ANTHROPIC_BASE_URL", cwd=project, **environ, PYTHONSAFEPATH="1"
    )
    assert done.stdout == f"http://127.0.0.1:{listener.getsockname()[1]}\n"


@pytest.mark.parametrize(
    ("arguments", "options", "command"),
    [
        (["--", "a", "-h"], [], ["a", "-h"]),
        (["a", "--", "b"], [], ["a", "--", "b"]),
        (["-i", "--", "--", "a"], ["-i"], ["--", "a"]),
        (["-h"], ["-h"], []),
    ],
)
def test_where_the_command_begins(arguments, options, command):
    assert split_options(arguments) == (options, command)


def test_a_company_s_proxy_is_not_asked_for_loopback():
    variables = proxy_variables(
        ServerSettings(), {"HTTP_PROXY": "http://proxy:3128", "no_proxy": "corp.example"}
    )
    assert variables["no_proxy"] == "corp.example,127.0.0.1,localhost"
    assert "no_proxy" not in proxy_variables(ServerSettings(), {})


def test_a_wildcard_bind_is_reached_by_loopback():
    assert (
        proxy_variables(ServerSettings(host="0.0.0.0"), {})["ANTHROPIC_BASE_URL"]
        == "http://127.0.0.1:4000"
    )


def test_manage_py_runs_it_too(ccproxy):
    manage = (sys.executable, str(ROOT / "manage.py"))
    done = subprocess.run(
        [*manage, "withproxy", "--", "sh", "-c", "exit 5"],
        env=ccproxy.environ(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 5
    assert os.path.basename(manage[0]).startswith("python")
