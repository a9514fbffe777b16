"""The credential sources: each turns its configuration into the raw text of a token, within a time
limit.

They raise `SourceFailed` with the half sentence that says what went wrong; it never quotes the
secret, a command or what a command printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from providers.auth.base import CommandAuth, FileAuth, KeyAuth
from providers.base.errors import ConfigError
from providers.base.header_key import BadKey, decode_key
from providers.base.keyring import Keyring

MAX_OUTPUT_BYTES = 64 * 1024
_REAP_TIMEOUT_S = 1.0
_OUR_VARIABLES = frozenset({"DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"})
_OUR_PACKAGES = str(Path(__file__).resolve().parents[2])


class SourceFailed(Exception):
    """A source yielded no token; the text completes "the command of provider x ..." and names the
    fix.

    `is_passing`: it may yield one in a moment, without any change to the configuration.
    `is_missing`: the user has set none yet.
    """

    def __init__(self, message: str, *, is_passing: bool = False, is_missing: bool = False) -> None:
        super().__init__(message)
        self.is_passing = is_passing
        self.is_missing = is_missing


@dataclass(frozen=True, slots=True)
class SourceContext:
    """Inputs of a source besides its own configuration."""

    open_keyring: Callable[[], Keyring]
    timeout_s: float
    provider: str = "NAME"


async def read_command(auth: CommandAuth, context: SourceContext) -> str:
    """Run a shell command in a process group of its own and return what it printed on stdout."""
    try:
        process = await asyncio.create_subprocess_shell(
            auth.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            env=command_environment(os.environ),
        )
    except (OSError, ValueError) as exc:
        raise SourceFailed(
            f"could not be started ({_reason(exc)}); check it in the provider's settings"
        ) from None
    try:
        async with asyncio.timeout(context.timeout_s):
            output = await _read_bounded(process)
            status = await process.wait()
    except TimeoutError:
        raise SourceFailed(
            f"did not finish within {context.timeout_s:g} s; make it faster or raise"
            " auth.command_timeout_seconds"
        ) from None
    finally:
        await _kill_group(process)
    if status != 0:
        raise SourceFailed(f"exited with status {status}; run it in a shell to see why")
    return output


def command_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a user's command: the user's own, without what is ours.

    `{"HOME": "/h", "CCPROXY_PORT": "1", "REDIS_URL": "redis://:secret@h"}` → `{"HOME": "/h"}`
    """
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith("CCPROXY_") and name not in _OUR_VARIABLES
    }
    # Our processes find their packages by it; the command's own Python must not find them.
    paths = [path for path in kept.pop("PYTHONPATH", "").split(os.pathsep) if path != _OUR_PACKAGES]
    if any(paths):
        kept["PYTHONPATH"] = os.pathsep.join(paths)
    return kept


async def _read_bounded(process: asyncio.subprocess.Process) -> str:
    if process.stdout is None:
        return ""
    output = b""
    while chunk := await process.stdout.read(MAX_OUTPUT_BYTES):
        output += chunk
        if len(output) > MAX_OUTPUT_BYTES:
            raise SourceFailed("printed more than 64 KB; it has to print the token alone")
    return _text(output)


async def _kill_group(process: asyncio.subprocess.Process) -> None:
    """End the command with everything it started, and reap it; a command that has ended is left
    alone.
    """
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # A grandchild in a session of its own may keep the pipe open; the command itself is reaped all
    # the same.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _REAP_TIMEOUT_S)


async def read_file(auth: FileAuth, context: SourceContext) -> str:
    """Return the content of a file, `~` expanded."""
    try:
        async with asyncio.timeout(context.timeout_s):
            content = await asyncio.to_thread(_read_file, auth.file)
    except TimeoutError:
        raise SourceFailed(
            f"could not be read within {context.timeout_s:g} s; check where it is mounted"
        ) from None
    except (OSError, ValueError, RuntimeError) as exc:
        raise SourceFailed(
            f"cannot be read ({_reason(exc)}); check the path and its permissions",
            is_missing=isinstance(exc, FileNotFoundError),
        ) from None
    if len(content) > MAX_OUTPUT_BYTES:
        raise SourceFailed("is larger than 64 KB; it has to hold the token alone")
    return _text(content)


def _read_file(path: str) -> bytes:
    # Without O_NONBLOCK a named pipe would hold this thread until somebody writes.
    descriptor = os.open(Path(path).expanduser(), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        return file.read(MAX_OUTPUT_BYTES + 1)


async def read_key(auth: KeyAuth, context: SourceContext) -> str:
    """Decrypt a stored key."""
    if not auth.ciphertext:
        raise SourceFailed(
            f"was not stored yet; run: ccproxy setkey {context.provider} (or “Set key” under"
            " Credentials in the console)",
            is_missing=True,
        )
    try:
        return await asyncio.to_thread(lambda: context.open_keyring().decrypt(auth.ciphertext))
    except ConfigError as exc:
        raise SourceFailed(f"cannot be decrypted: {exc}") from None


def _text(data: bytes) -> str:
    try:
        return decode_key(data)
    except BadKey as exc:
        raise SourceFailed(str(exc)) from None


def _reason(exc: BaseException) -> str:
    return (exc.strerror if isinstance(exc, OSError) else None) or type(exc).__name__


Source = Callable[[Any, SourceContext], Awaitable[str]]

SOURCES: dict[str, Source] = {
    "command": read_command,
    "file": read_file,
    "key": read_key,
}
"""Source kind, as in the configuration's `type`, to the function that reads it."""
