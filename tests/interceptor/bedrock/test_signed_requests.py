"""Requests to Claude on Amazon Bedrock: signed over what leaves, streams unframed, refusals told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from providers.auth.base import KeyAuth
from tests.fakes.amazon import Bedrock, chunk, exception
from tests.fakes.upstream import Upstream
from tests.interceptor.proxied import KEYRING, Running, provider, running_proxy, snapshot

MODEL = "anthropic.claude-sonnet-5-v1:0"
ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
EVENTS: tuple[dict[str, Any], ...] = (
    {"type": "message_start", "message": {**ANSWER, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
)
ASKED = {"max_tokens": 9, "messages": [{"role": "user", "content": "héllo"}]}


class Rig:
    """Bedrock, and the proxy in front of it."""

    def __init__(self, amazon: Bedrock, running: Running) -> None:
        self.amazon = amazon
        self.running = running

    def ask(
        self, path: str, body: dict[str, Any], name: str = "aws", **more: str
    ) -> httpx.Response:
        headers = {"x-api-key": f"sk-ccproxy-{name}", **more}
        url = f"{self.running.url}{path}"
        return httpx.post(url, json={"model": MODEL, **body}, headers=headers, trust_env=False)


def aws_auth(amazon: Bedrock, **other: str) -> KeyAuth:
    """A stored key in the form of `aws configure export-credentials`."""
    text = {
        "Version": 1,
        "AccessKeyId": amazon.key_id,
        "SecretAccessKey": amazon.secret,
        "SessionToken": amazon.token,
        "Region": amazon.region,
        **other,
    }
    return KeyAuth(ciphertext=KEYRING.encrypt(json.dumps(text, indent=2)), is_aws_key=True)


@pytest.fixture(scope="module")
def served() -> Iterator[Rig]:
    amazon = Bedrock(token="session-token-4711")
    pair = f"{amazon.key_id}:{amazon.secret}:{amazon.token}"
    with Upstream() as upstream:
        for action in ("invoke", "invoke-with-response-stream"):
            upstream.scripts[f"/model/{MODEL}/{action}"] = amazon.choose
        first = provider(
            "aws",
            upstream.port,
            type="bedrock_anthropic",
            path="/model/{model}/{action}",
            auth=aws_auth(amazon),
        )
        elsewhere = aws_auth(amazon, Region="us-east-1")
        unknown = aws_auth(amazon, AccessKeyId="AKIAOTHER")
        unplaced = KeyAuth(ciphertext=KEYRING.encrypt(pair), is_aws_key=True)
        broken = KeyAuth(ciphertext=KEYRING.encrypt("a key of another kind"), is_aws_key=True)
        others = {
            "elsewhere": elsewhere,
            "unknown": unknown,
            "unplaced": unplaced,
            "broken": broken,
        }
        more = [replace(first, name=name, auth=auth) for name, auth in others.items()]
        with running_proxy(snapshot(first, *more)) as running:
            yield Rig(amazon, running)


@pytest.fixture
def rig(served: Rig) -> Rig:
    served.amazon.clock_off_s = 0.0
    served.amazon.answer = ANSWER
    served.amazon.events = tuple(chunk(event) for event in EVENTS)
    served.amazon.accepted.clear()
    return served


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def test_a_buffered_request_is_signed_and_answered(rig: Rig) -> None:
    got = rig.ask("/v1/messages", ASKED, **{"anthropic-beta": "a-1, b-2"})
    assert got.status_code == 200, got.text
    assert got.json() == ANSWER
    sent = rig.amazon.accepted[0].json
    assert sent == {
        **ASKED,
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["a-1", "b-2"],
    }
    record = rig.running.sink.of(got)
    assert [step.hook for step in record.hooks][-1] == "aws_signature"
    assert rig.amazon.secret in rig.running.secrets.values
    assert rig.amazon.token in rig.running.secrets.values


def test_a_stream_comes_as_anthropics_events(rig: Rig) -> None:
    got = rig.ask("/v1/messages", {**ASKED, "stream": True})
    assert got.headers["content-type"].startswith("text/event-stream")
    assert events_of(got.text) == list(EVENTS)
    assert got.text.startswith("event: message_start\n")
    record = rig.running.sink.of(got)
    sides = {side.side: side.body for side in record.sides}
    assert sides["upstream"] == sides["delivered"] == got.content
    assert record.is_stream and record.event_count == len(EVENTS)


def test_frames_may_be_cut_anywhere(rig: Rig) -> None:
    stream = b"".join(rig.amazon.events)
    rig.amazon.events = tuple(stream[at : at + 37] for at in range(0, len(stream), 37))
    got = rig.ask("/v1/messages", {**ASKED, "stream": True})
    assert events_of(got.text) == list(EVENTS)


@pytest.mark.parametrize("streams", [False, True])
def test_an_openai_client_is_translated(rig: Rig, streams: bool) -> None:
    body = {"messages": ASKED["messages"], "stream": streams}
    got = rig.ask("/v1/chat/completions", body)
    assert got.status_code == 200, got.text
    if streams:
        choices = [choice for chunk in events_of(got.text) for choice in chunk["choices"]]
        assert "".join(one["delta"].get("content") or "" for one in choices) == "Hello"
        assert got.text.rstrip().endswith("[DONE]")
    else:
        assert got.json()["choices"][0]["message"]["content"] == "Hello"


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
def test_an_exception_in_a_stream_is_an_error(rig: Rig, path: str) -> None:
    rig.amazon.events = (*rig.amazon.events[:3], exception("throttlingException", "too many"))
    got = rig.ask(path, {**ASKED, "stream": True})
    assert "throttlingException: too many" in got.text
    record = rig.running.sink.of(got)
    assert "too many" in record.error


def test_a_damaged_frame_ends_the_stream_with_an_error(rig: Rig) -> None:
    third = bytearray(rig.amazon.events[2])
    third[-10] ^= 1
    rig.amazon.events = (*rig.amazon.events[:2], bytes(third), *rig.amazon.events[3:])
    got = rig.ask("/v1/messages", {**ASKED, "stream": True})
    kinds = [event["type"] for event in events_of(got.text)]
    assert kinds == ["message_start", "content_block_start", "error"]
    assert "damaged" in got.text


def test_a_wrong_clock_is_named(rig: Rig) -> None:
    rig.amazon.clock_off_s = 1200
    got = rig.ask("/v1/messages", ASKED)
    assert got.status_code == 403
    assert "clock of this machine is 20 minutes behind" in got.json()["error"]["message"]
    # Amazon's own words stay in the record as they came.
    upstream = next(s for s in rig.running.sink.of(got).sides if s.side == "upstream")
    assert (upstream.body or b"").startswith(b'{"message": "Signature expired')


REFUSED = {
    "elsewhere": "signed for the region us-east-1",
    "unknown": "does not know the access key of provider “unknown”",
    "unplaced": "names no AWS region",
    "broken": "holds no access key of AWS",
}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_says_what_is_wrong(rig: Rig, name: str, path: str) -> None:
    got = rig.ask(path, ASKED, name)
    assert got.status_code >= 400
    assert REFUSED[name] in got.json()["error"]["message"]
    assert not rig.amazon.accepted


def test_tokens_are_not_counted(rig: Rig) -> None:
    got = rig.ask("/v1/messages/count_tokens", {"messages": ASKED["messages"]})
    assert "counts no tokens" in got.json()["error"]["message"]
    assert not rig.amazon.accepted
