"""Flows as HAR: valid, whole, redacted, and written piece by piece."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from flows.bodies.complete_flow import CompleteFlow, load_flows
from flows.export.har import har_text
from flows.models import Flow
from tests.flows.export.har_schema import assert_valid
from tests.flows.seed import IDS, add_flow, add_side, seed_all
from tests.parts import change_sides
from tests.rows import make_flow

pytestmark = pytest.mark.django_db


def har(*ids: str) -> dict[str, Any]:
    chosen = list(ids) or list(
        Flow.objects.order_by("started_at", "id").values_list("pk", flat=True)
    )
    rows = Flow.objects.in_bulk(chosen)
    found: dict[str, Any] = json.loads(
        b"".join(har_text((rows[pk] for pk in chosen), load_flows(chosen)))
    )
    assert_valid(found)
    return found["log"]  # type: ignore[no-any-return]


def test_every_kind_of_flow_is_valid_and_has_its_page_and_two_entries():
    seed_all()
    log = har()
    ids = [page["id"] for page in log["pages"]]
    assert len(ids) == Flow.objects.count()
    assert [entry["pageref"] for entry in log["entries"]] == [
        flow_id for flow_id in ids for _ in range(2)
    ]
    assert all(page["id"] in page["title"] for page in log["pages"])
    assert all(page["pageTimings"] == {"onContentLoad": -1, "onLoad": -1} for page in log["pages"])
    assert log["creator"]["name"] == "ccproxy"


def test_no_flows_are_a_valid_document_too():
    assert har()["entries"] == []


def test_the_first_entry_is_what_left_and_the_second_what_the_client_saw():
    seed_all()
    outer, inner = har(IDS["redirect"])["entries"]
    assert outer["request"]["url"] == "http://127.0.0.1:8080/api/v1/messages"
    assert json.loads(outer["request"]["postData"]["text"])["model"] == "qwen3-coder"
    assert inner["request"]["url"] == "http://127.0.0.1:4000/v1/messages"
    assert json.loads(inner["request"]["postData"]["text"])["model"] == "claude-sonnet-4-5"
    assert {"name": "x-ccproxy-flow", "value": IDS["redirect"]} in inner["response"]["headers"]
    assert {"name": "x-ccproxy-flow", "value": IDS["redirect"]} not in outer["response"]["headers"]
    assert (outer["timings"]["connect"], inner["timings"]["connect"]) == (0.4, -1)
    assert outer["time"] == inner["time"] == 1831.9


def test_a_missing_side_is_taken_from_its_counterpart_and_a_missing_answer_has_status_0():
    seed_all()
    outer, inner = har(IDS["chat"])["entries"]
    assert inner["response"] == outer["response"]
    failed, _ = har(IDS["failed"])["entries"]
    assert failed["response"]["status"] == 0
    assert "Nothing listens" in failed["response"]["_error"]


def test_bodies_are_decoded_and_binary_ones_are_base64():
    flow = add_flow("x", 1, status_code=200, client_url="http://h/", forwarded_url="https://h/")
    packed = gzip.compress(b'{"a": 1}' * 20)
    add_side(
        flow,
        "client",
        {"content-type": "application/x"},
        b"\xff\x00\x01",
        url="http://h/",
        method="POST",
    )
    answer = {"content-type": "application/json", "content-encoding": "gzip"}
    add_side(flow, "upstream", answer, packed, status_code=200)
    outer, _ = har("x")["entries"]
    assert base64.b64decode(outer["request"]["postData"]["text"]) == b"\xff\x00\x01"
    assert outer["request"]["postData"]["_encoding"] == "base64"
    content = outer["response"]["content"]
    assert (content["text"], content["size"]) == ('{"a": 1}' * 20, 160)
    assert content["compression"] == 160 - len(packed)
    assert outer["response"]["bodySize"] == len(packed)


def test_credentials_go_by_name_even_if_the_record_had_them():
    flow = make_flow(body=b"{}")
    secrets = [
        ["Authorization", "Bearer sk-live-4711-4711-4711"],
        ["cookie", "sid=4711abc; a=4711abc"],
    ]
    secrets += [["X-Api-Key", "sk-4711-4711-4711"], ["x-api-key", "sk-ant-oat-ccproxy-anthropic"]]
    change_sides(flow.pk, headers=[*secrets, ["set-cookie", "sid=4711abc; Path=/"]])
    text = json.dumps(har(flow.pk), ensure_ascii=False)
    assert "4711" not in text.replace(flow.pk, "")
    assert "sk-ant-oat-ccproxy-anthropic" in text
    assert "Bearer ‹redacted " in text


def test_what_is_redacted_keeps_its_mark():
    seed_all()
    outer, _ = har(IDS["anthropic"])["entries"]
    assert {"name": "authorization", "value": "Bearer ‹redacted 3f9a21›"} in outer["request"][
        "headers"
    ]


def test_websocket_messages_are_where_chrome_looks_for_them():
    seed_all()
    outer, inner = har(IDS["websocket"])["entries"]
    assert outer["_resourceType"] == "websocket"
    assert [message["type"] for message in outer["_webSocketMessages"]] == [
        "send",
        *["receive"] * 4,
    ]
    assert [message["opcode"] for message in outer["_webSocketMessages"]] == [1, 1, 1, 2, 1]
    assert base64.b64decode(outer["_webSocketMessages"][3]["data"]) == b"\x00\x01\x02binary"
    assert "_webSocketMessages" not in inner


def test_a_body_that_was_not_kept_is_said_to_be_missing():
    flow = make_flow(body=b"abc")
    change_sides(flow.pk, "client", body_digest="")
    change_sides(flow.pk, "upstream", body_truncated=True, body_size_bytes=900)
    outer, inner = har(flow.pk)["entries"]
    assert inner["request"]["postData"]["comment"] == "The body (3 bytes) was not kept."
    assert outer["response"]["content"]["comment"] == "Only the first 3 of 900 bytes were kept."


def test_flows_are_asked_for_one_at_a_time():
    rows = [make_flow(body=b"%d" % number) for number in range(3)]
    asked: list[str] = []

    def watched() -> Iterator[CompleteFlow]:
        for flow in load_flows([row.pk for row in rows]):
            asked.append(flow.flow.pk)
            yield flow

    pieces = har_text(iter(rows), watched())
    while not asked:
        next(pieces)
    assert len(asked) == 1
