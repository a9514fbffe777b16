"""jq filters over flows, run in a process of their own (`flows.queries.jq_child`) because libjq is
not to be trusted.

In this process a filter could stop every thread (the binding holds the interpreter's lock), read
files, tell the environment, or eat the memory. Each filter maps an array to an array; several are
applied one after the other.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import BoundedSemaphore
from typing import IO, Any, Final

import orjson

from providers.base.errors import CcproxyError

MAX_FILTER_CHARS: Final = 16 * 1024
MAX_FILTERS: Final = 20
MAX_INPUT_BYTES: Final = 128 * 1024 * 1024
MAX_OUTPUT_BYTES: Final = 64 * 1024 * 1024
MEMORY_BYTES: Final = 256 * 1024 * 1024
"""Address space of the process for a small input; a large one gets `_MEMORY_PER_INPUT_BYTE` more
for each byte.
"""

TIMEOUT_S: Final = 3.0
_SECONDS_PER_INPUT_BYTE: Final = 0.15e-6
_MEMORY_PER_INPUT_BYTE: Final = 12
_CHUNK_BYTES: Final = 1 << 16
_CHILD: Final = Path(__file__).with_name("jq_child.py")
_slots = BoundedSemaphore(2)


class JqError(CcproxyError):
    """A filter was refused, failed, or took too much; the message says which and why."""


class JqBusyError(JqError):
    """Too many filters run at this moment."""


def run_jq(filters: Sequence[str], items: Iterable[Any]) -> list[Any]:
    """What the filters make of the array of `items`, which may be a generator: it is written to a
    file, not kept.

    Without a filter the items come back as they are.

    Raises:
        JqError: a filter is refused, wrong, gives no array, or exceeds time, memory or output.
    """
    filters = [text for text in filters if text.strip()]
    if not filters:
        return list(items)
    check_filters(filters)
    with tempfile.TemporaryFile() as order:
        order.write(json.dumps(filters).encode() + b"\n")
        size_bytes = _write_items(order, items)
        order.seek(0)
        return _result(filters, _run(order, size_bytes))


def check_filters(filters: Sequence[str]) -> None:
    """Refuse what is too long before anything is started.

    Raises:
        JqError: too many filters, or one is too long or holds a NUL.
    """
    if len(filters) > MAX_FILTERS:
        raise JqError(f"There are {len(filters)} jq filters; at most {MAX_FILTERS} can be chained.")
    for place, text in enumerate(filters):
        if len(text) > MAX_FILTER_CHARS:
            raise JqError(
                f"{_name(filters, place)} has {len(text)} characters; a filter may have at most"
                f" {MAX_FILTER_CHARS}."
            )
        if "\0" in text:
            raise JqError(f"{_name(filters, place)} contains a NUL character.")


def _name(filters: Sequence[str], place: int) -> str:
    return "The jq filter" if len(filters) == 1 else f"jq filter {place + 1} of {len(filters)}"


def _write_items(file: IO[bytes], items: Iterable[Any]) -> int:
    """Append the array to the order; returns its size in bytes."""
    start, separator = file.tell(), b"["
    for item in items:
        file.write(separator + _dumped(item))
        separator = b","
        if file.tell() - start > MAX_INPUT_BYTES:
            raise JqError(
                f"These flows are over {MAX_INPUT_BYTES // 1024**2} MB as JSON: ask jq about fewer"
                " of them."
            )
    file.write(b"[]" if separator == b"[" else b"]")
    return file.tell() - start


def _dumped(item: Any) -> bytes:
    try:
        return orjson.dumps(item)
    except TypeError:  # a lone surrogate, which stands for a byte that was no UTF-8
        return json.dumps(item).encode()


def _run(order: IO[bytes], size_bytes: int) -> bytes:
    """The process's whole output."""
    timeout_s = TIMEOUT_S + size_bytes * _SECONDS_PER_INPUT_BYTE
    limits = {
        "memory_bytes": MEMORY_BYTES + size_bytes * _MEMORY_PER_INPUT_BYTE,
        "cpu_s": int(timeout_s) + 1,
        "max_output_chars": MAX_OUTPUT_BYTES // 2,
    }
    if not _slots.acquire(timeout=TIMEOUT_S):
        raise JqBusyError("Other jq filters are running; try again in a moment.")
    try:
        process = subprocess.Popen(  # noqa: S603  our own interpreter and script
            [sys.executable, "-I", str(_CHILD), json.dumps(limits)],
            stdin=order,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
        )
        with process:
            try:
                return _read(process, time.monotonic() + timeout_s, timeout_s)
            finally:
                process.kill()
    finally:
        _slots.release()


def _read(process: subprocess.Popen[bytes], deadline: float, timeout_s: float) -> bytes:
    """Everything the process says until it ends.

    Raises:
        JqError: it takes too long, says too much, or dies.
    """
    output = bytearray()
    stdout = process.stdout
    if stdout is None:
        raise JqError("The jq process could not be started.")
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            chunk = os.read(stdout.fileno(), _CHUNK_BYTES)
            if not chunk:
                if process.wait() == 0:
                    return bytes(output)
                raise JqError(
                    "The jq filter needs too much memory or time; select or shorten more."
                )
            output += chunk
            if len(output) > MAX_OUTPUT_BYTES:
                raise JqError("The result of the jq filter is too large; select or shorten more.")
    raise JqError(f"The jq filter took longer than {timeout_s:.0f} s and was stopped.")


def _result(filters: Sequence[str], output: bytes) -> list[Any]:
    head, _, body = output.partition(b"\n")
    told = json.loads(head)
    if "error" in told:
        raise JqError(f"{_name(filters, told['filter'])} failed: {told['error']}")
    try:
        found: list[Any] = orjson.loads(body)
    except ValueError:
        raise JqError("The result of the jq filter is nested too deeply.") from None
    return found
