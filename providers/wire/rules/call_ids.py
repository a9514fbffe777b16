"""Ids of tool calls that are unique in a request, and results under the id of their own call.

Anthropic refuses an id that comes twice. Servers of open models count from 0 in every response
(`list_dir:0`), histories cut and joined by agents repeat ids, and old clients send none.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Final, NamedTuple

from providers.base.names import GOOGLE_GENERATE, OPENAI_CHAT, WireFormatName
from providers.wire.core.ir import ToolCall, ToolResult, Turn
from providers.wire.rules.replay import END_MARK, STORE, read_id
from providers.wire.rules.toolnames import MAX_ID_CHARS, safe_id

# "string_above_max_length: expected a string with maximum length 40":
# https://github.com/vercel/ai/issues/8132
_MAX_CHARS: Final = {OPENAI_CHAT: 40}
# Nothing but letters with one short number at the end: "call_0", "functions.f:12", "3".
_COUNTED: Final = re.compile(r"\D*\d{0,6}")


class _Open(NamedTuple):
    """A call that waits for its result, with the id that the client gave it."""

    client_id: str
    call: ToolCall


_Fits = Callable[[_Open, ToolResult], bool]


class UniqueIds:
    """Ids for one request to another vendor. `limit` is the model's, in characters.

    An id depends on the turns before it alone. So it stays the same when the conversation grows,
    and prompt caches stay valid.

        calls "f:0", "f:0", "" → "f_0_d4ccb6b08d3a7f7a", "f_0_d4ccb6b08d3a7f7a_2", "call_3"
    """

    def __init__(self, dst: WireFormatName, limit: int | None = None) -> None:
        self._limit = limit or _MAX_CHARS.get(dst, MAX_ID_CHARS)
        # Google takes any id and returns its own signatures in the field beside it.
        self._any_text = dst == GOOGLE_GENERATE
        self._used: set[str] = set()
        self._store_is_empty = STORE.is_empty

    def assign(self, turns: list[Turn]) -> None:
        """Give all calls their id, and all results the id of their call, in place."""
        waiting: list[_Open] = []
        results: list[ToolResult] = []
        before = "user"
        for turn in turns:
            if turn.role == "assistant" != before:
                self._answer(waiting, results)
                waiting, results = [], []
            before = turn.role
            for block in turn.blocks:
                kind = type(block)
                if kind is ToolCall:
                    waiting.append(self._named(block))  # type: ignore[arg-type]
                elif kind is ToolResult:
                    results.append(block)  # type: ignore[arg-type]
        self._answer(waiting, results)

    def _named(self, call: ToolCall) -> _Open:
        client_id = plain = call.id
        signature: str | None = None
        # All marks begin with two underscores; nearly no id has any.
        if "__" in client_id or not self._store_is_empty:
            plain, signature = read_id(client_id)
            plain = plain.partition(END_MARK)[0]
        # Only Google's own signatures travel in ids.
        call.signature = signature if self._any_text else None
        wanted = self._portable(plain) or f"call_{len(self._used) + 1}"
        if wanted in self._used:
            wanted = self._unused(wanted)
        self._used.add(wanted)
        call.id = wanted
        return _Open(client_id, call)

    def _portable(self, plain: str) -> str:
        if self._any_text or not plain:
            return plain
        return safe_id(plain, self._limit)

    def _unused(self, wanted: str) -> str:
        """Return a repeated id with the first number behind it that makes it unique."""
        found, count = wanted, 1
        while found in self._used:
            count += 1
            suffix = f"_{count}"
            found = wanted if self._any_text else wanted[: self._limit - len(suffix)]
            found += suffix
        return found

    def _answer(self, waiting: list[_Open], results: list[ToolResult]) -> None:
        """Pair the results after one assistant turn with its calls.

        By id first; then by the function's name, as Google does; then by order, for results or
        calls without an id. Equal ids are paired in order.
        """
        if not results:
            return
        # Most turns have one call, and its result.
        if len(waiting) == len(results) == 1:
            client_id, call = waiting[0]
            if client_id and client_id == results[0].call_id:
                results[0].call_id = call.id
                return
        rest = [result for result in results if not _claimed(waiting, result, _same_id)]
        rest = [result for result in rest if not _claimed(waiting, result, _same_name)]
        for result in rest:
            if not _claimed(waiting, result, _no_id):
                plain = read_id(result.call_id)[0].partition(END_MARK)[0]
                result.call_id = self._portable(plain)


def _same_id(open_call: _Open, result: ToolResult) -> bool:
    return bool(result.call_id) and open_call.client_id == result.call_id


def _same_name(open_call: _Open, result: ToolResult) -> bool:
    return open_call.call.name == result.name


def _no_id(open_call: _Open, result: ToolResult) -> bool:
    return not open_call.client_id or not result.call_id


def _claimed(waiting: list[_Open], result: ToolResult, fits: _Fits) -> bool:
    """Give the result the id of the first waiting call that fits, and remove that call."""
    for index, open_call in enumerate(waiting):
        if fits(open_call, result):
            result.call_id = open_call.call.id
            del waiting[index]
            return True
    return False


def own_id(call: ToolCall, seen: set[str]) -> str:
    """Return the id of a provider's call for the client; adds it to `seen`.

    A server that counts its calls gives the same ids in every response. They get a random end, as
    they would be in the client's history twice, and lose it on the way back to the provider.

        "list_dir:0" → "list_dir:0__n_6f2b9c01d2e3"
    """
    # A tool's own name may have digits.
    counted = _COUNTED.fullmatch(call.id.replace(call.name, ""))
    found = call.id
    if counted or found in seen:
        found = f"{found or 'call'}{END_MARK}{secrets.token_hex(6)}"
    seen.add(found)
    return found
