from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.wire.surgery import read_model, replace_model

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["model", "a", 'mo"del', "x\\"]), inner, max_size=3)
    ),
    max_leaves=12,
)
objects = st.dictionaries(
    st.sampled_from(["model", "messages", "Model", "é", '"', "\\"]), json_values, max_size=4
)
styles = st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}])


@given(objects, styles, st.text(max_size=10))
def test_only_the_model_changes(value, style, new_model):
    body = (" " + json.dumps(value, **style) + "\n").encode("utf-8", "surrogatepass")
    changed = replace_model(body, new_model)
    old = value.get("model")
    if not isinstance(old, str):
        assert changed is None
        assert read_model(body) is None
        return
    assert read_model(body) == old
    assert changed is not None
    assert json.loads(changed) == value | {"model": new_model}
    quoted = json.dumps(old, ensure_ascii=style.get("ensure_ascii", True)).encode(
        "utf-8", "surrogatepass"
    )
    assert len(changed) == len(body) - len(quoted) + len(json.dumps(new_model))


@given(st.binary(max_size=60))
def test_bytes_that_are_no_json_never_break_it(body):
    for given_body in (body, b'{"model":"a",' + body):
        changed = replace_model(given_body, "m")
        assert changed is None or read_model(changed) == "m"


NO_OBJECTS = [
    b"",
    b"[]",
    b'["model","a"]',
    b'"model"',
    b"{",
    b'{"model":"a"',
    b'{"model":"a"} x',
    b'{"model":"a',
    b"model=a",
]
NO_MODEL = [b'{"x":{"model":"a"}}', b'{"model":["a"]}', b'{"a":"model","b":"model"}']
TOO_DEEP = [b"[" * 100_000, b'{"a":' * 100_000, b'{"a":"\\']


@pytest.mark.parametrize("body", [*NO_OBJECTS, *NO_MODEL, *TOO_DEEP])
def test_no_top_level_model_is_none(body):
    assert replace_model(body, "m") is None
    assert read_model(body) is None


def test_odd_spellings():
    assert replace_model(b'{"mo\\u0064el" : "a\\"b" }', "m") == b'{"mo\\u0064el" : "m" }'
    assert replace_model(b'\xef\xbb\xbf{"model":"a"}', "m") == b'\xef\xbb\xbf{"model":"m"}'
    assert (
        replace_model(b'{"model":"a","x":1,"model":"b"}', "longer")
        == b'{"model":"longer","x":1,"model":"longer"}'
    )
    assert read_model(b'{"model":"a","model":"b"}') == "b"
    assert (
        replace_model(b'{"b":1.50e3,"model":"a","c":"\xff"}', "m")
        == b'{"b":1.50e3,"model":"m","c":"\xff"}'
    )
