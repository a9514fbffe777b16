"""The command line itself: names, global options, errors."""

from __future__ import annotations

import pytest

from ccproxy_site.cli import guarded, help_text
from ccproxy_site.command_table import COMMANDS


def test_it_works(ccproxy):
    done = ccproxy("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == help_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_names_every_command(name):
    assert f"\n  {name} " in help_text()


def test_no_command_shows_the_help(ccproxy):
    assert ccproxy().stdout == help_text()


def test_the_version(ccproxy):
    assert ccproxy("--version").stdout.startswith("ccproxy ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["staus"], "ccproxy: there is no command “staus”; did you mean status?\n"),
        (["qqqqqq"], "ccproxy: there is no command “qqqqqq”; see: ccproxy --help\n"),
        (["--nonsense", "status"], "ccproxy: there is no option --nonsense; see: ccproxy --help\n"),
        (["--config"], "ccproxy: --config needs the path of a config directory\n"),
        (
            ["--config", "/etc/passwd", "status"],
            "ccproxy: --config wants a directory, which holds a ccproxy.yaml; ",
        ),
        (["importconfig", "/nonexistent"], "ccproxy: /nonexistent does not exist\n"),
    ],
)
def test_errors_are_one_line(ccproxy, arguments, message):
    done = ccproxy(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["status", "run", "logs", "start", "flows"])
def test_a_bad_file_is_one_line_for_every_command(ccproxy, command):
    ccproxy.directory.mkdir()
    (ccproxy.directory / "ccproxy.yaml").write_text("ccproxy:\n  inspectr: 1\n")
    done = ccproxy(command, *{"run": ["true"], "flows": ["list"]}.get(command, []))
    assert done.returncode == 1
    assert (
        done.stderr
        == f"ccproxy: {ccproxy.directory}/ccproxy.yaml:2: unknown key ccproxy.inspectr: did you"
        " mean inspector?\n"
    )


def test_config_beats_the_variable(ccproxy, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "ccproxy.yaml").write_text("inspector: {mitmproxy: {nonsense: 1}}\n")
    for option in (
        ["--config", str(other)],
        [f"--config={other}"],
        ["-v", "--config", f"{other}/ccproxy.yaml"],
    ):
        assert (
            f"{other}/ccproxy.yaml:1: unknown key" in ccproxy(*option, "status", "--proxy").stderr
        )


def test_the_product_s_commands_hide_django_s_options(ccproxy):
    done = ccproxy("setkey", "--help")
    assert done.stdout.startswith("usage: ccproxy setkey [-h] [--header HEADER] provider")
    assert "--pythonpath" not in done.stdout


def test_a_usage_error_exits_2(ccproxy):
    done = ccproxy("setkey")
    assert done.returncode == 2
    assert "ccproxy setkey: error: the following arguments are required: provider" in done.stderr


def test_django_s_own_commands_work(ccproxy):
    assert "no issues" in ccproxy("check").stdout


def test_what_ends_a_command(capsys):
    def interrupt():
        raise KeyboardInterrupt

    assert guarded(interrupt) == 130
    assert guarded(lambda: None) == 0
    assert guarded(lambda: 7) == 7
    assert capsys.readouterr() == ("", "")
