"""Scopes in which model calls are compared, and the recent calls of each. Pure.

Calls of different providers, clients or runs are strangers: they are never compared. Without a
session id all calls of one client to one provider make a scope, and only a common prompt links
them.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from flows.lineage.prompt_call import PromptCall
from flows.models import Flow

SCOPE_CALLS: Final = 64
"""Newest calls of a scope that a new one is compared with."""
MAX_BYTES: Final = 16 * 1024 * 1024
MAX_SCOPES: Final = 1000


class Scope(NamedTuple):
    """Facts that calls must have in common to be compared."""

    session: str
    provider: str
    client: str
    run: str
    format: str


def scope_of(flow: Flow) -> Scope:
    """Return the scope of a call.

    Example: "claude-cli/2.1.330 (external, cli)" and "claude-cli/2.1.331" are one client.
    """
    client = flow.user_agent.partition("/")[0].strip().lower()
    provider = flow.provider or flow.host
    return Scope(flow.session_id, provider, client, flow.run_label, flow.provider_format)


@dataclass(slots=True)
class RecentCalls:
    """The newest calls of each scope, within a bound of memory. Not thread-safe."""

    max_bytes: int = MAX_BYTES
    max_scopes: int = MAX_SCOPES
    _calls: OrderedDict[Scope, list[PromptCall]] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def of(self, scope: Scope) -> list[PromptCall] | None:
        """Return the calls of a scope, oldest first; None if they have to be loaded."""
        calls = self._calls.get(scope)
        if calls is not None:
            self._calls.move_to_end(scope)
        return calls

    def put(self, scope: Scope, calls: list[PromptCall]) -> None:
        """Keep the calls of a scope; forget the scopes that were not asked for longest."""
        self._drop(scope)
        kept = calls[-SCOPE_CALLS:]
        for call in kept:
            _shrink(call)
        self._calls[scope] = kept
        self._bytes += sum(call.held_bytes for call in kept)
        self._forget_oldest()

    def add(self, scope: Scope, call: PromptCall) -> None:
        """Add the newest call of a scope, or replace it by a later state."""
        calls = self._calls.setdefault(scope, [])
        self._calls.move_to_end(scope)
        same = next((each for each in calls if each.id == call.id), None)
        if same is not None:
            calls.remove(same)
            self._bytes -= same.held_bytes
        _shrink(call)
        insort(calls, call, key=lambda each: each.at)
        self._bytes += call.held_bytes
        if len(calls) > SCOPE_CALLS:
            self._bytes -= calls.pop(0).held_bytes
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        while len(self._calls) > 1 and self._is_full():
            self._drop(next(iter(self._calls)))

    def _is_full(self) -> bool:
        return self._bytes > self.max_bytes or len(self._calls) > self.max_scopes

    def _drop(self, scope: Scope) -> None:
        calls = self._calls.pop(scope, [])
        self._bytes -= sum(call.held_bytes for call in calls)


def _shrink(call: PromptCall) -> None:
    """Forget the newest message: only a call that was cut is found by it, and it is most of a small
    call's memory.
    """
    if not call.is_cut:
        call.last_text = ""
