"""Completion of commands and options for bash, zsh and fish, made from the command table."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final, NamedTuple

from ccproxy_site.command_table import COMMANDS

SHELLS: Final = ("bash", "zsh", "fish")
_GLOBAL_OPTIONS: Final = ("--config", "--verbose", "--version", "--help")
_OPTION: Final = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
_RUNS_COMMANDS: Final = ("run", "jail")
"""Commands whose further words are a command of the user's."""


class Words(NamedTuple):
    """Completions behind some words: `path` is "flows list", "" at the start."""

    path: str
    subcommands: dict[str, str]
    """Name → its help."""
    options: tuple[str, ...]


def completion_script(shell: str) -> str:
    """Return the script that a shell reads at its start.

    Options are offered behind a dash, so that an empty word completes to the name of a file.
    """
    words = list(all_words())
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](words)


def all_words() -> Iterator[Words]:
    """Yield the completions of `ccproxy` itself, then of each command and subcommand."""
    summaries = {name: command.summary for name, command in COMMANDS.items()}
    yield Words("", summaries, _GLOBAL_OPTIONS)
    for name, command in COMMANDS.items():
        if command.app == "jail":
            yield _of_help(name)
            continue
        parsers: Any = import_module(f"{command.app}.management.parsers")
        parser = argparse.ArgumentParser(prog=f"ccproxy {name}")
        getattr(parsers, command.django_name)(parser)
        yield from _of_parser(name, parser)


def _of_parser(path: str, parser: argparse.ArgumentParser) -> Iterator[Words]:
    subcommands: dict[str, str] = {}
    inner: dict[str, argparse.ArgumentParser] = {}
    options: list[str] = []
    # argparse has no public list of what was declared.
    for action in parser._actions:
        options += [option for option in action.option_strings if option.startswith("--")]
        if isinstance(action, argparse._SubParsersAction):
            inner = action.choices
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            subcommands |= {name: helps.get(name, "") for name in inner}
        elif action.choices and not action.option_strings:
            subcommands |= {str(choice): "" for choice in action.choices}
    yield Words(path, subcommands, tuple(options))
    for name, subparser in inner.items():
        yield from _of_parser(f"{path} {name}", subparser)


def _of_help(name: str) -> Words:
    """Return the completions of a command that parses its words itself, from its help."""
    if name == "clients":
        return Words(name, {}, ("--help",))
    if name == "namespace":
        namespace = import_module("jail.command")
        actions = dict.fromkeys(namespace.NAMESPACE_ACTIONS, "")
        return Words(name, actions, ("--json", "--help"))
    if name == "run":
        text = str(import_module("jail.withproxy").HELP)
    else:
        text = str(import_module("jail.options").help_text("ccproxy jail"))
    found = [option for option in _OPTION.findall(text) if option.startswith("--")]
    return Words(name, {}, tuple(dict.fromkeys(found)))


_BASH: Final = """\
# Completion of ccproxy for bash. Made by: ccproxy completion bash
_ccproxy() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" names="" options="" at="" word i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="${{COMP_WORDS[i]}}"
        if [[ $word == -- ]]; then
            ((i == COMP_CWORD - 1)) && COMPREPLY=($(compgen -c -- "$current"))
            return
        fi
        case "$at $word" in
            {known}) at="${{at:+$at }}$word" ;;
        esac
    done
    case "$at" in
{cases}
    esac
    [[ $current == -* ]] && names="$options"
    COMPREPLY=($(compgen -W "$names" -- "$current"))
}}
complete -o default -F _ccproxy ccproxy
"""


def _bash(words: list[Words]) -> str:
    known = "|".join(f'"{_key(each.path)}"' for each in words if each.path)
    cases = []
    for each in words:
        names, options = " ".join(each.subcommands), " ".join(each.options)
        cases.append(f'        "{each.path}") names="{names}" options="{options}" ;;')
    return _BASH.format(known=known, cases="\n".join(cases))


def _key(path: str) -> str:
    """Return the words as the loop joins them: "flows" → " flows", "flows list" as it is."""
    return path if " " in path else f" {path}"


_ZSH: Final = """\
#compdef ccproxy
# Completion of ccproxy for zsh. Made by: ccproxy completion zsh
_ccproxy() {{
    local at="" word
    local -a names options
    # What follows is a command of its own, completed as one.
    integer dashes=${{words[(i)--]}}
    if (( dashes < CURRENT )); then
        shift dashes words
        (( CURRENT -= dashes ))
        _normal
        return
    fi
    for word in "${{(@)words[2,CURRENT-1]}}"; do
        case "$at $word" in
            {known}) at="${{at:+$at }}$word" ;;
        esac
    done
    case "$at" in
{cases}
    esac
    (( $#names )) && _describe command names
    [[ ${{words[CURRENT]}} == -* ]] && (( $#options )) && compadd -- $options
    (( $#names )) || _files
}}
compdef _ccproxy ccproxy
"""


def _zsh(words: list[Words]) -> str:
    known = "|".join(f'"{_key(each.path)}"' for each in words if each.path)
    cases = []
    for each in words:
        names = " ".join(_zsh_name(name, text) for name, text in each.subcommands.items())
        cases.append(
            f'        "{each.path}") names=({names}) options=({" ".join(each.options)}) ;;'
        )
    return _ZSH.format(known=known, cases="\n".join(cases))


def _zsh_name(name: str, text: str) -> str:
    described = f"{name}:{text}" if text else name
    return _quoted(described)


def _quoted(text: str) -> str:
    """Quote a text for zsh; fish reads an escaped quote alike."""
    return "'" + text.replace("'", "'\\''") + "'"


_FISH_COMMAND: Final = (
    "complete -c ccproxy -n 'contains -- -- (commandline -opc)' -x -a"
    ' \'(complete -C (string replace -r "^.*? -- " "" -- (commandline -cp)))\''
)
"""Behind the dashes of `run --` stands a command of its own, completed as one."""


def _fish(words: list[Words]) -> str:
    lines = ["# Completion of ccproxy for fish. Made by: ccproxy completion fish", _FISH_COMMAND]
    for each in words:
        condition = _fish_condition(each)
        files = "" if each.path.split(" ")[0] in _RUNS_COMMANDS or not each.subcommands else " -f"
        for name, text in each.subcommands.items():
            described = f" -d {_quoted(text)}" if text else ""
            lines.append(f"complete -c ccproxy{files} -n '{condition}' -a {name}{described}")
        for option in each.options:
            lines.append(f"complete -c ccproxy -n '{condition}' -l {option.removeprefix('--')}")
    return "\n".join(lines) + "\n"


def _fish_condition(words: Words) -> str:
    """Return the test that the typed words lead here, and no further."""
    if not words.path:
        return "__fish_use_subcommand"
    seen = [f"__fish_seen_subcommand_from {word}" for word in words.path.split(" ")]
    if words.subcommands:
        seen.append(f"not __fish_seen_subcommand_from {' '.join(words.subcommands)}")
    return "; and ".join(seen)
