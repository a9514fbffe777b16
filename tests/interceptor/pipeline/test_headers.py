"""Headers keep their order and spelling."""

from __future__ import annotations

import pytest

from interceptor.pipeline.headers import HeaderMap, changed_names

FIELDS = ((b"Host", b"h"), (b"X-Api-Key", b"k"), (b"Accept", b"a"), (b"accept", b"b"))


def test_it_works() -> None:
    headers = HeaderMap(FIELDS)
    headers.set("x-api-key", "new")
    assert headers.fields[1] == (b"X-Api-Key", b"new")
    assert headers.get_all("ACCEPT") == ["a", "b"]
    assert "host" in headers and headers["Host"] == "h"
    assert changed_names(FIELDS, headers.fields) == ["x-api-key"]


def test_setting_the_same_value_changes_nothing() -> None:
    headers = HeaderMap(FIELDS)
    headers.set("host", "h")
    headers.remove("absent")
    assert headers.fields is FIELDS


def test_a_header_can_take_a_place() -> None:
    headers = HeaderMap(FIELDS)
    headers.insert(1, "Authorization", "Bearer x")
    assert [name for name, _ in headers.fields] == [
        b"Host",
        b"Authorization",
        b"X-Api-Key",
        b"Accept",
        b"accept",
    ]
    headers.insert(0, "accept", "c")
    assert headers.fields[0] == (b"Accept", b"c") and headers.get_all("accept") == ["c"]


def test_lists_are_edited_without_touching_the_rest() -> None:
    headers = HeaderMap(((b"anthropic-beta", b"a,  b,c"),))
    before = headers.fields
    headers.set_list("anthropic-beta", ["a", "b", "c"])
    assert headers.fields is before
    headers.set_list("anthropic-beta", ["a", "c"])
    assert headers.get("anthropic-beta") == "a,c"
    headers.set_list("anthropic-beta", [])
    assert headers.fields == ()


@pytest.mark.parametrize("value", ["a\r\nX: 1", "a\x00", "\x7f"])
def test_control_characters_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        HeaderMap().set("x", value)
