"""Suggestions in the errors of argparse: misspelt options, subcommands and choices."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import NoReturn

from providers.base.nearest import nearest

_CHOICE = re.compile(r"invalid choice: '?(?P<word>.*?)'? \(choose from (?P<known>.*)\)", re.DOTALL)
_UNKNOWN = "unrecognized arguments: "


def suggest_names(parser: argparse.ArgumentParser) -> None:
    """Let the errors of a parser and its subcommands suggest what was meant.

    argparse of Python 3.14 does so for choices alone.
    """
    for each in _parsers(parser):
        _wrap_error(each)


def argument_hint(parser: argparse.ArgumentParser, message: str) -> str:
    """Return the end of one of argparse's messages: "; did you mean --json?", or ""."""
    found = _CHOICE.search(message)
    if found is not None:
        choices = [name.strip().strip("'") for name in found["known"].split(",")]
        meant = nearest(found["word"], choices)
    elif message.startswith(_UNKNOWN):
        words = message.removeprefix(_UNKNOWN).split()
        options = [word.partition("=")[0] for word in words if word.startswith("-")]
        meant = nearest(options[0], _options(parser)) if options else ""
    else:
        meant = ""
    return f"; did you mean {meant}?" if meant else ""


def _wrap_error(parser: argparse.ArgumentParser) -> None:
    stop = parser.error

    def error(message: str) -> NoReturn:
        stop(message + argument_hint(parser, message))

    parser.error = error  # type: ignore[method-assign]


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """Return the options of a parser and its subcommands: argparse reports both at the top."""
    return [
        option
        for each in _parsers(parser)
        for action in each._actions
        if action.help != argparse.SUPPRESS
        for option in action.option_strings
    ]


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _parsers(inner)
