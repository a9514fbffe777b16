"""Compact form of a model call, to compare later prompts with. Pure.

A prompt is the list of its parts (see `flows.lineage.prompt_parts`): tools, system prompt, blocks
of messages. Of each part only a digest, a size and a flag are kept, about 13 bytes, so that a
session of hundreds of calls fits into memory.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

from flows.bytes.json_ids import IdFields
from flows.lineage.message_memo import (
    DIGEST_BYTES as DIGEST_BYTES,
)
from flows.lineage.message_memo import (
    MessageMemo,
    Repeated,
    compact_parts,
    message_parts,
)
from flows.lineage.prompt_parts import (
    Part,
    named_response,
    only_messages,
    parts_before_messages,
    parts_of,
)
from flows.reading.answer_text import pieces_of_json, pieces_of_stream
from flows.reading.event_pieces import Piece
from flows.reading.json_text import parse_json
from providers.wire.answer_form import is_events, is_json

_MAX_RUNS: Final = 8
_MAX_IDS: Final = 8
_RESPONSE_BYTES: Final = 512 * 1024
_IDS: Final = IdFields("id", "call_id", "tool_use_id", value=rb"[A-Za-z0-9_-]{8,80}")
_LAST_TEXT_CHARS: Final = 4000
_PLAIN_RUN: Final = re.compile(r"[A-Za-z0-9 ,.:;_-]{24,48}")
"""Text that every JSON encoder writes in the same way."""
_NO_REPLIES: Final[frozenset[bytes]] = frozenset()
_FEWEST_CHARS: Final = 6
"""Different characters of a run that shows anything."""


@dataclass(slots=True)
class PromptCall:
    """One call of a model.

    `digests` holds eight bytes for each part, `head` counts the parts before the first message.
    `is_cached`: the provider took the prompt, so that its cache may hold it.
    """

    id: str
    at: float
    model: str
    is_cached: bool
    digests: bytes
    sizes: array[int]
    replies: frozenset[bytes]
    """Digests of parts that the model said earlier."""
    head: int
    last_text: str
    """The text of the newest message, cut; empty once only a cut response would ask for it."""
    opening: frozenset[bytes] = frozenset()
    """The replies in the first request of its thread: a client's own examples, or what was said
    before it was recorded. Strangers may share them.
    """
    response_marks: bytes = b""
    """What the next request repeats of the response, a line each: ids, such as those of tool calls,
    then short texts from all over it. One object instead of sixteen, and ready to be looked for.
    """
    response_id_count: int = 0
    is_cut: bool = False
    """It has no complete response that a later request could repeat."""
    session: str = ""
    thread: str = ""
    guessed: bool = False
    named_model: str = ""
    """The model that the body names, as text; some formats name it in the address alone."""
    cached_tokens: int = 0
    """Tokens that the cache holds after the call; 0 if unknown."""
    goes_on_from: str = ""
    """Id of the response whose conversation the provider puts before this request's messages."""
    response_id: str = ""
    """Id of its own response."""
    message_bytes: int = field(init=False)
    """Size of all messages."""

    def __post_init__(self) -> None:
        self.message_bytes = sum(self.sizes[self.head :])

    @property
    def count(self) -> int:
        """Number of parts."""
        return len(self.sizes)

    @property
    def own_replies(self) -> frozenset[bytes]:
        """Replies that came since the first request of its thread."""
        return self.replies - self.opening if self.opening else self.replies

    @property
    def held_bytes(self) -> int:
        """Estimated memory."""
        texts_bytes = len(self.last_text) + len(self.response_marks)
        return 800 + 16 * self.count + 100 * len(self.replies) + texts_bytes

    @property
    def marks(self) -> list[bytes]:
        """Ids and short texts of the response."""
        return self.response_marks.split(b"\n") if self.response_marks else []

    @property
    def marked_runs(self) -> list[bytes]:
        """Short texts of the response."""
        return self.marks[self.response_id_count :]

    def digest(self, index: int) -> bytes:
        """Return the digest of a part."""
        return self.digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES]

    def message_sizes(self) -> dict[bytes, int]:
        """Return the sizes of the messages' parts by digest."""
        return {self.digest(index): self.sizes[index] for index in range(self.head, self.count)}

    def common_parts(self, other: PromptCall) -> int:
        """Count the parts at the start that both calls have.

        Example: parts A B C D and A B X → 2.
        """
        low = 0
        high = min(self.count, other.count)
        # A slice is compared at the speed of memory, so a binary search beats a loop over parts.
        while low < high:
            middle = (low + high + 1) // 2
            size = middle * DIGEST_BYTES
            if self.digests[:size] == other.digests[:size]:
                low = middle
            else:
                high = middle - 1
        return low


def prompt_call(
    flow_id: str,
    at: float,
    model: str,
    body: Any,
    *,
    is_cached: bool,
    data: bytes = b"",
    memo: MessageMemo | None = None,
    repeated: Repeated | None = None,
) -> PromptCall | None:
    """Return a request in its compact form; None if it is no prompt.

    `data`: the bytes of `body`; with `memo` the messages that an earlier request had are not read.
    `repeated`: those are not in `body` either.
    """
    messages = only_messages(body)
    if messages is None:
        parts = parts_of(body)
        head = next((index for index, part in enumerate(parts) if part.is_message), len(parts))
        front, compact = parts[:head], [compact_parts(parts[head:])]
        last = _last_message(parts[head:])
    else:
        front = parts_before_messages(body)
        if memo is not None:
            compact = memo.parts_of(flow_id, data, messages, repeated)
        else:
            compact = message_parts(messages, 0)
        last = messages[-1:]
    if not last:
        return None
    every = [compact_parts(front), *compact]
    return PromptCall(
        id=flow_id,
        at=at,
        model=model,
        is_cached=is_cached,
        digests=b"".join([each.digests for each in every]),
        sizes=array("I", chain.from_iterable([each.sizes for each in every])),
        # Each empty set would be an object of its own.
        replies=frozenset(chain.from_iterable([each.replies for each in every])) or _NO_REPLIES,
        head=len(front),
        last_text="\n".join(_strings(last))[:_LAST_TEXT_CHARS],
        named_model=repr(body.get("model")),
        goes_on_from=named_response(body),
    )


def note_response(call: PromptCall, body: bytes) -> None:
    """Keep what shows that a later request holds this response.

    Example: the text "Done: all 12 tests of the parser pass now." and the call "toolu_01" → both.
    """
    start = body[:_RESPONSE_BYTES]
    ids = dict.fromkeys(value.decode() for value in _IDS.find(start))
    call.response_id = next(iter(ids), "")
    # The newest: those of the message itself come first, and few clients repeat them.
    newest_ids = list(ids)[-_MAX_IDS:]
    found = _PLAIN_RUN.findall(response_text(start))
    # Indentation and the lines of a table are in any text.
    runs = [run for run in found if len(set(run)) >= _FEWEST_CHARS]
    # From all over the text: a client may keep a part of it, such as the summary in a tag.
    step = max(1, len(runs) // _MAX_RUNS)
    kept = [run.strip() for run in runs[::step][:_MAX_RUNS]]
    call.response_marks = "\n".join([*newest_ids, *kept]).encode()
    call.response_id_count = len(newest_ids)


def response_text(body: bytes) -> str:
    """Return the text of a response, buffered or streamed, in any vendor's format."""
    pieces: Sequence[Piece] = ()
    if is_json(body):
        pieces = pieces_of_json(parse_json(body).value)
    elif is_events(body):
        pieces = pieces_of_stream(body)
    return "".join(content for kind, content in pieces if kind == "text")


def _last_message(parts: Sequence[Part]) -> list[Any]:
    """Return the values of the parts of the newest message; empty without parts."""
    values: list[Any] = []
    for part in reversed(parts):
        if _message_address(part.path) != _message_address(parts[-1].path):
            break
        values.insert(0, part.value)
    return values


def _message_address(path: str) -> str:
    """Return the address of the message of a part: `messages[3].content[1]` → `messages[3]`."""
    return path.partition("]")[0]


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    if isinstance(value, dict):
        return _strings(value.get("text") or value.get("content"))
    return []
