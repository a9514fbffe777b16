"""The quick header look-ups must say what mitmproxy's own say, and be the ones that the proxy uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.coretypes.multidict import _MultiDict
from mitmproxy.http import Headers, Response

from interceptor import quick_messages

NAMES = st.sampled_from([b"Accept", b"accept", b"ACCEPT", b"Set-Cookie", b"x-a", b"X-A", b"host"])
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=6)), max_size=6)


@given(fields=FIELDS, name=NAMES, as_text=st.booleans())
def test_they_find_what_mitmproxy_finds(fields: list[tuple[bytes, bytes]], name: bytes, as_text: bool) -> None:
    headers, wanted = Headers(fields), name.decode() if as_text else name
    values = headers.get_all(wanted)
    own = ", ".join(values) if values else None
    assert quick_messages._get(headers, wanted) == own
    assert quick_messages._contains(headers, wanted) == (own is not None)
    assert quick_messages._get(headers, wanted, "other") == ("other" if own is None else own)


def test_mitmproxy_still_looks_headers_up_this_way() -> None:
    """When one of these moves, the replacement has to be looked at again."""
    originals: dict[str, Any] = {"get": Mapping.get, "__getitem__": _MultiDict.__getitem__}
    quick_messages.install()
    for name, original in originals.items():
        assert getattr(Headers, name) is not original
    headers = Headers([(b"A", b"1"), (b"a", b"2")])
    assert (headers["a"], headers.get("b"), "A" in headers, "b" in headers, 5 in headers) == (
        "1, 2", None, True, False, False,
    )  # fmt: skip
    assert headers.setdefault("c", "3") == "3" and headers.pop("c") == "3" and "c" not in headers


def test_messages_are_made_as_before() -> None:
    quick_messages.install()
    response = Response.make(201, b"{}", {"Content-Type": "application/json"})
    assert (response.status_code, response.content, response.headers["content-type"]) == (
        201,
        b"{}",
        "application/json",
    )
