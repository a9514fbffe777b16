"""`python -m ccproxy_site.mains.nursery_main`: imports what all processes need, and forks them.

It has one thread, no event loop, no settings and no secrets: what it forks is as good as a process
that has just started. Proxies are forked before it imports Django for the recorder and the console.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

from ccproxy_site.mains.child_main import begin, end_process, importing
from ccproxy_site.supervise.control import Control, Message
from ccproxy_site.supervise.spawn import control_arguments, signals_held
from providers.wire.facts.table import built_in

COMMON: Final[tuple[str, ...]] = (
    "asyncio",
    "ssl",
    "ccproxy_site.process.bridge",
    "ccproxy_site.process.logging",
    "ccproxy_site.process.recording_log",
    "flows.handover.record_codec",
    "flows.handover.ring",
    "flows.reading.preview",
    "flows.reading.search_text",
    "flows.reading.sse_events",
    "flows.redaction.redactor",
    "flows.telemetry.trace_context",
    "interceptor.config.files.server",
    "interceptor.config.snapshot.build",
    "interceptor.config.snapshot.store",
    "interceptor.hooks.extract_session_id",
    "interceptor.hooks.inject_auth",
    "interceptor.operate.freed_memory",
    "interceptor.operate.stock",
    "interceptor.recorder.remote_grants",
    "interceptor.recorder.remote_notes",
    "interceptor.transform.carried_reasoning",
    "providers.auth.refresh_settings",
    "providers.auth.resolve",
    "providers.fingerprint_profiles",
    "providers.perplexity.threads",
    "providers.perplexity.uploads",
    "providers.wire.detect",
    "providers.wire.fitting.host_fields",
    "providers.wire.fitting.model_fit",
    "providers.wire.google_generate.envelope",
    "providers.wire.translate",
)
"""Modules that recorder and proxy import in any case, with all that they import."""
OF_DJANGO: Final[tuple[str, ...]] = (
    "django.contrib.auth.management",
    "django.contrib.auth.validators",
    "django.core.mail",
    "django.core.management",
    "django.core.serializers.json",
    "django.db.backends.sqlite3.base",
    "django.forms",
    "django.template.backends.django",
    "django.utils.translation.trans_real",
    "django.views.generic",
    "interceptor.config.files.load_settings",
)
"""Modules without settings that recorder and console import in any case; no proxy has them."""
_ARGUMENT_FIELDS: Final = slice(45, 47)
"""Fields `arg_start` and `arg_end` of proc_pid_stat(5), behind the name in brackets."""


def main(
    arguments: Sequence[str] | None = None,
    common: Sequence[str] = COMMON,
    of_django: Sequence[str] = OF_DJANGO,
) -> int:
    """Fork what the supervisor asks for, until it is gone; a fork ends in here."""
    parser = argparse.ArgumentParser(prog="ccproxy_site.mains.nursery_main", description=__doc__)
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--room", help="space for the command lines of what it forks")
    control = begin(parser.parse_args(arguments).control)
    # A service manager may signal all processes: it ends with the supervisor, behind the others.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with importing("nursery"):
        for name in common:
            import_module(name)
        # Compiled once: it takes as long as a third of the modules that a proxy alone imports.
        built_in()
    if life := serve(control, of_django):
        end_process(run(life))
    return 0


class Life(NamedTuple):
    """Main and arguments of a fork."""

    module: str
    arguments: list[str]


def serve(control: Control, of_django: Sequence[str]) -> Life | None:
    """Fork until the supervisor is gone: None. In a fork, return what it is to be."""
    bell, ringer = socket.socketpair()
    for end in (bell, ringer):
        end.setblocking(False)
    signal.set_wakeup_fd(ringer.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    has_django = False
    with bell, ringer:
        while True:
            readable, _, _ = select.select([control.socket, bell], [], [])
            if bell in readable:
                bell.recv(4096)
                report_ended(control)
            if control.socket in readable:
                message = control.hear()
                if message is None:
                    return None
                if message.words["django"] and not has_django:
                    import_for_django(of_django)
                    has_django = True
                if has_django and not message.words["django"]:
                    refuse(control, message)
                elif life := fork(control, message):
                    control.close()
                    return life


def import_for_django(names: Sequence[str]) -> None:
    """Import what recorder and console share; each would spend a quarter of a second on it."""
    with importing("nursery-django"):
        for name in names:
            import_module(name)


def refuse(control: Control, message: Message) -> None:
    """Leave a fork to the supervisor, which starts a program instead."""
    for descriptor in message.descriptors:
        os.close(descriptor)
    control.say(refused=message.words["fork"])


def report_ended(control: Control) -> None:
    """Tell the supervisor the exit codes of what has ended."""
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            control.say(ended=pid, code=os.waitstatus_to_exitcode(status))


def fork(control: Control, message: Message) -> Life | None:
    """Fork a process; return None here, and there what it is to be."""
    (descriptor,) = message.descriptors
    with signals_held():
        pid = os.fork()
        if not pid:
            # As in a process that has just been started, also for programs that it starts.
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if pid:
        os.close(descriptor)
        control.say(forked=pid)
        return None
    arguments = control_arguments(descriptor, message.words["arguments"])
    return Life(message.words["fork"], arguments)


def run(life: Life) -> int:
    """Be a process of a kind, to its end; return the exit code."""
    module = import_module(life.module)
    sys.argv[:] = [str(module.__file__), *life.arguments]
    show_as([sys.executable, "-P", "-m", life.module, *life.arguments])
    return int(module.main(life.arguments))


def show_as(words: Sequence[str]) -> None:
    """Have the system show a command line: in `ps`, and for those who look for a process.

    There is no call for it. The text stands where the system put it when the nursery started, and
    is as long as that at the most.
    """
    # Where it cannot be written, a process is called like the nursery.
    with suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        begin, end = map(int, fields[_ARGUMENT_FIELDS])
        # The last byte stays 0: it ends the text.
        room = end - begin - 1
        text = b"\0".join(os.fsencode(word) for word in words)[:room]
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            memory.seek(begin)
            memory.write(text.ljust(room, b"\0"))


if __name__ == "__main__":
    raise SystemExit(main())
