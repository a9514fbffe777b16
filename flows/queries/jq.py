"""jq filters over flows, in a process of their own (`flows.queries.jq_child`): libjq is unsafe.

In this process a filter could stop every thread (the binding holds the interpreter's lock), read
files and the environment, or use up the memory. Each filter maps an array to an array; several are
applied one after the other. Example: `map(select(.method == "POST"))`, then `.[:10]`.
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
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore
from typing import IO, Any, Final

import orjson

from flows.queries.jq_names import function_hint
from providers.base.errors import CcproxyError

_MEBIBYTE: Final = 1024 * 1024
_SECONDS_PER_INPUT_BYTE: Final = 0.15e-6
_MEMORY_PER_INPUT_BYTE: Final = 12
_CHUNK_BYTES: Final = 1 << 16
_CHILD: Final = Path(__file__).with_name("jq_child.py")
JQ_SLOTS: Final = BoundedSemaphore(2)
"""Held by each filter process while it runs: two at once."""


@dataclass(frozen=True, slots=True)
class JqLimits:
    """Bounds of one call. Time and memory are for a small input; a large one gets more."""

    filters: int = 20
    filter_chars: int = 16 * 1024
    input_bytes: int = 128 * _MEBIBYTE
    output_bytes: int = 64 * _MEBIBYTE
    memory_bytes: int = 256 * _MEBIBYTE
    timeout_s: float = 3.0

    def timeout_for_s(self, size_bytes: int) -> float:
        """Return the seconds that an input of this size may take."""
        return self.timeout_s + size_bytes * _SECONDS_PER_INPUT_BYTE

    def memory_for_bytes(self, size_bytes: int) -> int:
        """Return the address space that an input of this size may take."""
        return self.memory_bytes + size_bytes * _MEMORY_PER_INPUT_BYTE


DEFAULT_LIMITS: Final = JqLimits()


class JqError(CcproxyError):
    """A filter that was refused, failed, or exceeded a limit; the message says which and why."""


class JqBusyError(JqError):
    """Too many filters run at this moment."""


def run_jq(
    filters: Sequence[str], items: Iterable[Any], limits: JqLimits = DEFAULT_LIMITS
) -> list[Any]:
    """Apply the filters to the array of `items`.

    `items` may be a generator: its values go into a file and are not kept. Without a filter they
    come back unchanged.

    Raises:
        JqError: a filter is refused, wrong, returns no array, or exceeds a limit.
    """
    filters = [text for text in filters if text.strip()]
    if not filters:
        return list(items)
    check_filters(filters, limits)
    with tempfile.TemporaryFile() as order:
        order.write(json.dumps(filters).encode() + b"\n")
        size_bytes = _write_items(order, items, limits.input_bytes)
        order.seek(0)
        output = _run(order, size_bytes, limits)
    return _result(filters, output)


def check_filters(filters: Sequence[str], limits: JqLimits = DEFAULT_LIMITS) -> None:
    """Refuse filters that are too long before a process is started.

    Raises:
        JqError: too many filters, or one is too long or holds a NUL.
    """
    if len(filters) > limits.filters:
        raise JqError(
            f"There are {len(filters)} jq filters; at most {limits.filters} can be chained."
        )
    for index, text in enumerate(filters):
        name = _name(filters, index)
        if len(text) > limits.filter_chars:
            raise JqError(
                f"{name} has {len(text)} characters; a filter may have at most"
                f" {limits.filter_chars}."
            )
        if "\0" in text:
            raise JqError(f"{name} contains a NUL character.")


def _name(filters: Sequence[str], index: int) -> str:
    if len(filters) == 1:
        return "The jq filter"
    return f"jq filter {index + 1} of {len(filters)}"


def _write_items(file: IO[bytes], items: Iterable[Any], max_bytes: int) -> int:
    """Append the array to the order; return its size in bytes."""
    start = file.tell()
    separator = b"["
    for item in items:
        file.write(separator + _as_json(item))
        separator = b","
        if file.tell() - start > max_bytes:
            raise JqError(
                f"These flows are over {max_bytes // _MEBIBYTE} MB as JSON: ask jq about fewer"
                " of them."
            )
    is_empty = separator == b"["
    file.write(b"[]" if is_empty else b"]")
    return file.tell() - start


def _as_json(item: Any) -> bytes:
    try:
        return orjson.dumps(item)
    except TypeError:
        # A lone surrogate, which stands for a byte that was not UTF-8.
        return json.dumps(item).encode()


def _run(order: IO[bytes], size_bytes: int, limits: JqLimits) -> bytes:
    """Start the process and return its complete output."""
    timeout_s = limits.timeout_for_s(size_bytes)
    process_limits = {
        "memory_bytes": limits.memory_for_bytes(size_bytes),
        "cpu_s": int(timeout_s) + 1,
        "max_output_chars": limits.output_bytes // 2,
    }
    if not JQ_SLOTS.acquire(timeout=limits.timeout_s):
        raise JqBusyError("Other jq filters are running; try again in a moment.")
    try:
        process = subprocess.Popen(  # noqa: S603  our own interpreter and script
            [sys.executable, "-I", str(_CHILD), json.dumps(process_limits)],
            stdin=order,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
        )
        with process:
            try:
                return _read(process, timeout_s, limits.output_bytes)
            finally:
                process.kill()
    finally:
        JQ_SLOTS.release()


def _read(process: subprocess.Popen[bytes], timeout_s: float, max_bytes: int) -> bytes:
    """Read the process's output until it ends.

    Raises:
        JqError: it takes too long, writes too much, or dies.
    """
    stdout = process.stdout
    if stdout is None:
        raise JqError("The jq process could not be started.")
    deadline = time.monotonic() + timeout_s
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            chunk = os.read(stdout.fileno(), _CHUNK_BYTES)
            if not chunk:
                break
            output += chunk
            if len(output) > max_bytes:
                raise JqError("The result of the jq filter is too large; select or shorten more.")
        else:
            raise JqError(f"The jq filter took longer than {timeout_s:.0f} s and was stopped.")
    # A process that exceeds its limits dies without a message.
    if process.wait() != 0:
        raise JqError("The jq filter needs too much memory or time; select or shorten more.")
    return bytes(output)


def _result(filters: Sequence[str], output: bytes) -> list[Any]:
    first_line, _, body = output.partition(b"\n")
    report = json.loads(first_line)
    if "error" in report:
        reason = report["error"] + function_hint(report["error"])
        raise JqError(f"{_name(filters, report['filter'])} failed: {reason}")
    try:
        results: list[Any] = orjson.loads(body)
    except ValueError:
        raise JqError("The result of the jq filter is nested too deeply.") from None
    return results
