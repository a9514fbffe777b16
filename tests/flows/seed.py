"""Hand-written flows that look like real ones: every shape the console has to show."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from flows.bodies.store import pack
from flows.models import Flow, FlowBody, WebSocketMessage
from flows.sides import FlowSide
from tests import parts
from tests.parts import add_trace
from tests.row_copies import made_once

NOW = datetime(2026, 11, 20, 9, 30, 0, tzinfo=UTC)
SESSION = "5ba13327-6e60-496a-9b2b-53d6b9119725"
IDS = {
    name: f"0a1b2c3d-{number:04d}-4000-8000-0000000000{number:02d}"
    for number, name in enumerate(
        [
            "anthropic",
            "chat",
            "unauthorised",
            "redirect",
            "websocket",
            "live",
            "google",
            "failed",
            "count",
            "hostile",
        ],
        1,
    )
}


def store(data: bytes) -> str:
    """Put a body into the database; its digest."""
    if not data:
        return ""
    packed = pack(data)
    FlowBody.objects.get_or_create(
        digest=packed.digest,
        defaults={
            "encoding": packed.encoding,
            "size_bytes": packed.size_bytes,
            "blob": packed.blob,
        },
    )
    return packed.digest


def add_flow(name: str, minutes: float, **fields: Any) -> Flow:
    """A row with sensible defaults."""
    defaults: dict[str, Any] = {
        "state": "done",
        "started_at": NOW - timedelta(minutes=minutes),
        "method": "POST",
        "user_agent": "claude-cli/2.1.330 (external, sdk-cli)",
        "revision": 4,
    }
    values = defaults | fields
    if values["state"] != "live" and values.get("duration_ms"):
        values["finished_at"] = values["started_at"] + timedelta(milliseconds=values["duration_ms"])
    return Flow.objects.create(id=IDS.get(name, name), **values)


def add_side(
    flow: Flow, side: str, headers: dict[str, str], body: bytes = b"", **fields: Any
) -> FlowSide:
    """One side of a flow and its body."""
    return parts.add_side(
        flow.pk,
        side,
        http_version="HTTP/1.1" if side in ("client", "delivered") else "HTTP/2.0",
        headers=[[key, value] for key, value in headers.items()],
        body_digest=store(body),
        body_size_bytes=len(body),
        **fields,
    )


def sse(*events: dict[str, Any], named: bool = True) -> list[bytes]:
    """Events as the bytes of a stream."""
    prefix = [f"event: {event['type']}\n" if named else "" for event in events]
    return [f"{p}data: {json.dumps(e)}\n\n".encode() for p, e in zip(prefix, events, strict=True)]


def timed(chunks: list[bytes], first_ms: float, gap_ms: float) -> list[list[float]]:
    """Chunk times of a stream with an uneven rhythm."""
    times, offset, at = [], 0, first_ms
    for number, chunk in enumerate(chunks):
        times.append([offset, round(at, 1)])
        offset += len(chunk)
        at += gap_ms * (0.3 + (number * 7 % 5) / 3)
    return times


TOOLS = [
    {
        "name": name,
        "description": f"{name}s things. " * 30,
        "input_schema": {
            "type": "object",
            "properties": {"path": {"type": "string", "description": "Where"}},
            "required": ["path"],
        },
    }
    for name in ("Read", "Write", "Edit", "Bash", "Grep", "Glob")
]


def messages_body(model: str, *, stream: bool = True) -> dict[str, Any]:
    """A request as a coding agent sends it."""
    return {
        "model": model,
        "max_tokens": 32000,
        "stream": stream,
        "system": [
            {
                "type": "text",
                "text": "You are a careful engineer.\n" * 40,
                "cache_control": {"type": "ephemeral"},
            }
        ],
        "tools": TOOLS,
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "Why does the build fail on main?"}],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I will look at the log first."},
                    {
                        "type": "tool_use",
                        "id": "toolu_01",
                        "name": "Bash",
                        "input": {"path": "make -k test | tail"},
                    },
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_01",
                        "content": "FAILED tests/test_clock.py::test_leap - AssertionError\n" * 12,
                    }
                ],
            },
        ],
        "metadata": {"user_id": "user_7_account__session_" + SESSION},
    }


def anthropic_stream(text: str, tool: bool = True) -> list[bytes]:
    """The chunks of an Anthropic answer."""
    words = text.split(" ")
    deltas = [
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": word + " "},
        }
        for word in words
    ]
    call = [
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "tool_use", "id": "toolu_02", "name": "Read", "input": {}},
        },
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": '{"path": "tests/'},
        },
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": 'test_clock.py"}'},
        },
        {"type": "content_block_stop", "index": 1},
    ]
    return sse(
        {
            "type": "message_start",
            "message": {"id": "msg_01", "role": "assistant", "usage": {"input_tokens": 12904}},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *deltas,
        {"type": "content_block_stop", "index": 0},
        *(call if tool else []),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use"},
            "usage": {"output_tokens": 87},
        },
        {"type": "message_stop"},
    )


CLIENT_HEADERS = {
    "Host": "127.0.0.1:4000",
    "Accept": "application/json",
    "Content-Type": "application/json",
    "User-Agent": "claude-cli/2.1.330 (external, sdk-cli)",
    "x-api-key": "sk-ant-oat-ccproxy-anthropic",
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "interleaved-thinking-2025-05-14,redact-thinking-2026-02-12",
    "x-app": "cli",
}


def seed_anthropic() -> Flow:
    """A streamed answer with a tool call; two hooks changed headers."""
    body = json.dumps(messages_body("claude-haiku-4-5")).encode()
    chunks = anthropic_stream(
        "The test compares against a fixed date, and the runner's clock crossed midnight. I will"
        " read the test to see which assertion needs a frozen clock."
    )
    answer = b"".join(chunks)
    flow = add_flow(
        "anthropic", 3, host="api.anthropic.com", path="/v1/messages?beta=true",
        action="passthrough",
        provider="anthropic", requested_model="claude-haiku-4-5", sent_model="claude-haiku-4-5",
        session_id=SESSION,
        credential_injected=True, status_code=200, is_stream=True, hooks_changed=["inject_auth",
        "verbose_mode"],
        connect_ms=41.2, first_byte_ms=611.5, first_event_ms=612.4, duration_ms=4103.8,
        event_count=len(chunks),
        request_size_bytes=len(body), response_size_bytes=len(answer), input_tokens=12904,
        output_tokens=87,
        cache_read_tokens=11820, cache_write_tokens=0, client_format="anthropic",
        provider_format="anthropic",
        client_url="http://127.0.0.1:4000/v1/messages?beta=true",
        forwarded_url="https://api.anthropic.com/v1/messages?beta=true",
        route="The key names the provider anthropic.",
        search_text="why does the build fail on main?",
    )  # fmt: skip
    forwarded = {
        "Host": "api.anthropic.com",
        **{key: value for key, value in CLIENT_HEADERS.items() if key not in ("Host", "x-api-key")},
        "anthropic-beta": "interleaved-thinking-2025-05-14",
        "authorization": "Bearer ‹redacted 3f9a21›",
    }
    add_side(flow, "client", CLIENT_HEADERS, body, method="POST", url=flow.client_url)
    add_side(flow, "forwarded", forwarded, body, method="POST", url=flow.forwarded_url)
    headers = {
        "content-type": "text/event-stream; charset=utf-8",
        "request-id": "req_011C",
        "cf-ray": "8e5f-FRA",
    }
    times = timed(chunks, 611.5, 95)
    add_side(flow, "upstream", headers, answer, status_code=200, reason="OK", chunk_times=times)
    add_side(flow, "delivered", headers, answer, status_code=200, reason="OK", chunk_times=times)
    before = [[key, value] for key, value in CLIENT_HEADERS.items()]
    after = [
        ["authorization", "Bearer ‹redacted 3f9a21›"] if k == "x-api-key" else [k, v]
        for k, v in before
    ]
    final = [
        [k, forwarded["anthropic-beta"]] if k == "anthropic-beta" else [k, v] for k, v in after
    ]
    steps: list[dict[str, Any]] = [
        {"hook": "inject_auth", "stage": "inbound", "prepare_ms": 3.1, "apply_ms": 0.08,
         "changed": ["header:x-api-key", "header:authorization"], "headers_before": before,
         "headers_after": after},
        {"hook": "extract_session_id", "stage": "inbound", "apply_ms": 0.04},
        {"hook": "verbose_mode", "stage": "outbound", "apply_ms": 0.05,
        "changed": ["header:anthropic-beta"],
         "headers_before": after, "headers_after": final},
        {"hook": "commitbee_compat", "stage": "outbound", "outcome": "skipped",
         "reason": "its guard said no: not a commitbee request"},
    ]  # fmt: skip
    for seq, step in enumerate(steps):
        add_trace(flow.pk, seq=seq, **({"outcome": "ran"} | step))
    return flow


def seed_redirect() -> Flow:
    """A rule sends it to another host under another model; a hook adds to the body."""
    before = messages_body("claude-sonnet-4-5", stream=False)
    after = json.loads(json.dumps(before))
    after["model"] = "qwen3-coder"
    after["system"][0]["text"] += "Answer in English.\n"
    after["messages"].insert(1, {"role": "user", "content": "Keep it short."})
    after["tools"] = [tool for tool in after["tools"] if tool["name"] != "Bash"]
    del after["metadata"]
    sent, mid = json.dumps(after).encode(), json.dumps(before | {"model": "qwen3-coder"}).encode()
    answer = json.dumps(
        {"id": "msg_2", "role": "assistant", "content": [{"type": "text",
        "text": "A clock issue."}],
         "usage": {"input_tokens": 3120, "output_tokens": 9}}
    ).encode()  # fmt: skip
    flow = add_flow(
        "redirect", 7, host="127.0.0.1", path="/v1/messages", action="redirect", provider="local",
        rule="cheap-evenings", requested_model="claude-sonnet-4-5", sent_model="qwen3-coder",
        session_id=SESSION,
        status_code=200, hooks_changed=["my_hooks.trim_tools"], connect_ms=0.4,
        first_byte_ms=1830.0,
        duration_ms=1831.9, request_size_bytes=len(sent), response_size_bytes=len(answer),
        input_tokens=3120, output_tokens=9, client_url="http://127.0.0.1:4000/v1/messages",
        forwarded_url="http://127.0.0.1:8080/api/v1/messages",
        route="Rule “cheap-evenings” matched: host *, model claude-sonnet.*.",
        losses=[["system[0].cache_control", "this provider has no prompt cache"]],
    )  # fmt: skip
    add_side(
        flow,
        "client",
        CLIENT_HEADERS,
        json.dumps(before).encode(),
        method="POST",
        url=flow.client_url,
    )
    headers = {**CLIENT_HEADERS, "Host": "127.0.0.1:8080", "x-api-key": "‹redacted 81cc0e›"}
    add_side(flow, "forwarded", headers, sent, method="POST", url=flow.forwarded_url)
    add_side(
        flow, "upstream", {"content-type": "application/json"}, answer, status_code=200, reason="OK"
    )
    delivered = {"content-type": "application/json", "x-ccproxy-flow": flow.pk}
    add_side(flow, "delivered", delivered, answer, status_code=200, reason="OK")
    add_trace(
        flow.pk, seq=0, stage="outbound", hook="my_hooks.trim_tools", outcome="ran", apply_ms=1.9,
        changed=["body"], body_before=store(mid), body_after=store(sent),
    )  # fmt: skip
    add_trace(
        flow.pk, seq=1, stage="outbound", hook="my_hooks.add_budget", outcome="error", apply_ms=0.3,
        reason="KeyError: 'budget' (my_hooks.py line 12)",
    )  # fmt: skip
    return flow


def seed_websocket() -> Flow:
    """Codex over a websocket."""
    flow = add_flow(
        "websocket", 12, method="GET", host="api.openai.com", path="/v1/responses",
        provider="openai",
        credential_injected=True, status_code=101, is_websocket=True, is_stream=True,
        duration_ms=32_400,
        requested_model="gpt-5.1-codex", session_id="01a203c9-6a3c", event_count=5,
        action="passthrough",
        user_agent="codex_exec/0.169.0 (Debian 12.0.0; x86_64)", connect_ms=38, first_byte_ms=120,
        client_url="http://127.0.0.1:4000/v1/responses",
        forwarded_url="https://api.openai.com/v1/responses",
    )  # fmt: skip
    add_side(flow, "client", {"Upgrade": "websocket"}, method="GET", url=flow.client_url)
    add_side(flow, "forwarded", {"Upgrade": "websocket"}, method="GET", url=flow.forwarded_url)
    add_side(
        flow, "upstream", {"upgrade": "websocket"}, status_code=101, reason="Switching Protocols"
    )
    texts: list[tuple[bool, bytes]] = [
        (
            True,
            b'{"type":"response.create","model":"gpt-5.1-codex","input":[{"role":"user","content":"ls"}]}',
        ),
        (False, b'{"type":"response.created","response":{"id":"resp_1"}}'),
        (False, b'{"type":"response.output_text.delta","delta":"Two files: "}'),
        (False, b"\x00\x01\x02binary"),
        (False, b'{"type":"response.completed","response":{"usage":{"output_tokens":4}}}'),
    ]
    for seq, (from_client, data) in enumerate(texts):
        WebSocketMessage.objects.create(
            flow=flow, seq=seq, at_ms=140 + 60 * seq, from_client=from_client, is_text=seq != 3,
            size_bytes=len(data),
            body_digest=store(data),
        )  # fmt: skip
    return flow


def seed_live() -> Flow:
    """Still streaming: the record holds what came so far."""
    chunks = anthropic_stream(
        "Reading the file now. The clock is mocked in only one of", tool=False
    )[:9]
    body = json.dumps(messages_body("claude-opus-4-5")).encode()
    flow = add_flow(
        "live", 0.1, state="live", host="api.anthropic.com", path="/v1/messages?beta=true",
        provider="anthropic",
        requested_model="claude-opus-4-5", sent_model="claude-opus-4-5", session_id=SESSION,
        credential_injected=True,
        is_stream=True, request_size_bytes=len(body), action="passthrough", status_code=200,
        client_url="http://127.0.0.1:4000/v1/messages",
        forwarded_url="https://api.anthropic.com/v1/messages",
    )  # fmt: skip
    add_side(flow, "client", CLIENT_HEADERS, body, method="POST", url=flow.client_url)
    add_side(
        flow,
        "forwarded",
        {"Host": "api.anthropic.com"},
        body,
        method="POST",
        url=flow.forwarded_url,
    )
    headers = {"content-type": "text/event-stream"}
    add_side(
        flow,
        "upstream",
        headers,
        b"".join(chunks),
        status_code=200,
        chunk_times=timed(chunks, 500, 80),
    )
    return flow


def seed_small() -> None:
    """Chat, 401, Google, refused connection, count_tokens."""
    request = json.dumps(
        {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hi"}]}
    ).encode()
    answer = {
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello! How can I help?"}}
        ],
        "usage": {"prompt_tokens": 8, "completion_tokens": 7},
    }
    chat = add_flow(
        "chat", 20, host="api.openai.com", path="/v1/chat/completions", provider="openai",
        credential_injected=True,
        requested_model="gpt-5-mini", sent_model="gpt-5-mini", status_code=200, input_tokens=8,
        output_tokens=7,
        duration_ms=930.2, first_byte_ms=928.0, connect_ms=30.1, request_size_bytes=len(request),
        action="passthrough",
        response_size_bytes=180, user_agent="OpenAI/Python 2.54.0",
        client_url="http://127.0.0.1:4000/v1/chat/completions",
        forwarded_url="https://api.openai.com/v1/chat/completions", hooks_changed=["inject_auth"],
    )  # fmt: skip
    add_side(
        chat,
        "client",
        {"Content-Type": "application/json"},
        request,
        method="POST",
        url=chat.client_url,
    )
    add_side(
        chat,
        "forwarded",
        {"Content-Type": "application/json"},
        request,
        method="POST",
        url=chat.forwarded_url,
    )
    add_side(
        chat,
        "upstream",
        {"content-type": "application/json"},
        json.dumps(answer).encode(),
        status_code=200,
    )
    error = json.dumps(
        {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
    )
    denied = add_flow(
        "unauthorised", 25, host="api.anthropic.com", path="/v1/messages", provider="anthropic",
        status_code=401,
        requested_model="claude-haiku-4-5", credential_injected=True, duration_ms=210.0,
        first_byte_ms=208.0,
        request_size_bytes=2100, response_size_bytes=len(error), user_agent="anthropic-python/2.12",
    )  # fmt: skip
    add_side(
        denied, "upstream", {"content-type": "application/json"}, error.encode(), status_code=401
    )
    google = sse(
        {"candidates": [{"content": {"parts": [{"text": "Let me think.", "thought": True}]}}]},
        {
            "candidates": [{"content": {"parts": [{"text": "Paris."}]}}],
            "usageMetadata": {"candidatesTokenCount": 2},
        },
        named=False,
    )
    gemini = add_flow(
        "google", 31, host="generativelanguage.googleapis.com", provider="google", status_code=200,
        is_stream=True,
        path="/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        requested_model="gemini-2.5-flash",
        duration_ms=1400, first_byte_ms=800, first_event_ms=805, request_size_bytes=120,
        response_size_bytes=240,
        input_tokens=12, output_tokens=2, user_agent="google-genai-sdk/2.8",
        credential_injected=True,
    )  # fmt: skip
    add_side(
        gemini, "upstream", {"content-type": "text/event-stream"}, b"".join(google), status_code=200
    )
    add_flow(
        "failed", 44, host="127.0.0.1", path="/v1/messages", provider="local", state="error",
        duration_ms=12.0,
        requested_model="qwen3-coder",
        error="Nothing listens on 127.0.0.1:8080. Is the model server running?",
        user_agent="claude-cli/2.1.330", rule="cheap-evenings", action="redirect",
        request_size_bytes=41_000,
    )  # fmt: skip
    add_flow(
        "count", 51, host="api.anthropic.com", path="/v1/messages/count_tokens?beta=true",
        provider="anthropic",
        status_code=200, duration_ms=88.0, first_byte_ms=87.0, requested_model="claude-haiku-4-5",
        session_id=SESSION,
        request_size_bytes=51_900, response_size_bytes=22, credential_injected=True,
        hooks_changed=["inject_auth"],
    )  # fmt: skip


HOSTILE = "<script>alert(1)</script>\u202egnp.exe\x1b[31m\x00\udc80'\"><img src=x onerror=alert(2)>"


def seed_hostile() -> Flow:
    """Every stored field is hostile."""
    nasty = HOSTILE.replace("\x00", "").replace("\udc80", "")
    flow = add_flow(
        "hostile", 60, host=nasty, path=f"/v1/{nasty}", provider=nasty[:64], rule=nasty[:100],
        requested_model=nasty,
        sent_model=f"{nasty}2", session_id=nasty, status_code=200, error=nasty, route=nasty,
        user_agent=nasty,
        hooks_changed=[nasty], client_url=nasty, forwarded_url=f"{nasty}2", is_stream=True,
        method=nasty[:20],
    )  # fmt: skip
    body = json.dumps({"a" + HOSTILE: HOSTILE, "list": [HOSTILE * 40]}).encode()
    other = json.dumps({"a" + HOSTILE: HOSTILE + "x", "list": [HOSTILE * 41]}).encode()
    add_side(flow, "client", {nasty: nasty}, body, method=nasty[:20], url=nasty)
    add_side(flow, "forwarded", {nasty: nasty + "2"}, other, method=nasty[:20], url=nasty)
    event = (
        f"event: {nasty}\ndata: ".encode()
        + json.dumps({"choices": [{"delta": {"content": HOSTILE}}]}).encode()
    )
    add_side(
        flow,
        "upstream",
        {nasty: nasty},
        event + b"\n\ndata: \xff\xfe<script>\n\n",
        status_code=200,
        reason=nasty,
    )
    add_trace(
        flow.pk, seq=0, stage="inbound", hook=nasty, outcome="error", reason=nasty,
        changed=[f"header:{nasty}"],
        headers_before=[[nasty, nasty]], headers_after=[[nasty, "x"]],
    )  # fmt: skip
    WebSocketMessage.objects.create(
        flow=flow,
        seq=0,
        at_ms=1,
        from_client=True,
        is_text=True,
        size_bytes=9,
        body_digest=store(nasty.encode()),
    )
    return flow


@made_once("flows")
def seed_all() -> None:
    """One of each."""
    seed_anthropic()
    seed_redirect()
    seed_websocket()
    seed_live()
    seed_small()
    seed_hostile()
