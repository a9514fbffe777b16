"""The stream of an ask: every form of patch, in any mixture and any chunking, gives one text."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from providers.wire.core.ir import Failure, Text, Thinking
from providers.wire.core.sse import SseParser
from providers.wire.core.stream_event import BlockStart, CitationDelta, Delta, End, Event, Start
from providers.wire.perplexity.stream import PerplexityStreamDecoder
from providers.wire.rules.events import Collector

ANSWER, DONE = "ask_text_0_markdown", {"final_sse_message": True}


def patches(*found: tuple[str, Any], usage: str = ANSWER, field: str = "markdown_block") -> Any:
    listed = [{"op": "add", "path": path, "value": value} for path, value in found]
    return {"intended_usage": usage, "diff_block": {"field": field, "patches": listed}}


def bare(text: str, usage: str = ANSWER) -> Any:
    return {"intended_usage": usage, "markdown_block": {"answer": text}}


def plan(goals: Any = None, steps: Any = None, usage: str = "plan") -> Any:
    return {"intended_usage": usage, "plan_block": {"goals": goals or [], "steps": steps or []}}


def of_blocks(*blocks: Any) -> Any:
    return {"backend_uuid": "b", "thread_url_slug": "slug", "blocks": list(blocks)}


def encoded(*bodies: Any) -> bytes:
    return b"".join([f"data: {json.dumps(body)}\n\n".encode() for body in bodies])


def decoded(stream: bytes, cuts: list[int] | None = None) -> list[Event]:
    parser, decoder = SseParser(), PerplexityStreamDecoder()
    edges = [0, *sorted({cut % (len(stream) + 1) for cut in cuts or []}), len(stream)]
    events: list[Event] = []
    for start, end in pairwise(edges):
        for event in parser.feed(stream[start:end]):
            events += decoder.feed(event)
    for event in parser.flush():
        events += decoder.feed(event)
    return events + decoder.flush()


def texts(events: list[Event]) -> tuple[str, str]:
    """(answer, reasoning) of the events, whose blocks follow one after the other."""
    collector = Collector("perplexity_ask")
    collector.feed(events)
    blocks = collector.response.blocks
    said = [block.text for block in blocks if isinstance(block, Text)]
    thought = [block.text for block in blocks if isinstance(block, Thinking)]
    assert len(said) <= 1
    return "".join(said), "\n".join(thought)


@st.composite
def streams(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """(answer, events): pieces that grow the answer, each in a form drawn at random."""
    pieces = draw(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=8))
    bodies: list[Any] = []
    so_far = ""
    for number, piece in enumerate(pieces):
        before, so_far = so_far, so_far + piece
        form = draw(st.sampled_from("ABbCDdEn"))
        block = {
            "A": patches(("", {"answer": so_far})),
            "B": patches(("", {"chunks": [before, piece], "chunk_starting_offset": 0})),
            "b": patches(("", {"chunks": [piece], "chunk_starting_offset": number or None})),
            "C": patches((f"/chunks/{number}", piece)),
            "D": patches(("/markdown_block", {"answer": so_far})),
            "d": patches(("/markdown_block/answer", so_far)),
            "E": bare(so_far),
            "n": patches(("/progress", "DONE"), ("", {"answer": so_far})),
        }[form]
        others = [bare(so_far, "ask_text"), plan([{"description": "Think"}])]
        bodies.append(of_blocks(*draw(st.permutations([block, *others]))))
    bodies.append({**of_blocks(bare(so_far)), **DONE})
    return so_far, bodies


@given(streams(), st.lists(st.integers(0, 5000), max_size=12))
def test_any_forms_in_any_chunking_give_the_same_text(
    stream: tuple[str, list[Any]], cuts: list[int]
) -> None:
    answer, bodies = stream
    events = decoded(encoded(*bodies), cuts)
    assert texts(events) == (answer, "Think")
    assert isinstance(events[0], Start) and isinstance(events[-1], End)


def test_ids_notes_and_the_end_marker() -> None:
    followups = {
        "intended_usage": "pending_followups",
        "pending_followups": {"followups": [{"text": "And then?"}]},
    }
    first = {**of_blocks(bare("Hi")), "final": True}
    last = {**of_blocks(followups), "display_model": "pplx_pro", **DONE}
    events = decoded(encoded(first, last) + b"data: [DONE]\n\n")
    end = events[-1]
    assert isinstance(end, End) and end.finish.reason == "stop"
    assert end.notes == {
        "pplx_thread_url_slug": "slug",
        "pplx_display_model": "pplx_pro",
        "pplx_followups": ["And then?"],
    }


def test_the_mirror_counts_where_there_is_no_other_answer() -> None:
    events = decoded(encoded(of_blocks(bare("Only", "ask_text")), DONE))
    assert texts(events)[0] == "Only"


def test_a_new_beginning_is_said_and_noted() -> None:
    decoder = PerplexityStreamDecoder()
    stream = encoded(
        of_blocks(patches(("", {"answer": "Old"}))),
        of_blocks(patches(("", {"chunks": ["New"], "chunk_starting_offset": 0}))),
        DONE,
    )
    found = [event for one in SseParser().feed(stream) for event in decoder.feed(one)]
    assert texts(found)[0] == "OldNew"
    assert [loss.path for loss in decoder.losses] == ["answer"]


def test_goals_and_steps_are_reasoning() -> None:
    steps = [
        {"uuid": "0", "step_type": "INITIAL_QUERY", "initial_query_content": {"query": "Q"}},
        {"uuid": "1", "step_type": "SEARCH_WEB", "search_web_content": {"queries": []}},
    ]
    searched = {
        "uuid": "1",
        "step_type": "SEARCH_WEB",
        "content": {"queries": ["a", {"query": "b"}]},
    }
    called = {
        "uuid": "2",
        "step_type": "MCP_TOOL_INPUT",
        "goal_id": "g",
        "mcp_tool_input_content": {"app": "mail", "tool_name": "find", "tool_args": {"q": 1}},
    }
    result = {
        "uuid": "3",
        "step_type": "MCP_TOOL_OUTPUT",
        "goal_id": "g",
        "content": {"status": "ok"},
    }
    strange = {"uuid": "4", "step_type": "BROWSER_OPEN", "content": {"url": "https://a.example"}}
    events = decoded(
        encoded(
            of_blocks(plan([{"description": "Look"}], steps)),
            of_blocks(
                patches(("/goals/0/description", "Look up"), usage="plan", field="plan_block")
            ),
            of_blocks(plan([{"description": "Look up"}], [searched, searched])),
            of_blocks(
                patches(("/steps/2", called), ("/steps/3", result), usage="x", field="plan_block")
            ),
            of_blocks(plan(steps=[called, strange])),
            of_blocks(bare("Done")),
            DONE,
        )
    )
    assert texts(events) == (
        "Done",
        'Look up\nSearching: a; b\nCalling mail find {"q":1}\nResult of find: ok'
        "\nBrowser open: https://a.example",
    )


def test_late_reasoning_follows_the_one_text() -> None:
    events = decoded(
        encoded(
            of_blocks(plan([{"description": "First"}])),
            of_blocks(patches(("/chunks/0", "Hel"))),
            of_blocks(plan([{"description": "First"}, {"description": "Late"}])),
            of_blocks(patches(("/chunks/1", "lo"))),
            DONE,
        )
    )
    kinds = [type(event.block) for event in events if isinstance(event, BlockStart)]
    assert kinds == [Thinking, Text, Thinking]
    assert texts(events) == ("Hello", "First\nLate")


def test_the_text_field_is_read_where_no_block_has_a_plan() -> None:
    mirrored = json.dumps([{"uuid": "1", "step_type": "SEARCH_WEB", "content": {"queries": ["a"]}}])
    alone = decoded(encoded({**of_blocks(bare("Hi")), "text": mirrored}, DONE))
    assert texts(alone)[1] == "Searching: a"
    both = decoded(encoded({**of_blocks(plan([{"description": "G"}])), "text": mirrored}, DONE))
    assert texts(both)[1] == "G"


def test_questions_are_the_answer_with_a_mark() -> None:
    step = {
        "uuid": "q",
        "step_type": "RESEARCH_CLARIFYING_QUESTIONS",
        "research_clarifying_questions_content": {"questions": ["Which?", {"question": "When?"}]},
    }
    events = decoded(encoded(of_blocks(plan(steps=[step])), DONE))
    assert texts(events)[0] == "Which?\nWhen?"
    end = events[-1]
    assert isinstance(end, End) and end.notes["pplx_clarifying_questions"] == ["Which?", "When?"]


def test_marks_become_citations_with_offsets() -> None:
    results = [{"url": f"https://{n}.example", "name": f"N{n}"} for n in (1, 2, 3)]
    found = {"intended_usage": "web_results", "web_result_block": {"web_results": results}}
    events = decoded(encoded(of_blocks(found), of_blocks(bare("A [2] b [9] c [2]")), DONE))
    cited = [event.citation for event in events if isinstance(event, CitationDelta)]
    assert [(one.url, one.start, one.end) for one in cited] == [
        ("https://2.example", 2, 5),
        ("https://2.example", 14, 17),
        ("https://1.example", None, None),
        ("https://3.example", None, None),
    ]


def test_a_cut_or_failed_stream_is_a_failure() -> None:
    cut = decoded(encoded(of_blocks(bare("Hi"))))
    assert isinstance(cut[-1], Failure)
    failed = decoded(encoded({"status": "FAILED", "error_code": "RATE_LIMITED"}))
    assert isinstance(failed[-1], Failure) and failed[-1].status == 429
    said = decoded(encoded({"error": {"message": "no", "code": 403}}))
    assert isinstance(said[-1], Failure) and said[-1].status == 403


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["blocks", "intended_usage", "plan_block", "goals", "steps", "diff_block",
                         "field", "patches", "path", "value", "markdown_block", "web_result_block",
                         "web_results", "uuid", "step_type", "content", "text", "status"]),
        inner | st.sampled_from(["plan_block", "markdown_block", "", "/goals/0", "/chunks/0", ANSWER]),
        max_size=5),
    max_leaves=25))  # fmt: skip
def test_foreign_shapes_never_break_the_decoder(value: Any) -> None:
    body = value if isinstance(value, dict) else {"blocks": [value]}
    events = decoded(encoded(body, DONE))
    assert isinstance(events[-1], End | Failure)
    assert all(isinstance(event.text, str) for event in events if isinstance(event, Delta))
