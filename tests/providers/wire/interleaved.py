"""Streams of each provider format in which the parts of parallel calls come in any order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from providers.base.names import ANTHROPIC_MESSAGES, GOOGLE_GENERATE, OPENAI_CHAT, OPENAI_RESPONSES

Bodies = list[dict[str, Any]]


@dataclass(frozen=True)
class Call:
    """One call; `parts` add up to the JSON text of its arguments."""

    id: str
    name: str
    parts: tuple[str, ...]

    @property
    def arguments(self) -> Any:
        text = "".join(self.parts)
        return json.loads(text) if text else {}


@dataclass(frozen=True)
class Step:
    """One event: the start of a call, its next part, or a text of a kind."""

    call: int | None
    part: int = -1
    text: str = ""
    kind: str = "text"


@dataclass(frozen=True)
class Scene:
    """Calls with the order in which their parts and the texts between come."""

    calls: tuple[Call, ...]
    steps: tuple[Step, ...]

    def said(self, kind: str) -> str:
        return "".join(step.text for step in self.steps if step.call is None and step.kind == kind)


def sse(bodies: Iterable[Any], end: bytes = b"") -> bytes:
    return b"".join(b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies) + end


def _cut(text: str, places: list[int]) -> tuple[str, ...]:
    ends = sorted({place % (len(text) + 1) for place in places} | {len(text)})
    parts = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return tuple(part for part in parts if part)


@st.composite
def scenes(draw: Any, max_calls: int = 4) -> Scene:
    """Any interleaving of the parts of one to four calls, with texts between."""
    values = st.dictionaries(
        st.sampled_from(["x", "{", '"', "ü"]),
        st.one_of(st.integers(-9, 99), st.text('a"\\{}[]é', max_size=6), st.just({"y": ["}"]})),
        max_size=3,
    )
    calls: list[Call] = []
    for number in range(draw(st.integers(1, max_calls))):
        arguments = draw(values)
        text = json.dumps(arguments) if arguments else draw(st.sampled_from(["", "{}"]))
        parts = _cut(text, draw(st.lists(st.integers(0, 60), max_size=4)))
        calls.append(Call(f"id_{number}", draw(st.sampled_from(["f", "g"])), parts))
    queues = [[Step(n, part) for part in range(-1, len(c.parts))] for n, c in enumerate(calls)]
    said = st.tuples(st.sampled_from(["text", "thinking"]), st.text("abc ", min_size=1, max_size=4))
    queues.append([Step(None, text=text, kind=kind) for kind, text in draw(st.lists(said))])
    steps: list[Step] = []
    while any(queues):
        full = [queue for queue in queues if queue]
        steps.append(draw(st.sampled_from(full)).pop(0))
    return _in_order(Scene(tuple(calls), tuple(steps)))


def _in_order(scene: Scene) -> Scene:
    """The same scene, its calls numbered in the order of their beginnings."""
    order = [step.call for step in scene.steps if step.call is not None and step.part == -1]
    calls = tuple(scene.calls[n] for n in order)
    steps = [
        step if step.call is None else Step(order.index(step.call), step.part)
        for step in scene.steps
    ]
    return Scene(calls, tuple(steps))


# --- Chat Completions


def chat(scene: Scene, style: str = "numbered") -> bytes:
    """The scene as a Chat server streams it that names calls in the given style."""
    bodies: Bodies = []
    for step in scene.steps:
        if step.call is None:
            key = "content" if step.kind == "text" else "reasoning_content"
            bodies.append(_chunk({key: step.text}))
            continue
        call = scene.calls[step.call]
        text = call.parts[step.part] if step.part >= 0 else ""
        named = NAMES[style](step.call, call, step.part)
        named["function"]["arguments"] = text
        bodies.append(_chunk({"tool_calls": [named]}))
    bodies.append(_chunk({}, "tool_calls"))
    return sse(bodies, b"data: [DONE]\n\n")


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "created": 1, "model": "m", "choices": [choice]}


def _numbered(index: int, call: Call, part: int) -> dict[str, Any]:
    if part >= 0:
        return {"index": index, "function": {}}
    return {"index": index, "id": call.id, "function": {"name": call.name}}


def _repeated(index: int, call: Call, part: int) -> dict[str, Any]:
    return {"index": index, "id": call.id, "function": {"name": call.name}}


def _unnumbered(index: int, call: Call, part: int) -> dict[str, Any]:
    return {"id": call.id, "function": {"name": call.name} if part < 0 else {}}


def _all_zero(index: int, call: Call, part: int) -> dict[str, Any]:
    return {**_unnumbered(index, call, part), "index": 0}


def _changing(index: int, call: Call, part: int) -> dict[str, Any]:
    function = {"name": call.name} if part < 0 else {}
    return {
        "index": index,
        "id": f"{call.id}_{part}" if part >= 0 else call.id,
        "function": function,
    }


def _empty(index: int, call: Call, part: int) -> dict[str, Any]:
    if part < 0:
        return _numbered(index, call, part)
    return {"index": index, "id": "", "type": None, "function": {"name": None}}


def _late(index: int, call: Call, part: int) -> dict[str, Any]:
    if part == len(call.parts) - 1:
        return {"index": index, "id": call.id, "function": {"name": call.name}}
    return {"index": index, "function": {}}


NAMES: dict[str, Callable[[int, Call, int], dict[str, Any]]] = {
    "numbered": _numbered,
    "repeated": _repeated,
    "unnumbered": _unnumbered,
    "all zero": _all_zero,
    "changing": _changing,
    "empty": _empty,
    "late": _late,
}


# --- Anthropic Messages


def messages(scene: Scene) -> bytes:
    """The scene with all calls open until the end and a block for each text."""
    bodies: Bodies = [{"type": "message_start", "message": {"id": "m", "model": "m"}}]
    texts = 0
    for step in scene.steps:
        if step.call is None:
            index = 100 + texts
            texts += 1
            bodies += _text_block(index, step)
            continue
        call = scene.calls[step.call]
        if step.part < 0:
            block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
            bodies.append(
                {"type": "content_block_start", "index": step.call, "content_block": block}
            )
        else:
            delta = {"type": "input_json_delta", "partial_json": call.parts[step.part]}
            bodies.append({"type": "content_block_delta", "index": step.call, "delta": delta})
    stops = range(len(scene.calls))
    bodies += [{"type": "content_block_stop", "index": index} for index in stops]
    bodies.append({"type": "message_delta", "delta": {"stop_reason": "tool_use"}})
    return sse([*bodies, {"type": "message_stop"}])


def _text_block(index: int, step: Step) -> Bodies:
    kind = step.kind
    delta = {"type": f"{kind}_delta", kind: step.text}
    return [
        {"type": "content_block_start", "index": index, "content_block": {"type": kind, kind: ""}},
        {"type": "content_block_delta", "index": index, "delta": delta},
        {"type": "content_block_stop", "index": index},
    ]


# --- Responses


def responses(scene: Scene, *, ids: bool = True, indices: bool = True) -> bytes:
    """The scene with an item for each call and text; servers may leave out ids or indices."""
    bodies: Bodies = [{"type": "response.created", "response": {"id": "r", "model": "m"}}]
    texts = 0

    def at(number: int) -> dict[str, Any]:
        place: dict[str, Any] = {"item_id": f"item_{number}"} if ids else {}
        return {**place, "output_index": number} if indices else place

    for step in scene.steps:
        if step.call is None:
            number = 100 + texts
            texts += 1
            is_text = step.kind == "text"
            kind = "response.output_text" if is_text else "response.reasoning_summary_text"
            item = {"id": f"item_{number}", "type": "message" if is_text else "reasoning"}
            more = {"content_index": 0} if is_text else {"summary_index": 0}
            bodies += [
                {"type": "response.output_item.added", **at(number), "item": item},
                {"type": f"{kind}.delta", **at(number), **more, "delta": step.text},
                {"type": "response.output_item.done", **at(number), "item": item},
            ]
            continue
        call = scene.calls[step.call]
        if step.part < 0:
            bodies.append(
                {
                    "type": "response.output_item.added",
                    **at(step.call),
                    "item": _item(step.call, call, ""),
                }
            )
        else:
            kind = "response.function_call_arguments.delta"
            bodies.append({"type": kind, **at(step.call), "delta": call.parts[step.part]})
    for number, call in enumerate(scene.calls):
        item = _item(number, call, "".join(call.parts))
        bodies.append({"type": "response.output_item.done", **at(number), "item": item})
    return sse([*bodies, {"type": "response.completed", "response": {"status": "completed"}}])


def _item(number: int, call: Call, arguments: str) -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": f"item_{number}",
        "call_id": call.id,
        "name": call.name,
        "arguments": arguments,
    }


# --- Google


def generated(scene: Scene) -> bytes:
    """The scene with arguments as partial strings: each call has one argument, its JSON text."""
    bodies: Bodies = []
    for step in scene.steps:
        if step.call is None:
            thought = {"thought": True} if step.kind == "thinking" else {}
            bodies.append(_candidate({"text": step.text, **thought}))
            continue
        call = scene.calls[step.call]
        raw: dict[str, Any] = {"id": call.id, "willContinue": True}
        if step.part < 0:
            raw["name"] = call.name
        else:
            text = call.parts[step.part]
            raw["partialArgs"] = [{"jsonPath": "$.json", "stringValue": text}]
        bodies.append(_candidate({"functionCall": raw}))
    bodies += [_candidate({"functionCall": {"id": call.id}}) for call in scene.calls]
    bodies.append({"candidates": [{"index": 0, "finishReason": "STOP"}]})
    return sse(bodies)


def _candidate(part: dict[str, Any]) -> dict[str, Any]:
    return {"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}]}


STREAMS: dict[str, Callable[[Scene], bytes]] = {
    ANTHROPIC_MESSAGES: messages,
    OPENAI_CHAT: chat,
    OPENAI_RESPONSES: responses,
    GOOGLE_GENERATE: generated,
}


def wanted_calls(src: str, scene: Scene) -> list[tuple[str, Any]]:
    """The calls as a client must read them."""
    if src != GOOGLE_GENERATE:
        return [(call.name, call.arguments) for call in scene.calls]
    texts = ["".join(call.parts) for call in scene.calls]
    arguments = [{"json": text} if text else {} for text in texts]
    return [(call.name, args) for call, args in zip(scene.calls, arguments, strict=True)]
