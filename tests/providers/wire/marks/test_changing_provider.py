"""One conversation that goes from one vendor to another and back, in a tool loop with reasoning."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.base.names import WireFormatName
from providers.wire.core.base import AnswerContext, TargetInfo
from providers.wire.marks.native_request import may_have_marks, without_marks
from providers.wire.translate import StreamTranslator, translate_request, translate_response
from tests.providers.wire.asking import A, C, G, R
from tests.providers.wire.marks.signing_vendor import VENDORS, Json, Vendor
from tests.providers.wire.test_round_trips import whole_from_stream

ALL: tuple[WireFormatName, ...] = (A, C, R, G)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


class Client:
    """A client of one format that keeps its history as it came, and runs every call."""

    def __init__(self, wire_format: WireFormatName) -> None:
        self.format = wire_format
        self.history: list[Json] = []
        if wire_format == G:
            self.history.append({"role": "user", "parts": [{"text": "go"}]})
        else:
            self.history.append({"role": "user", "content": "go"})

    def request(self, model: str) -> Json:
        history = json.loads(json.dumps(self.history))
        if self.format == G:
            return {"contents": history, "tools": [{"functionDeclarations": [{"name": "f"}]}]}
        if self.format == A:
            tool = {"name": "f", "input_schema": SCHEMA}
            asked = {"model": model, "max_tokens": 999, "tools": [tool], "messages": history}
            return {**asked, "thinking": {"type": "adaptive"}}
        if self.format == C:
            function = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
            return {"model": model, "messages": history, "tools": [function]}
        tool = {"type": "function", "name": "f", "parameters": SCHEMA}
        asked = {"model": model, "input": history, "tools": [tool], "store": False}
        return {**asked, "include": ["reasoning.encrypted_content"]}

    def take(self, answer: Json) -> None:
        """Keep the answer, and the results of its calls."""
        if self.format == A:
            calls = [block for block in answer["content"] if block["type"] == "tool_use"]
            results = [
                {"type": "tool_result", "tool_use_id": call["id"], "content": "ok"}
                for call in calls
            ]
            self.history.append({"role": "assistant", "content": answer["content"]})
            self.history.append({"role": "user", "content": results})
        elif self.format == C:
            message = answer["choices"][0]["message"]
            self.history.append(message)
            for call in message["tool_calls"]:
                result = {"role": "tool", "tool_call_id": call["id"], "content": "ok"}
                self.history.append(result)
        elif self.format == G:
            parts = answer["candidates"][0]["content"]["parts"]
            self.history.append({"role": "model", "parts": parts})
            calls = [part["functionCall"] for part in parts if "functionCall" in part]
            results = [
                {"functionResponse": {"id": c["id"], "name": "f", "response": {"output": "ok"}}}
                for c in calls
            ]
            self.history.append({"role": "user", "parts": results})
        else:
            self.history += answer["output"]
            for item in answer["output"]:
                if item["type"] == "function_call":
                    result = {"type": "function_call_output", "call_id": item["call_id"]}
                    self.history.append({**result, "output": "ok"})


def sent(client: Client, wire_format: WireFormatName, vendor: Vendor) -> tuple[Json, Json]:
    """The client's request, and what reaches the vendor."""
    asked = client.request(vendor.model)
    if client.format != wire_format:
        target = TargetInfo(model=vendor.model, host=vendor.host)
        return asked, translate_request(asked, client.format, wire_format, target=target)[0]
    if not may_have_marks(json.dumps(asked).encode(), wire_format):
        return asked, asked
    return asked, without_marks(asked, wire_format, vendor.model)[0]


def received(
    client: Client, asked: Json, wire_format: WireFormatName, vendor: Vendor, streamed: bool
) -> Json:
    answer = vendor.answer()
    context = AnswerContext(client_body=asked, host=vendor.host)
    if streamed:
        raw = vendor.events(answer)
        if client.format != wire_format:
            stream = StreamTranslator(wire_format, client.format, context=context)
            raw = stream.feed(raw) + stream.flush()
        elif client.format == C:
            # The test's client joins a stream without its reasoning, which DeepSeek wants back.
            return answer
        return whole_from_stream(client.format, raw)
    if client.format == wire_format:
        return answer
    return translate_response(answer, wire_format, client.format, context=context)[0]


@pytest.mark.parametrize("streamed", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("second", ALL)
@pytest.mark.parametrize("first", ALL)
@pytest.mark.parametrize("client_format", ALL)
def test_every_vendor_gets_its_own_reasoning_and_no_other(
    client_format: WireFormatName, first: WireFormatName, second: WireFormatName, streamed: bool
) -> None:
    client = Client(client_format)
    vendors = {name: VENDORS[name]() for name in (first, second)}
    # There, to the other one, back, and on.
    for wire_format in (first, second, first, second, second):
        vendor = vendors[wire_format]
        asked, body = sent(client, wire_format, vendor)
        assert vendor.problems(body) == []
        client.take(received(client, asked, wire_format, vendor, streamed))


def test_the_vendors_see_what_is_wrong() -> None:
    vendor = VENDORS[A]()
    answer = vendor.answer()
    client = Client(A)
    client.take(answer)
    assert vendor.problems(client.request("m")) == []
    answer["content"][0]["signature"] = "ccproxy1:openai_chat:0::"
    found: list[Any] = vendor.problems(client.request("m"))
    assert len(found) == 2
    del answer["content"][0]
    assert "came []" in vendor.problems(client.request("m"))[0]
