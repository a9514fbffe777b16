"""`python -I -S client.py FOLDER SCRIPT WORD...`: a script as a fork of the template, for shells.

It has this process's arguments, folder, variables and standard files; this process waits, passes
signals on, and ends as it does. It imports as little as it can: it takes a tenth of the CPU time of a
command that imports Django.
"""

from __future__ import annotations

import _socket
import json
import os
import select
import signal
import sys
from typing import Any

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LENGTH_BYTES = 4


def main(folder: str, *command: str) -> int:
    """Run a script with arguments; return the exit code."""
    # The script may run before this process knows whom to pass a signal on to.
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    template = _socket.socket(_socket.AF_UNIX)
    # A path of any length (unix(7)).
    place = os.open(folder, os.O_PATH)
    template.connect(f"/proc/self/fd/{place}/template")
    os.close(place)
    _hear(template)
    words = {"command": command, "environ": dict(os.environ), "cwd": os.getcwd()}
    pid = _ask(template, (0, 1, 2), **words, new_session=False)["pid"]
    pidfd = os.pidfd_open(pid)
    for number in PASSED_ON:
        signal.signal(number, lambda number, _: signal.pidfd_send_signal(pidfd, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    select.select([pidfd], [], [])
    code: int = _ask(template, wait=pid)["code"]
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _ask(template: _socket.socket, descriptors: tuple[int, ...] = (), **words: Any) -> Any:
    """Return what the template says to these words (ccproxy_site.supervise.control)."""
    text = json.dumps(words).encode()
    head = len(text).to_bytes(LENGTH_BYTES)
    if descriptors:
        numbers = b"".join(one.to_bytes(4, sys.byteorder) for one in descriptors)
        template.sendmsg([head], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)])
    else:
        template.sendall(head)
    template.sendall(text)
    return _hear(template)


def _hear(template: _socket.socket) -> Any:
    size_bytes = int.from_bytes(template.recv(LENGTH_BYTES, _socket.MSG_WAITALL))
    return json.loads(template.recv(size_bytes, _socket.MSG_WAITALL))


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
