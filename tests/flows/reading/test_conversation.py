"""The Conversation and Context tabs: what was said, what is the same as before, and why the cache
broke.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.test import Client

from flows.display.markdown import rendered
from flows.lineage.cache_break import HookBodies, broken_by_client, culprit, find_break
from flows.models import FlowBody, WebSocketMessage
from flows.reading.context_size import context_size
from flows.reading.conversation.conversation_view import conversation
from flows.reading.decoded import format_of, read_answer, read_request
from flows.reading.turn_digest import common_turns, same_system, same_tools
from flows.reading.websocket_chat import socket_exchange
from interceptor.exchange.conversation_id import conversation_id
from tests.flows.seed import HOSTILE, IDS, add_flow, add_side, seed_all, store
from tests.flows.seed_session import TURN_IDS, picture, seed_session
from tests.providers.wire.cases import load

FIRST, SECOND, THIRD = TURN_IDS


@pytest.fixture
def session(staff: Client) -> Client:
    seed_session()
    return staff


def page(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", html))


# --- pure


def test_every_recorded_exchange_is_a_conversation(corpus: Path) -> None:
    turns = bytes_seen = 0
    for case in load(corpus):
        url = f"http://x{case.path}"
        wire = format_of("", url) or case.format
        answer = case.answer if isinstance(case.answer, bytes) else json.dumps(case.answer).encode()
        read = read_answer(wire, answer, case.status)
        assert read.note == "", case.id
        assert read.blocks or read.failure or read.finish, case.id
        request, note = read_request(wire, url, json.dumps(case.body).encode())
        if isinstance(case.body, dict):
            assert request is not None, (case.id, note)
            view = conversation(request, read, str)
            assert len(view.turns) <= len(request.turns)
            turns += len(view.turns)
            bytes_seen += context_size(request).total_bytes
    assert turns > 500
    assert bytes_seen > 100_000


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"messages": 3}', b'{"messages": [[[]]]}', b"\xff", b"[" * 9000]
)
def test_a_broken_request_or_answer_says_why(body: bytes) -> None:
    request, note = read_request("anthropic_messages", "/v1/messages", body)
    assert request is None
    assert note
    answer = read_answer("anthropic_messages", body, 200)
    assert answer.note or answer.failure


@pytest.mark.parametrize(
    "source",
    [
        "<script>alert(1)</script>", "[x](javascript:alert(1))", "![x](https://example.org/p.png)",
        "<img src=x onerror=y>", "[x](data:text/html,x)", "<style>*{}</style>", "\u202eevil",
        "[" * 5000,
        "> " * 3000 + "x", HOSTILE,
    ],
)  # fmt: skip
def test_markdown_cannot_run_load_or_hide_anything(source: str) -> None:
    html = str(rendered(source))
    assert not re.search(
        r"<(script|img|style|iframe)|javascript:[^)]*\"|\u202e|\sonerror=\"|\sstyle=", html
    )
    assert 'href="data:' not in html
    assert 'href="javascript' not in html


def test_raw_html_is_shown_as_it_was_written() -> None:
    assert "&lt;b&gt;bold&lt;/b&gt;" in rendered("say <b>bold</b>")


def test_a_billing_header_is_no_part_of_the_system_prompt() -> None:
    old, new, other = (
        read_request(
            "anthropic_messages", "/v1/messages", json.dumps(body(system=system)).encode()
        )[0]
        for system in (
            BILLED,
            [{"type": "text", "text": f"{BILLED[0]['text']}2"}, BILLED[1]],
            BILLED[:1],
        )
    )
    assert old is not None
    assert new is not None
    assert other is not None
    assert same_system(new, old)
    assert not same_system(other, old)


BILLED = [
    {"type": "text", "text": "x-anthropic-billing-header: cch=1"},
    {"type": "text", "text": "Be brief."},
]
SYSTEM = [{"type": "text", "text": "Be brief."}]
TOOLS = [{"name": "Read"}, {"name": "Bash"}]
HISTORY = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]


def body(**changes: object) -> dict[str, object]:
    return {"model": "m", "system": SYSTEM, "tools": TOOLS, "messages": HISTORY, **changes}


def marked(said: str) -> list[dict[str, object]]:
    return [{"type": "text", "text": said, "cache_control": {"type": "ephemeral"}}]


@pytest.mark.parametrize(
    ("now", "place"),
    [
        (body(), None),
        (body(messages=[*HISTORY, {"role": "user", "content": "three"}]), None),
        (body(messages=[{"role": "user", "content": marked("one")}, HISTORY[1]]), None),
        (body(system="Be brief."), None),
        (
            body(system=[{"type": "text", "text": "x-anthropic-billing-header: cch=1"}, *SYSTEM]),
            None,
        ),
        (body(model="other"), ("model", "model")),
        (body(tools=TOOLS[1:]), ("tools[name=Read]", "removed")),
        (body(tools=[TOOLS[0], {"name": "New"}, TOOLS[1]]), ("tools[name=New]", "inserted")),
        (
            body(tools=[TOOLS[0], {"name": "Bash", "description": "x"}]),
            ("tools[name=Bash]", "changed"),
        ),
        (body(system=marked("Be long.")), ("system[0]", "changed")),
        (
            body(messages=[HISTORY[0], {"role": "user", "content": "so"}, HISTORY[1]]),
            ("messages[1]", "inserted"),
        ),
        (body(messages=HISTORY[:1]), ("messages[1]", "removed")),
    ],
)
def test_the_first_difference_is_named(
    now: dict[str, object], place: tuple[str, str] | None
) -> None:
    found = find_break(now, body())
    assert (found and (found.path, found.kind)) == place


def test_of_two_hooks_the_one_that_made_the_difference_is_named() -> None:
    constant = [{"type": "text", "text": "Be brief. And kind."}]
    before = body(system=constant)
    dated = body(
        system=constant, messages=[{"role": "user", "content": "one, on Friday"}, HISTORY[1]]
    )
    found = find_break(dated, before)
    assert found is not None
    assert found.path == "messages[0]"
    assert not broken_by_client(found, body(), body())
    hooks = [
        HookBodies("kind", body(), body(system=constant)),
        HookBodies("date", body(system=constant), dated),
    ]
    assert culprit(found, hooks) == "date"
    assert culprit(found, hooks[:1]) == ""


@pytest.mark.parametrize("shape", ["chat", "responses", "google", "code assist"])
def test_every_format_has_its_places(shape: str) -> None:
    google = {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [{"role": "user", "parts": [{"text": "a"}]}],
    }
    other = {**google, "contents": [{"role": "user", "parts": [{"text": "b"}]}]}
    before, now, path = {
        "chat": (
            {"messages": [{"role": "system", "content": "s"}]},
            {"messages": [{"role": "system", "content": "t"}]},
            "messages[0]",
        ),
        "responses": (
            {"instructions": "s", "input": "q"},
            {"instructions": "s", "input": "r"},
            "input[0]",
        ),
        "google": (
            google,
            {**google, "systemInstruction": {"parts": [{"text": "t"}]}},
            "systemInstruction[0]",
        ),
        "code assist": ({"request": google}, {"request": other}, "contents[0]"),
    }[shape]
    found = find_break(now, before)
    assert found is not None
    assert found.path == path


# --- pages


def test_the_conversation_is_the_first_tab_and_joins_calls_with_their_results(
    session: Client,
) -> None:
    html = page(session, f"/flows/{SECOND}/?all=1")
    assert html.index("<kbd>1</kbd>Conversation") < html.index("<kbd>2</kbd>Client")
    call = html.index('<div class="call">')
    assert call < html.index("failed", call) < html.index("1 failed, 12 passed")
    assert html.count("1 failed, 12 passed") == 1
    assert "<strong>Windows</strong>" in html
    assert "<strong>carriage return</strong>" in html
    assert "https://example.org/chart.png" in html
    assert not re.search(r'<img[^>]+src="(?!/)', html)
    assert "system reminder, added by the client" in html


def test_what_the_previous_request_had_is_left_out(session: Client) -> None:
    html = page(session, f"/flows/{SECOND}/")
    assert "Show 1 earlier turn" in text(html)
    assert "<strong>Windows</strong>" not in html
    assert "same as in the previous request" in text(html)
    forwarded = text(page(session, f"/flows/{SECOND}/?tab=chat&part=forwarded"))
    assert "System prompt 1.1 KB · changed since the previous request" in forwarded
    assert "6 tools 6.0 KB · same as in the previous request" in re.sub(
        r"\d\.\d KB · same", "6.0 KB · same", forwarded
    )


def test_a_long_history_is_cut_and_can_be_opened(staff: Client) -> None:
    turns = [{"role": ("user", "assistant")[n % 2], "content": f"word{n}."} for n in range(450)]
    flow = add_flow("long", 1, path="/v1/messages", client_format="anthropic_messages")
    add_side(
        flow,
        "client",
        {},
        json.dumps({"model": "m", "messages": turns}).encode(),
        url="http://x/v1/messages",
    )
    short, long = page(staff, "/flows/long/"), page(staff, "/flows/long/?all=1")
    assert "word410." in short
    assert "word409." not in short
    assert "Show 410 earlier turns" in text(short)
    assert "word50." in long
    assert "word49." not in long
    assert "50 earlier turns are left out" in text(long)


def test_an_image_is_a_thumbnail_of_our_own(session: Client) -> None:
    html = page(session, f"/flows/{SECOND}/")
    address = re.search(r'<img src="(/flows/[^"]+)"', html)
    assert address
    answer = session.get(address[1])
    assert (answer.content, answer["Content-Type"]) == (picture(), "image/png")
    assert answer["X-Content-Type-Options"] == "nosniff"
    for wrong in ("client/1", "client/99999", "delivered/0", "nonsense/0"):
        assert session.get(f"/flows/{SECOND}/image/{wrong}").status_code == 404


@pytest.mark.parametrize("view", ["json", "raw"])
def test_json_and_raw_show_both_bodies(session: Client, view: str) -> None:
    html = page(session, f"/flows/{SECOND}/?tab=chat&view={view}")
    assert "toolu_11" in html
    assert "message_start" in html


def test_a_hook_that_broke_the_cache_is_named_with_its_cost(session: Client) -> None:
    said = text(page(session, f"/flows/{SECOND}/?tab=context"))
    assert "The cache broke at system[0], changed by the hook my_hooks.add_date" in said
    assert (
        "12.9 k written into it; 12.0 k were there after the previous request, so 12.0 k were lost"
        in said
    )


def test_a_client_that_broke_the_cache_is_named(session: Client) -> None:
    said = text(page(session, f"/flows/{THIRD}/?tab=context"))
    assert (
        "The cache broke at tools[name=Read], removed by the client; 0 % of the previous prompt"
        in said
    )


def test_the_first_request_has_nothing_to_compare_with(session: Client) -> None:
    html = page(session, f"/flows/{FIRST}/?tab=context")
    assert "Prompt cache" not in html
    assert "6 % of a window of 200 k" in text(html)


@pytest.mark.parametrize("tab", ["chat", "chat&view=json", "chat&part=forwarded", "context"])
def test_the_tabs_of_every_flow_stay_safe(staff: Client, tab: str) -> None:
    seed_all()
    seed_session()
    for flow_id in [*IDS.values(), SECOND]:
        html = page(staff, f"/flows/{flow_id}/?tab={tab}")
        hidden = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
        assert not re.search(rf"<img src=x|<script>alert|\sstyle=|{hidden}", html)


def test_bodies_that_were_pruned_are_said_to_be_gone(session: Client) -> None:
    FlowBody.objects.all().delete()
    assert "not stored any more" in page(session, f"/flows/{SECOND}/")
    assert "not stored any more" in page(session, f"/flows/{SECOND}/?tab=context")
    assert session.get(f"/flows/{SECOND}/image/client/0").status_code == 404


def test_real_clients_keep_their_cache_over_a_tool_call(corpus: Path) -> None:
    checked = 0
    for recording in sorted((corpus / "clients").glob("*+tool.json")):
        posts = [
            entry
            for entry in json.loads(recording.read_text())
            if isinstance(entry.get("body"), dict)
        ]
        posts = [
            entry
            for entry in posts
            if format_of("", entry["path"]) and conversation_id(entry["body"])
        ]
        if len(posts) < 2 or conversation_id(posts[-1]["body"]) != conversation_id(
            posts[-2]["body"]
        ):
            continue
        before, now = posts[-2], posts[-1]
        assert find_break(now["body"], before["body"]) is None, recording.name
        read = [
            read_request(
                format_of("", entry["path"]) or "openai_chat",
                entry["path"],
                json.dumps(entry["body"]).encode(),
            )
            for entry in (before, now)
        ]
        (old, _), (new, _) = read
        assert old is not None
        assert new is not None
        assert common_turns(new.turns, old.turns) == len(old.turns), recording.name
        assert same_system(new, old), recording.name
        assert same_tools(new, old), recording.name
        checked += 1
    assert checked >= 12


def frames(*sent: dict[str, object]) -> list[tuple[bool, bytes]]:
    """Frames; the client's are those that ask."""
    return [(frame["type"] == "response.create", json.dumps(frame).encode()) for frame in sent]


SAID = {
    "type": "message",
    "id": "m1",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "I look."}],
}
CALL = {
    "type": "function_call",
    "id": "f1",
    "call_id": "c1",
    "name": "shell",
    "arguments": '{"command": "ls"}',
}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "two files"}
FIRST_FRAMES: list[dict[str, object]] = [
    {"type": "response.create", "model": "gpt-5", "generate": False, "input": [{"role": "user",
    "content": "Warm up"}]},
    {"type": "response.completed", "response": {"id": "r0", "status": "completed", "output": []}},
    {"type": "response.create", "model": "gpt-5", "instructions": "s", "input": [{"role": "user",
    "content": "x"}]},
    {"type": "response.output_item.done", "item": SAID},
    {"type": "response.output_item.done", "item": CALL},
    {"type": "response.completed", "response": {"id": "r1", "status": "completed", "output": []}},
]  # fmt: skip
NEXT_FRAMES: list[dict[str, object]] = [
    {"type": "response.create", "model": "gpt-5", "previous_response_id": "r1", "input": [OUTPUT]},
    {
        "type": "response.completed",
        "response": {"id": "r2", "status": "completed", "output": [{**SAID, "id": "m2"}]},
    },
]


def test_the_frames_of_a_websocket_make_one_conversation() -> None:
    request, answer = socket_exchange(
        [(True, b"\x00"), *frames(*FIRST_FRAMES, *NEXT_FRAMES), (False, b"[]")]
    )
    assert request is not None
    assert answer is not None
    assert [turn.role for turn in request.turns] == ["user", "assistant", "user"]
    view = conversation(request, answer, str)
    assert [item.kind for item in view.turns[1].items] == ["text", "call"]
    assert "two files" in str(view.turns[1].items[1].results[0].results[0].html)
    assert view.system is not None
    assert view.answer is not None
    assert len(view.answer.items) == 1


def test_a_websockets_conversation_is_shown(staff: Client) -> None:
    flow = add_flow(
        "socket", 1, path="/v1/responses", is_websocket=True, client_format="openai_responses"
    )
    for seq, (from_client, data) in enumerate(frames(*FIRST_FRAMES, *NEXT_FRAMES)):
        WebSocketMessage.objects.create(
            flow=flow, seq=seq, at_ms=seq, from_client=from_client, is_text=True,
            size_bytes=len(data),
            body_digest=store(data),
        )  # fmt: skip
    said = text(page(staff, "/flows/socket/?tab=chat"))
    assert "OpenAI Responses" in said
    assert "shell" in said
    assert "two files" in said
