"""Units, visible text, folded JSON, event times, the timing bar and the sentence: what the pages
are made of.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from flows.compare.compared_request import ComparedRequest
from flows.compare.request_change import compare_requests
from flows.display import json_tree, units
from flows.display.safe_text import printable, visible
from flows.display.timing import timing_bar
from flows.models import Flow
from flows.reading.body_view import body_view
from flows.reading.sentence import sentence
from flows.reading.sse_events import timed_events
from flows.sides import HookTrace


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0 B"), (999, "999 B"), (1_000, "1.0 KB"), (12_400, "12.4 KB"), (999_499,
    "999 KB"),
     (999_500, "1.0 MB"), (3_100_000, "3.1 MB"), (5_000_000_000, "5.0 GB")],
)  # fmt: skip
def test_sizes(value: int | None, text: str):
    assert units.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0 ms"), (0.04, "0.04 ms"), (0.999, "1.0 ms"), (3.14, "3.1 ms"), (612.4,
    "612 ms"),
     (999.6, "1.0 s"), (4103.8, "4.1 s"), (59_960, "1 m 00 s"), (125_000, "2 m 05 s"), (3_725_000,
     "1 h 02 m")],
)  # fmt: skip
def test_durations(value: float | None, text: str):
    assert units.duration(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (342, "342"),
        (12_904, "12.9 k"),
        (999_499, "999 k"),
        (1_200_000, "1.2 M"),
    ],
)
def test_counts(value: int | None, text: str):
    assert units.count(value) == text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("<b>&'\"", "&lt;b&gt;&amp;&#x27;&quot;"),
        ("a\tb\nc", "a\tb\nc"),
        ("a\r\nb\rc", 'a\nb<span class="ctl">\\r</span>c'),
        ("\x1b[31m", '<span class="ctl">\\x1b</span>[31m'),
        ("\u202e", '<span class="ctl">\\u202e</span>'),
        ("\udcff", '<span class="ctl">\\xff</span>'),
        ("\ud83d", '<span class="ctl">\\ud83d</span>'),
        ("\U000e0041", '<span class="ctl">\\U000e0041</span>'),
        ("👩\u200d👩 ä", "👩\u200d👩 ä"),
    ],
)
def test_misleading_characters_are_spelled_out(text: str, html: str):
    assert visible(text) == html


def test_attributes_get_no_markup():
    assert printable("\u202e<\x00") == "\\u202e<\\x00"


# --- JSON


def test_json_is_folded_with_sizes_and_escaped():
    html = json_tree.tree(
        {"messages": [{"role": "user", "content": "<b>"}], "n": None, "t": True, "empty": []}, "/x"
    )
    assert '<span class="label">user</span>' in html
    assert "&lt;b&gt;" in html
    assert "1 item · 33 B" in html
    assert '<span class="const">null</span>' in html
    assert '<span class="const">[]</span>' in html


def test_big_branches_are_fetched_later():
    value = {"tools": [{"name": "x" * 20_000}, {"name": "y"}] * 9, "a/b~": {"k": ["z" * 13_000]}}
    html = json_tree.tree(value, "/x")
    assert len(html) < 30_000
    assert 'hx-get="/x?path=%2Ftools"' in html
    assert 'hx-get="/x?path=%2Fa~1b~0%2Fk"' in html
    assert json_tree.resolve(value, "/a~1b~0/k/0") == "z" * 13_000


@pytest.mark.parametrize(
    "pointer", ["/nope", "/tools/9", "/tools/-1", "/tools/x", "/tools/0/name/0"]
)
def test_a_wrong_branch_is_refused(pointer: str):
    with pytest.raises(LookupError):
        json_tree.resolve({"tools": [{"name": "x"}]}, pointer)


@pytest.mark.parametrize(
    "value",
    [
        10**400,
        float("nan"),
        "\ud800",
        ["x"] * 10_000,
        json.loads("[" * 900 + "]" * 900),
        {"": {"": [{}]}},
    ],
)
def test_odd_json_is_shown(value: Any):
    html = json_tree.tree(value, "/x")
    html.encode()
    assert len(html) < 100_000


# --- bodies


@pytest.mark.parametrize(
    ("data", "content_type", "kind"),
    [
        (b"", "", "empty"),
        (b'{"a": 1}', "", "json"),
        (b" [1]", "text/plain", "json"),
        (b'{"a": ', "application/json", "text"),
        (b"data: {}\n\n", "", "events"),
        (b"{}", "text/event-stream", "events"),
        (b"\x89PNG\x00\xff", "image/png", "binary"),
        (b"caf\xc3\xa9", "", "text"),
        (b"[" * 50_000, "", "text"),
    ],
)
def test_bodies_are_recognised(data: bytes, content_type: str, kind: str):
    assert body_view("client", data, content_type).kind == kind


def test_a_damaged_encoding_is_said_and_shown():
    view = body_view("client", b"not gzip", "text/plain", "gzip")
    assert "damaged" in view.notes[0]
    assert view.text == "not gzip"


def test_a_huge_body_is_cut_for_the_page():
    view = body_view("client", b"x" * 5_000_000)
    assert view.cut
    assert len(view.text) == 200_000


def test_the_same_json_in_other_words_is_said():
    before = ComparedRequest("/", [], body_view("", b'{"a":1,"b":2}'))
    after = ComparedRequest("/", [], body_view("", b'{"b": 2, "a": 1}'))
    change = compare_requests(before, after)
    assert change.body == []
    assert "order of keys" in change.body_note


# --- time


def test_an_event_has_the_time_of_the_piece_that_completes_it():
    body = b"data: 1\n\ndata: 2\n\ndata: 3\n\n"
    found = timed_events(body, [[0, 10.0], [9, 30.0], [20, 70.0]]).events
    assert [(e.data, e.at_ms, e.gap_ms) for e in found] == [
        (b"1", 10, None),
        (b"2", 30, 20),
        (b"3", 70, 40),
    ]


def test_without_times_the_events_have_none():
    assert [(e.at_ms, e.gap_ms) for e in timed_events(b"data: 1\n\n", []).events] == [(None, None)]


def test_the_bar_is_made_of_known_moments_only():
    bar = timing_bar(
        Flow(connect_ms=None, first_byte_ms=250, first_event_ms=240, duration_ms=1000),
        [[0, 250], [5, 900]],
    )
    assert [(p.name, p.start_ms, p.end_ms, p.x, p.width) for p in bar.phases] == [
        ("wait", 0, 250, 0, 250),
        ("event", 250, 250, 250, 0),
        ("rest", 250, 1000, 250, 750),
    ]
    assert bar.ticks == [250, 900]
    assert bar.longest_gap_ms == 650
    assert timing_bar(Flow(), []).total_ms is None


# --- the sentence


def say(*traces: dict[str, Any], **fields: Any) -> str:
    values = {
        "method": "POST",
        "path": "/v1/messages?x=1",
        "state": "done",
        "status_code": 200,
        "duration_ms": 900.0,
    }
    steps = [HookTrace(seq=n, outcome="ran", **trace) for n, trace in enumerate(traces)]
    return " · ".join(part.text for part in sentence(Flow(**(values | fields)), steps))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"requested_model": "m", "provider": "p", "credential_injected": True},
            "POST /v1/messages · m → provider p by sentinel · no hook changed it · 200 in 900 ms",
        ),
        (
            {"requested_model": "m", "sent_model": "n", "provider": "p", "rule": "r"},
            (
                "POST /v1/messages · m → n at provider p by rule “r” · no hook changed it · 200 in"
                " 900 ms"
            ),
        ),
        (
            {"host": "h", "status_code": 404},
            "POST /v1/messages · to h · no hook changed it · 404 in 900 ms",
        ),
        ({"action": "local"}, "POST /v1/messages · answered by ccproxy itself · 200 in 900 ms"),
        (
            {"action": "refused", "state": "error", "status_code": 501},
            "POST /v1/messages · refused by ccproxy · 501 in 900 ms",
        ),
        (
            {"host": "h", "state": "live", "status_code": None, "duration_ms": None},
            "POST /v1/messages · to h · no hook changed it · waiting for the response",
        ),
        (
            {"host": "h", "state": "live", "is_websocket": True, "status_code": 101},
            "POST /v1/messages · to h · no hook changed it · websocket open",
        ),
        (
            {"host": "h", "state": "error", "is_stream": True},
            "POST /v1/messages · to h · no hook changed it · 200 cut off in 900 ms",
        ),
    ],
)
def test_the_sentence(fields: dict[str, Any], text: str):
    assert say(**fields) == text


def test_the_sentence_counts_what_hooks_changed():
    text = say(
        {"hook": "a", "changed": ["header:x", "header:y"]},
        {"hook": "b", "changed": ["header:y", "body"]},
        host="h",
    )
    assert "2 hooks changed 2 headers and the body" in text


@pytest.mark.parametrize(
    ("traces", "text"),
    [
        ([{"hook": "inject_auth", "stage": s, "changed": [f"header:{s}"]} for s in ("inbound",
        "egress")],
         "hooks set only the credential"),
        ([{"hook": "redirect", "stage": "transform", "changed": ["url", "header:host"]}],
        "no hook changed it"),
        ([{"hook": "a", "changed": ["meta:x"]}], "no hook changed it"),
        ([{"hook": "a", "changed": ["meta:x"]}, {"hook": "b", "changed": ["url"]}],
        "b changed the address"),
    ],
)  # fmt: skip
def test_routing_and_notes_are_no_changes_by_hooks(traces: list[dict[str, Any]], text: str):
    assert f" · {text} · " in say(*traces, host="h")


def test_a_row_without_traces_names_its_hooks_once():
    assert "2 hooks changed it" in say(hooks_changed=["a", "redirect", "b", "a"], host="h")
