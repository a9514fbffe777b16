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
        ("flows ", "list dump diff compare clear pin unpin as export import repl"),
        ("flows -", "--help"),
        # The shell offers files then.
        ("flows import ", ""),
        ("setkey ", ""),
        ("flows list --js", "--json"),
        ("--config x flows list --js", "--json"),
        ("run -- mkfif", "mkfifo"),
        ("run -- ls fl", ""),
    ],
)
def test_bash_completes(line, expected):
    need("bash", bool(shutil.which("bash")))
    words = ["ccproxy", *line.split(" ")]
    quoted = " ".join(f"'{word}'" for word in words)
    ask = f'COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _ccproxy; echo "${{COMPREPLY[*]}}"'
    script = f"{completion_script('bash')}\n{ask}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    # A program may stand in two folders of PATH.
    offered = list(dict.fromkeys(done.stdout.split()))
    assert (offered, done.stderr) == (expected.split(), "")


@pytest.mark.parametrize(
    ("line", "offered", "not_offered"),
    [
        ("fl", "flows", "list"),
        ("flows ", "list", "--help"),
        ("flows list --js", "--json", "list"),
        ("flows import ./here", "./here.har", "list"),
        ("setkey ./here", "./here.har", "--help"),
        ("run -- mkfif", "mkfifo", "./here.har"),
        ("run --inspect -- cat ./here", "./here.har", "--help"),
    ],
)
def test_fish_completes(line, offered, not_offered, tmp_path):
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    (tmp_path / "here.har").touch()
    script = f"{completion_script('fish')}\ncomplete -C 'ccproxy {line}'"
    command = ["fish", "--no-config", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    words = [row.split("\t")[0] for row in done.stdout.splitlines()]
    assert offered in words
    assert not_offered not in words


def test_zsh_completes_what_stands_behind_the_dashes_as_a_command():
    """The words up to the dashes are taken away: with them, zsh would come back here for ever."""
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    ask = "words=(ccproxy run --inspect -- mkfifo -m); CURRENT=6; _ccproxy"
    script = "\n".join(
        (
            "compdef() { :; }",
            "_normal() { print -r -- $CURRENT $words; }",
            completion_script("zsh"),
            ask,
        )
    )
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2 mkfifo -m"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_accepts_its_script(shell):
    script = completion_script(shell)
    assert all(name in script for name in COMMANDS)
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)
