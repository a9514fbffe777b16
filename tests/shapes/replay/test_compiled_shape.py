"""Shapes as the proxy runs them: compiled once, refused with a sentence, never changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shapes.replay.compiled_shape import ShapeRow, client_family, client_release, compile_shape
from shapes.replay.inner_hook_names import BadInnerHooks, own_hooks
from shapes.replay.merge_strategy import BadStrategy
from shapes.replay.shape_document import ShapeParts
from shapes.replay.shape_text import BadShape, read_body
from shapes.replay.shipped_profiles import GENERIC, SHIPPED
from shapes.replay.unified_diff import BadPatch

ROW = ShapeRow(
    provider_type="anthropic",
    version=3,
    parts=ShapeParts(
        "POST",
        "https://h.example",
        "/v1/messages",
        "beta=true",
        (("User-Agent", "Ref-CLI/2.1 (x)"), ("Accept-Encoding", "br"), ("x-app", "cli")),
        '{"system":["S"],"x":{"y":[]}}',
    ),
    client_version="2.1",
    content_fields=("system", "messages"),
    merge_strategies={"system": "prepend_shape:1"},
    strip_headers=("user-agent",),
)


def test_a_shape_is_compiled_with_what_identifies_its_client():
    shape = compile_shape(ROW)
    assert (shape.label, shape.family, shape.client) == ("anthropic v3", "ref-cli", "ref-cli 2.1")
    assert shape.headers == ((b"Accept-Encoding", b"br"), (b"x-app", b"cli"))
    assert shape.query == ("beta=true",)
    assert shape.billing is None


def test_a_hook_that_changes_a_shaped_body_does_not_change_the_shape():
    shape = compile_shape(ROW)
    shape.injected({"messages": []}).body["x"]["y"].append("changed")
    assert shape.injected({}).body == {"system": ["S"], "x": {"y": []}}


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (replace(ROW, patches=(("p", "nothing"),)), BadPatch),
        (replace(ROW, parts=replace(ROW.parts, body="[1]")), BadShape),
        (replace(ROW, merge_strategies={"system": "merge"}), BadStrategy),
        (replace(ROW, shape_hooks=("regenrate",)), BadInnerHooks),
        (replace(ROW, shape_hooks=({"hook": "gemini", "parms": {}},)), BadInnerHooks),
    ],
)
def test_a_row_that_cannot_be_used_is_refused(row, error):
    with pytest.raises(error):
        compile_shape(row)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"a": NaN}', '{"a": 1e999}', "[" * 5000, None]
)
def test_a_body_that_is_no_object_is_refused(text):
    with pytest.raises(BadShape):
        read_body(text)


def test_a_body_of_fifty_megabytes_is_refused():
    with pytest.raises(BadShape, match="more than 4,000,000 characters"):
        read_body('{"a":"' + "x" * 50_000_000 + '"}')


def test_names_of_clients_are_read_from_user_agents():
    assert client_family("Claude-CLI/2.1.332 (external, cli)") == "claude-cli"
    assert client_release("claude-cli/2.1.332 (external, cli)") == "2.1.332"
    assert (client_family(""), client_release("curl")) == ("", "")


def test_own_functions_are_told_from_built_in_hooks():
    entries = ["regenerate", "ccproxy.shaping.caching.strip", {"hook": "mine.change"}]
    assert own_hooks(entries) == {"mine.change"}
    assert own_hooks("no list") == frozenset()


@pytest.mark.parametrize("values", [*SHIPPED.values(), GENERIC])
def test_shipped_profiles_can_be_compiled_and_ship_no_text_of_a_vendor(values):
    row = replace(
        ROW,
        content_fields=values.content_fields,
        merge_strategies=values.merge_strategies,
        shape_hooks=values.shape_hooks,
        preserve_headers=values.preserve_headers,
        strip_headers=values.strip_headers,
    )
    shape = compile_shape(row)
    assert "user-agent" in shape.preserved
    assert "authorization" in shape.preserved
    assert not {"authorization", "content-length"} & {name.lower() for name, _ in shape.headers}
    assert not any(" " in name for name in values.content_fields)
