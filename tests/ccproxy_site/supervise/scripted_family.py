"""A supervisor of scripted children, as a program: `python -m … WORKERS [NURSERY]`.

Every child appends what it hears, one JSON object a line, to `FOLDER/ROLE.log`, and does what
`FOLDER/ROLE.script` says: `refuse SENTENCE`, `refuse-checked SENTENCE` (a recorder that has said
that all is checked), `die`, `wait` (until the script is gone) or nothing.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Sequence
from pathlib import Path

from ccproxy_site.mains.child_main import begin
from ccproxy_site.supervise.family import Family, Mains, Options

NAME = "tests.ccproxy_site.supervise"


def child(role: str, arguments: Sequence[str]) -> int:
    """Be a child: say what its role says, and write down what it hears."""
    assert sys.argv[1:] == [*arguments]
    descriptor = int(arguments[arguments.index("--control") + 1])
    control = begin(descriptor)
    # A hang-up, which needs no asking for: the supervisor was killed.
    hung_up = select.poll()
    hung_up.register(descriptor, 0)
    folder = Path(os.environ["SCRIPTED_FOLDER"])
    note(folder, role, {"pid": os.getpid(), "parent": os.getppid(), "arguments": arguments})
    script = folder / f"{role}.script"
    words = script.read_text().split(" ", 1) if script.exists() else [""]
    if words[0] == "refuse":
        control.say(refused=words[1])
        return 1
    if words[0] == "die":
        return 7
    while words[0] == "wait" and script.exists():
        if hung_up.poll(10):
            return 1
    if role == "recorder":
        control.say(checked={"host": "127.0.0.1", "port": int(os.environ["SCRIPTED_PORT"])})
        if words[0] == "refuse-checked":
            control.say(refused=words[1])
            return 1
        control.say(ready=True)
    while (message := control.hear()) is not None:
        heard = message.words
        note(folder, role, {**heard, "descriptors": len(message.descriptors)})
        if "serve" in heard:
            control.say(ready=True)
        if "stop" in heard:
            break
    return 0


def note(folder: Path, role: str, words: dict[str, object]) -> None:
    """Append a line to the child's log."""
    with (folder / f"{role}.log").open("a") as log:
        log.write(json.dumps(words) + "\n")


if __name__ == "__main__":
    mains = Mains(
        f"{NAME}.scripted_recorder",
        f"{NAME}.scripted_proxy",
        f"{NAME}.scripted_console",
        f"{NAME}.{sys.argv[2]}" if sys.argv[2:] else "",
    )
    raise SystemExit(Family(Options(workers=int(sys.argv[1])), mains).run())
