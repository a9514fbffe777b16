"""A child of the supervisor: its signals, and what it hears and says. No Django."""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from ccproxy_site.mains.generated_code import kept_code
from ccproxy_site.supervise.control import Control, Message
from interceptor.operate.freed_memory import use_one_arena
from providers.wire.core.no_collection import without_collection

_TERMINAL = (signal.SIGINT, signal.SIGHUP)


def begin(descriptor: int) -> Control:
    """Make this process a child: return its control, which other threads must not use.

    Ctrl-C and a closed terminal reach the whole group; the supervisor says what follows from them.
    No core dump holds the secrets of this process.
    """
    use_one_arena()
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in _TERMINAL:
        # A handler, because programs that this process starts would inherit SIG_IGN.
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_TERMINAL, signal.SIGTERM})
    os.set_inheritable(descriptor, False)
    return Control(socket.socket(fileno=descriptor))


@contextmanager
def importing(kind: str) -> Iterator[None]:
    """Import what lives as long as the process without looking for garbage in it.

    Looking takes a tenth of the time of importing, and later it stopped streams for 0.15 s.

    Args:
        kind: kind of the process, whose generated code is kept.
    """
    with without_collection(), kept_code(kind):
        try:
            yield
        finally:
            gc.freeze()


def end_process(code: int) -> NoReturn:
    """End this process once its threads have, and what is registered for its end has run.

    The interpreter would then take all modules apart: 0.2 to 0.3 s of CPU time in each process,
    more than the rest of a stop. `multiprocessing` ends its children like this too.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter itself calls
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        # Whoever read it may be gone.
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def follow(control: Control, on_message: Callable[[Message | None], None]) -> None:
    """Call `on_message` on the running loop with everything heard; at last once with None.

    SIGTERM is heard as a message to stop.
    """
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: on_message(Message({"stop": True})))

    def readable() -> None:
        message = control.hear()
        if message is None:
            loop.remove_reader(control.socket)
        on_message(message)

    loop.add_reader(control.socket, readable)
