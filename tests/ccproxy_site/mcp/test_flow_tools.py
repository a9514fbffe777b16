"""Tools that list flows and read them."""

from __future__ import annotations

import json

from ccproxy_site.mcp.text_window import window
from tests.flows.seed import IDS, add_flow, add_side


def test_flows_are_listed_newest_first(ask) -> None:
    found = ask("list_flows", limit=3)
    times = [flow["started_at"] for flow in found["flows"]]
    assert len(times) == 3
    assert times == sorted(times, reverse=True)
    assert "of " in found["note"]


def test_a_jq_filter_sees_the_complete_flows(ask) -> None:
    text = f'map(select(.id == "{IDS["chat"]}") | {{id, path: .request.path}})'
    found = ask("list_flows", jq_filter=text)
    assert [flow["id"] for flow in found["flows"]] == [IDS["chat"]]
    assert found["flows"][0]["path"].startswith("/")


def test_a_flow_has_its_four_sides(ask) -> None:
    found = ask("get_flow", flow_id=IDS["anthropic"][:13])
    assert found["flow"]["id"] == IDS["anthropic"]
    assert {"client", "forwarded"} <= set(found["flow"]["sides"])
    gone = ask("get_flow", flow_id="nothing-like-it")
    assert gone["flow"] is None
    assert "no flow" in gone["note"]


def test_bodies_are_texts(ask) -> None:
    request = ask("get_request_body", flow_id=IDS["anthropic"])
    assert request["side"] == "client"
    assert json.loads(request["part"]["text"])["messages"]
    response = ask("get_response_body", flow_id=IDS["anthropic"])
    assert response["side"] == "upstream"
    assert response["part"]["text"]


def test_a_body_of_five_megabytes_comes_in_parts(ask) -> None:
    text = json.dumps({"messages": ["ä" * 2_500_000]}, ensure_ascii=False)
    flow = add_flow("large", 1)
    add_side(flow, "client", {"content-type": "application/json"}, text.encode())
    found = ask("get_request_body", flow_id=flow.pk)
    part = found["part"]
    assert found["size_bytes"] > 5_000_000
    assert len(part["text"]) < 13_000
    assert part["text"].endswith('"]}')
    assert not part["complete"]
    following = ask("get_request_body", flow_id=flow.pk, offset=part["next_offset"], limit=9)
    assert following["part"]["text"] == text[part["next_offset"] :][:9]


def test_windows_join_to_the_text() -> None:
    text = "".join(chr(97 + number % 26) for number in range(100))
    found = ""
    offset: int | None = 0
    while offset is not None:
        part = window(text, offset, 7)
        found += part.text
        offset = part.next_offset
    assert found == text
    assert window(text, None, 100).complete
    both = window(text, None, 40)
    assert both.text.startswith(text[:30])
    assert both.text.endswith(text[-10:])
    assert both.next_offset == 30
