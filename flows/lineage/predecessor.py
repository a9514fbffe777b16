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
model, or if it holds the other one's response. A client may put words into the model's mouth, such
as examples, at the start of each conversation. So responses that a thread began with prove
something only beside the earlier call's own question:

- T S e E b      after  T S e E a        → first of a thread of its own (e E is an example)
- T S e E' a     after  T S e E a        → broken at E if both hold it, and the same question
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from flows.lineage.prompt_call import PromptCall

type _Sizes = Callable[[], dict[bytes, int]]
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
    def is_kept(self) -> bool:
        """The later prompt begins with all of the earlier one."""
        return self.kinship in ("continued", "repeated")

    @property
    def repeats_answered(self) -> bool:
        """The later prompt is the earlier one, which has a complete response."""
        return self.kinship == "repeated" and self.call.is_cached and not self.call.is_cut

    @property
    def rank(self) -> tuple[int, bool, float]:
        """Order of preference: what both have, then a prompt that is kept, then the newest."""
        return self.shared_bytes, self.is_kept, self.call.at


def predecessor(
    now: PromptCall, earlier: Sequence[PromptCall], body: bytes, *, is_guessed: bool = False
) -> Predecessor | None:
    """Return the predecessor of a call among earlier ones of its scope; None for a new thread.

    Calls of the same model come first: other models have caches of their own. Calls that failed
    count only if there is no other, because nothing of them was cached. `body` is the request's.
    Where the session is guessed, a question that was answered and comes again is another client's.
    """
    strangers = _Strangers(earlier) if is_guessed else None
    # Most calls begin with all of an earlier one, and then they are not needed.
    sizes = cache(now.message_sizes)
    for is_cached in (True, False):
        usable = [call for call in earlier if call.is_cached is is_cached]
        same = [call for call in usable if call.model == now.model]
        same_model = _best(now, same, sizes, body, strangers)
        if same_model is not None:
            return Predecessor(same_model.call, same_model.kinship)
        others = [call for call in usable if call.model != now.model and _may_switch(now, call)]
        other = _best(now, others, sizes, body, strangers)
        if other is not None:
            return Predecessor(other.call, other.kinship, is_other_model=True)
    return None


def _may_switch(now: PromptCall, call: PromptCall) -> bool:
    # The same question to several models is a comparison of theirs, not a switch.
    is_opening = now.replies <= call.opening
    return not is_opening or call.is_cut or bool(call.own_replies)


class _Strangers:
    """Tells two clients with equal prompts and no session id apart, such as two runs of a script.

    Example: A and B ask a, and both get R. Then a R b comes twice: the first one continues A or B,
    the second one the other of them, although it is equal to the first one.
    """

    def __init__(self, earlier: Sequence[PromptCall]) -> None:
        self._newest = {call.thread: call.id for call in earlier}

    def without(self, found: Sequence[_Candidate]) -> list[_Candidate]:
        """Return the candidates without those that another client seems to have sent."""
        waits = any(each.kinship == "continued" and self.is_newest(each.call) for each in found)
        return [each for each in found if self._is_possible(each, waits=waits)]

    def _is_possible(self, candidate: _Candidate, *, waits: bool) -> bool:
        if candidate.kinship != "repeated":
            return True
        if candidate.repeats_answered:
            return bool(candidate.call.own_replies) and not waits
        # One that failed and was sent again already is not sent again a second time.
        return self.is_newest(candidate.call)

    def is_newest(self, call: PromptCall) -> bool:
        """Return whether nothing follows a call in its thread."""
        return self._newest[call.thread] == call.id


def _best(
    now: PromptCall,
    calls: Iterable[PromptCall],
    sizes: _Sizes,
    body: bytes,
    strangers: _Strangers | None,
) -> _Candidate | None:
    candidates = [_candidate(now, call, sizes, body) for call in calls]
    found = [each for each in candidates if each is not None]
    if strangers is not None:
        found = strangers.without(found)
    direct = [each for each in found if each.is_kept and _adds_one_response(now, each.call)]
    if direct:
        # Other threads may hold the same calls and results, and so have more in common with it.
        thread = _preferred(direct, body, strangers).call.thread
        found = [each for each in found if each.call.thread == thread]
    return _preferred(found, body, strangers) if found else None


def _preferred(
    found: Sequence[_Candidate], body: bytes, strangers: _Strangers | None
) -> _Candidate:
    best = max(found, key=_rank)
    # Equal prompts of several clients: each goes on from the response that it got.
    equal = [each for each in found if each.rank[:2] == best.rank[:2]]
    if len({each.call.thread for each in equal}) == 1:
        return best
    held = [_held_share(each.call, body) for each in equal]
    most = max(held)
    equal = [each for each, share in zip(equal, held, strict=True) if share == most]
    if strangers is not None:
        equal = [each for each in equal if strangers.is_newest(each.call)] or equal
    return max(equal, key=_rank)


def _rank(candidate: _Candidate) -> tuple[int, bool, float]:
    return candidate.rank


def _adds_one_response(now: PromptCall, call: PromptCall) -> bool:
    """Return whether a prompt is an earlier one with a response and what the client says to it.

    Example: T S a B c after T S a → True; T S a B c D e after T S a → False.
    """
    was_reply = False
    responses = 0
    for index in range(call.count, now.count):
        is_reply = now.digest(index) in now.replies
        if is_reply and not was_reply:
            responses += 1
        if responses > 1:
            return False
        was_reply = is_reply
    return True


def _candidate(now: PromptCall, call: PromptCall, sizes: _Sizes, body: bytes) -> _Candidate | None:
    if now.goes_on_from:
        # Such a request holds its newest messages alone, so that nothing else can be compared.
        is_named = now.goes_on_from == call.response_id
        return _Candidate(call, "continued", 0) if is_named else None
    if now.digests.startswith(call.digests):
        kinship: Kinship = "repeated" if call.count == now.count else "continued"
        return _Candidate(call, kinship, call.message_bytes)
    if not now.replies and not call.replies and not call.is_cut:
        # The usual case where a session asks many single questions: nothing more can prove it.
        return None
    has_same_reply = _has_same_reply(now, call, sizes)
    if not has_same_reply and _is_summary(now, call, body):
        return _Candidate(call, "compacted", 0)
    follows = bool(now.replies) and _holds_response(call, body)
    if not has_same_reply and not follows and not _is_reworded(now, call):
        return None
    shared = 0
    of_now = sizes()
    for digest, size in call.message_sizes().items():
        if digest in of_now:
            shared += size
    return _Candidate(call, "broken", shared)


def _has_same_reply(now: PromptCall, call: PromptCall, sizes: _Sizes) -> bool:
    """Return whether both hold a response of a model that strangers do not share."""
    own = call.own_replies
    if own:
        return not now.replies.isdisjoint(own)
    if now.replies.isdisjoint(call.replies):
        return False
    # Only replies that the thread began with: the question behind them has to be the same too.
    for index in range(call.count - 1, call.head - 1, -1):
        digest = call.digest(index)
        if digest in call.replies:
            break
        if digest not in sizes():
            return False
    return True


def _holds_response(call: PromptCall, body: bytes) -> bool:
    """Return whether a request holds a part of the response to an earlier one."""
    return any(mark in body for mark in call.marks)


def _is_summary(now: PromptCall, call: PromptCall, body: bytes) -> bool:
    """Return whether a short prompt holds most of the response of a longer conversation.

    A sub-agent may quote an earlier response too, but not from all over it.
    """
    common = now.common_parts(call)
    is_short = now.replies <= call.opening and now.count - common <= _SUMMARY_PARTS
    if not is_short or not call.own_replies:
        return False
    same_head = call.head == now.head and common >= now.head
    return same_head and repeats_response(call, body)


def _held_share(call: PromptCall, body: bytes) -> float:
    """Return the share of the marks of an earlier response that a request holds, from 0 to 1."""
    marks = call.marks
    held = [mark for mark in marks if mark in body]
    return len(held) / len(marks) if marks else 0.0


def repeats_response(call: PromptCall, body: bytes) -> bool:
    """Return whether a request holds most of the response to an earlier one."""
    runs = call.marked_runs
    if len(runs) < _FEWEST_RUNS:
        return False
    held = [run for run in runs if run in body]
    return 2 * len(held) >= len(runs)


def _is_reworded(now: PromptCall, call: PromptCall) -> bool:
    """Return whether both ask one first question that differs a little, such as by a date.

    The system prompts have to be equal. The earlier call was cut: else its response would follow.
    """
    is_opening = call.is_cut and not call.own_replies and now.replies <= call.opening
    same_head = call.head == now.head and now.common_parts(call) >= now.head
    if not is_opening or not same_head:
        return False
    return alike(now.last_text, call.last_text)


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
