"""Commands in hints, with their full path where a shell does not find `ccproxy` by its name."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import TextIO

from ccproxy_site.command_table import COMMANDS

# Longest first, so that "loginprovider" is not taken for "login".
_NAMES = "|".join(sorted(COMMANDS, key=len, reverse=True))
_HINT = re.compile(rf"(?<![\w/.-])ccproxy (?=(?:--config PATH )?(?:{_NAMES})\b)")


@cache
def own_path() -> str:
    """Return the path to call this `ccproxy` by, quoted; "" where its name is enough."""
    if shutil.which("ccproxy"):
        return ""
    # The console script stands beside the interpreter of its environment.
    script = Path(sys.executable).with_name("ccproxy")
    return shlex.quote(str(script)) if script.exists() else ""


def hinted(text: str) -> str:
    """Return a text whose commands can be pasted.

    `start it with: ccproxy start` → `start it with: /opt/venv/bin/ccproxy start`
    """
    path = own_path()
    return _HINT.sub(lambda _: f"{path} ", text) if path else text


class HintedStream:
    """A terminal's stream that writes commands so that they can be pasted."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text with its commands completed."""
        return self._stream.write(hinted(text))

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def complete_hints() -> None:
    """Have the terminals of this process show commands that can be pasted.

    What programs read stays as it is: files and pipes get the short name.
    """
    if not own_path():
        return
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream.isatty():
            setattr(sys, name, HintedStream(stream))
