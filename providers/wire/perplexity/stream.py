"""Perplexity's events → neutral events: reasoning first, then one text with its sources.

Reasoning that comes when the text has begun waits until the text ends, so that clients get one
text. The stream has no count of tokens.
"""

from __future__ import annotations

import re
from typing import Any, Final

from providers.base.errors import BadUpstreamStream
from providers.wire.core.event_json import Watch, event_bodies
from providers.wire.core.ir import Failure, Finish, JsonObject, Losses, Text, Thinking
from providers.wire.core.sse import SseEvent
from providers.wire.core.stream_event import (
    BlockStart,
    BlockStop,
    CitationDelta,
    Delta,
    End,
    Event,
    Start,
)
from providers.wire.failures.reported_failure import failure_of_event
from providers.wire.perplexity.answer_patches import AnswerPatches
from providers.wire.perplexity.plan_text import PlanText
from providers.wire.perplexity.web_sources import WebSources

_ANSWER: Final = re.compile(r"ask_text_\d+_markdown")
_MIRROR: Final = "ask_text"
_IDS: Final = (
    "backend_uuid",
    "read_write_token",
    "context_uuid",
    "thread_url_slug",
    "thread_title",
    "display_model",
)


class PerplexityStreamDecoder:
    """Decoder of one ask. `ids` are those of the thread; the last value of each wins."""

    def __init__(self) -> None:
        self.losses = Losses()
        self.watch: Watch | None = None
        self.ids: dict[str, str] = {}
        self.text = ""
        self._plan = PlanText()
        self._sources = WebSources()
        self._answers: dict[str, AnswerPatches] = {}
        self._mirror = AnswerPatches(Losses())
        self._followups: list[str] = []
        self._started = False
        self._ended = False
        self._open: type[Text] | type[Thinking] | None = None
        self._late = ""

    def feed(self, event: SseEvent) -> list[Event]:
        """See `StreamDecoder.feed`."""
        if self._ended or event.data == b"[DONE]":
            return []
        if (failure := failure_of_event(event)) is not None:
            return self._fail(failure)
        try:
            bodies = event_bodies(event)
        except (ValueError, RecursionError):
            raise BadUpstreamStream("an event is no JSON.") from None
        out: list[Event] = []
        for body in bodies:
            self._take(body, out)
        return out

    def flush(self) -> list[Event]:
        """See `StreamDecoder.flush`."""
        if self._ended:
            return []
        return self._fail(Failure("The provider's stream was cut."))

    def held(self) -> list[Event]:
        """See `StreamDecoder.held`."""
        out: list[Event] = []
        self._close(out)
        self._say_late(out)
        return out

    def _fail(self, failure: Failure) -> list[Event]:
        self._ended = True
        return [failure]

    def _take(self, body: JsonObject, out: list[Event]) -> None:
        if self._ended:
            return
        self._note_ids(body)
        if not self._started:
            self._started = True
            # The model is the client's own name for it.
            out.append(Start(self.ids.get("backend_uuid")))
        if (failure := _reported(body)) is not None:
            out += self._fail(failure)
            return
        blocks = body.get("blocks")
        for block in blocks if isinstance(blocks, list) else []:
            if isinstance(block, dict):
                self._block(block, out)
        self._think(self._plan.mirror(body.get("text")), out)
        if body.get("final_sse_message") is True:
            self._end(out)

    def _note_ids(self, body: JsonObject) -> None:
        for name in _IDS:
            value = body.get(name)
            if isinstance(value, str) and value:
                self.ids[name] = value

    def _block(self, block: JsonObject, out: list[Event]) -> None:
        usage = block.get("intended_usage")
        name = usage if isinstance(usage, str) else ""
        if _ANSWER.fullmatch(name):
            patches = self._answers.get(name)
            if patches is None:
                patches = self._answers[name] = AnswerPatches(self.losses)
            self._say(_new_text(block, patches), out)
        elif name == _MIRROR:
            # It repeats the answer, and counts where there is no other.
            _new_text(block, self._mirror)
        else:
            self._sources.take(block)
            self._note_followups(block)
            self._think(self._plan.take(block), out)

    def _note_followups(self, block: JsonObject) -> None:
        pending = block.get("pending_followups") or block.get("pending_followups_block")
        followups = pending.get("followups") if isinstance(pending, dict) else None
        for one in followups if isinstance(followups, list) else []:
            text = one.get("text") if isinstance(one, dict) else None
            if isinstance(text, str) and text not in self._followups:
                self._followups.append(text)

    # --- what the client gets

    def _think(self, text: str, out: list[Event]) -> None:
        if not text:
            return
        if self._open is Text:
            self._late += text
            return
        if self._open is None:
            self._open = Thinking
            out.append(BlockStart(Thinking("")))
            text = text.lstrip("\n")
        out.append(Delta(text))

    def _say(self, text: str, out: list[Event]) -> None:
        if not text:
            return
        if self._open is not Text:
            self._close(out)
            self._open = Text
            out.append(BlockStart(Text("")))
        self.text += text
        out.append(Delta(text))

    def _close(self, out: list[Event]) -> None:
        """End the open block; a text gets its sources first, whose offsets point into it."""
        if self._open is Text:
            out += [CitationDelta(source) for source in self._sources.citations(self.text)]
        if self._open is not None:
            out.append(BlockStop())
        self._open = None

    def _say_late(self, out: list[Event]) -> None:
        late, self._late = self._late, ""
        if late:
            out += [BlockStart(Thinking("")), Delta(late.lstrip("\n")), BlockStop()]

    def _end(self, out: list[Event]) -> None:
        self._ended = True
        if not self.text and self._mirror.text:
            self._say(self._mirror.text, out)
        questions = self._plan.questions
        if questions:
            gap = "\n\n" if self.text else ""
            self._say(gap + "\n".join(questions), out)
        self._close(out)
        self._say_late(out)
        out.append(End(Finish("stop"), notes=self._notes(questions)))

    def _notes(self, questions: list[str]) -> JsonObject:
        """Return what no client format has a field for, under names of ours."""
        found: JsonObject = {
            "pplx_thread_url_slug": self.ids.get("thread_url_slug"),
            "pplx_display_model": self.ids.get("display_model"),
            "pplx_followups": self._followups,
            "pplx_clarifying_questions": questions,
        }
        return {name: value for name, value in found.items() if value}


def _new_text(block: JsonObject, patches: AnswerPatches) -> str:
    """Return what a block adds to its text: by patches, or bare in the last event."""
    new = ""
    diff = block.get("diff_block")
    if isinstance(diff, dict) and diff.get("field") == "markdown_block":
        for patch in diff.get("patches") or []:
            if isinstance(patch, dict):
                new += patches.patch(patch)
    return new + patches.bare(block.get("markdown_block"))


def _reported(body: JsonObject) -> Failure | None:
    """Return the failure of an event that says its ask has failed."""
    if str(body.get("status")).upper() != "FAILED":
        return None
    code: Any = body.get("error_code")
    message = body.get("error_message") or code or "Perplexity could not answer."
    status = 429 if "RATE" in str(code).upper() else 502
    return Failure(str(message), status, code=str(code) if code else None)
