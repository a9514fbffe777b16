"""Choice of the earlier call that a prompt continues, among those of its scope. Pure.

A call's predecessor is the one with which its prompt has most in common, the common start first:

- T S a B c      after  T S a            → continued (capitals are the model's own messages)
- T S a          after  T S a            → repeated, such as a retry
- T S a' B c     after  T S a            → broken at a: B is the response to the earlier call
- T S s c        after  T S a B c D      → compacted, if s holds the response D
- T S2 x         after  T S a B c        → first of a thread of its own, such as a sub-agent
- T S c          after  T S a, if it names the response to it as the one that it goes on from
                                         → continued: the provider puts a B before c

Common tools, system prompts and reminders prove nothing: sub-agents and strangers share them. A
prompt follows another one only if it starts with all of it, if both hold the same response of a
model, or if it holds the other one's response.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from flows.lineage.prompt_call import PromptCall

Kinship = Literal["continued", "repeated", "broken", "compacted"]
_ALIKE_SHARE: Final = 0.8
_ALIKE_CHARS: Final = 40
_FEWEST_RUNS: Final = 2
_SUMMARY_PARTS: Final = 8
"""After a summary, a conversation has few parts again."""


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The earlier call, and how the later one goes on from it."""

    call: PromptCall
    kinship: Kinship
    is_other_model: bool = False


@dataclass(frozen=True, slots=True)
class _Candidate:
    call: PromptCall
    kinship: Kinship
    shared_bytes: int

    @property
    def rank(self) -> tuple[int, bool, float]:
        """Order of preference: what both have, then a prompt that is kept, then the newest."""
        is_kept = self.kinship in ("continued", "repeated")
        return self.shared_bytes, is_kept, self.call.at


def predecessor(now: PromptCall, earlier: Sequence[PromptCall], body: bytes) -> Predecessor | None:
    """Return the predecessor of a call among earlier ones of its scope; None for a new thread.

    Calls of the same model come first: other models have caches of their own. Calls that failed
    count only if there is no other, because nothing of them was cached. `body` is the request's.
    """
    sizes = now.message_sizes()
    for is_cached in (True, False):
        usable = [call for call in earlier if call.is_cached is is_cached]
        same_model = _best(now, [call for call in usable if call.model == now.model], sizes, body)
        if same_model is not None:
            return Predecessor(same_model.call, same_model.kinship)
        # The same question to several models is a comparison of theirs, not a switch.
        is_opening = not now.replies
        others = [call for call in usable if call.model != now.model]
        if is_opening:
            others = [call for call in others if call.is_cut or call.replies]
        other = _best(now, others, sizes, body)
        if other is not None:
            return Predecessor(other.call, other.kinship, is_other_model=True)
    return None


def _best(
    now: PromptCall, calls: Iterable[PromptCall], sizes: dict[bytes, int], body: bytes
) -> _Candidate | None:
    best: _Candidate | None = None
    for call in calls:
        found = _candidate(now, call, sizes, body)
        if found is not None and (best is None or found.rank > best.rank):
            best = found
    return best


def _candidate(
    now: PromptCall, call: PromptCall, sizes: dict[bytes, int], body: bytes
) -> _Candidate | None:
    if now.goes_on_from:
        # Such a request holds its newest messages alone, so that nothing else can be compared.
        is_named = now.goes_on_from == call.response_id
        return _Candidate(call, "continued", 0) if is_named else None
    if now.digests.startswith(call.digests):
        kinship: Kinship = "repeated" if call.count == now.count else "continued"
        return _Candidate(call, kinship, sum(call.sizes[call.head :]))
    if not now.replies and not call.replies and not call.is_cut:
        # The usual case where a session asks many single questions: nothing more can prove it.
        return None
    has_same_reply = not now.replies.isdisjoint(call.replies)
    if not has_same_reply and _is_summary(now, call, body):
        return _Candidate(call, "compacted", 0)
    follows = bool(now.replies) and _holds_response(call, body)
    if not has_same_reply and not follows and not _is_reworded(now, call):
        return None
    shared = 0
    for digest, size in call.message_sizes().items():
        if digest in sizes:
            shared += size
    return _Candidate(call, "broken", shared)


def _holds_response(call: PromptCall, body: bytes) -> bool:
    """Return whether a request holds a part of the response to an earlier one."""
    marks = (*call.response_ids, *call.response_runs)
    return any(mark.encode() in body for mark in marks)


def _is_summary(now: PromptCall, call: PromptCall, body: bytes) -> bool:
    """Return whether a short prompt holds most of the response of a longer conversation.

    A sub-agent may quote an earlier response too, but not from all over it.
    """
    if now.replies or not call.replies or now.count - now.head > _SUMMARY_PARTS:
        return False
    same_head = call.head == now.head and now.common_parts(call) >= now.head
    if not same_head or len(call.response_runs) < _FEWEST_RUNS:
        return False
    held = [run for run in call.response_runs if run.encode() in body]
    return 2 * len(held) >= len(call.response_runs)


def _is_reworded(now: PromptCall, call: PromptCall) -> bool:
    """Return whether both consist of one first message that differs a little, such as by a date.

    The system prompts have to be equal. The earlier call was cut: else its response would follow.
    """
    is_opening = call.is_cut and not call.replies and not now.replies
    same_head = call.head == now.head and now.common_parts(call) >= now.head
    if not is_opening or not same_head:
        return False
    return alike(now.first_text, call.first_text)


def alike(one: str, other: str) -> bool:
    """Return whether two texts have most of their characters in common, at start and end.

    Example: "Today is Monday. Mend the parser, please" and "Today is Friday. Mend the parser,
    please" → True.
    """
    shorter = min(len(one), len(other))
    if shorter < _ALIKE_CHARS:
        return one == other
    start = common_start(one, other)
    end = common_start(one[:start:-1], other[:start:-1])
    return start + end >= _ALIKE_SHARE * max(len(one), len(other))


def common_start(one: str, other: str) -> int:
    """Count the characters at the start that both texts have."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count
