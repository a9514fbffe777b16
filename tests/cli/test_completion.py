"""Help and completion of every command."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from ccproxy_site.cli import _without_django
from ccproxy_site.command_table import COMMANDS
from ccproxy_site.terminal.completion import SHELLS, all_words, completion_script
from tests.environment import need


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help(name, capsys):
    code: object = None
    try:
        code = _without_django(name, ["--help"])
    except SystemExit as ended:
        code = ended.code
    assert code == 0
    shown = capsys.readouterr().out
    assert f"ccproxy {name}" in shown


def test_every_subcommand_s_help_is_complete():
    """A subcommand without a help, and a command without its options, would show here."""
    words = {each.path: each for each in all_words()}
    assert set(words[""].subcommands) == set(COMMANDS)
    options = ("--help", "--number", "--search", "--filter", "--jq", "--json", "--follow")
    assert words["flows list"].options == options
    assert "dump" in words["flows"].subcommands
    assert words["completion"].subcommands.keys() == set(SHELLS)
    assert "--inspect" in words["run"].options
    assert "--egress" in words["jail"].options
    assert "doctor" in words["namespace"].subcommands
    for path, each in words.items():
        # Choices are no commands, so they have no help.
        if path not in ("completion", "flows as", "namespace"):
            assert all(each.subcommands.values()), path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("fl", "flows"),
        ("flows ", "list dump diff compare clear pin unpin as export import repl --help"),
        ("flows list --js", "--json"),
        ("--config x flows list --js", "--json"),
        ("run -- cla", ""),
    ],
)
def test_bash_completes(line, expected):
    need("bash", bool(shutil.which("bash")))
    words = ["ccproxy", *line.split(" ")]
    quoted = " ".join(f"'{word}'" for word in words)
    ask = f'COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _ccproxy; echo "${{COMPREPLY[*]}}"'
    script = f"{completion_script('bash')}\n{ask}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == (expected, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_accepts_its_script(shell):
    script = completion_script(shell)
    assert all(name in script for name in COMMANDS)
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)
