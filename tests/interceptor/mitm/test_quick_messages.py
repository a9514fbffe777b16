"""The quick header look-ups must say what mitmproxy's own say, and be the ones that the proxy
uses.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.connection import Client, Server
from mitmproxy.http import Headers, HTTPFlow, Response
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import NextLayer

from interceptor.mitm import patches, quick_messages


@pytest.fixture(autouse=True, scope="module")
def patched() -> Iterator[None]:
    """All patches, whatever the environment says."""
    patches.install()
    yield
    patches.uninstall()


NAMES = st.sampled_from([b"Accept", b"accept", b"ACCEPT", b"Set-Cookie", b"x-a", b"X-A", b"host"])
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=6)), max_size=6)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["set", "set all", "add", "insert", "delete", "pop", "assign", "clear"]),
        NAMES,
        FIELDS,
    )
)


@given(fields=FIELDS, name=NAMES, as_text=st.booleans())
def test_they_find_what_mitmproxy_finds(
    fields: list[tuple[bytes, bytes]], name: bytes, as_text: bool
) -> None:
    headers, wanted = Headers(fields), name.decode() if as_text else name
    values = headers.get_all(wanted)
    own = ", ".join(values) if values else None
    assert quick_messages.get_header(headers, wanted) == own
    assert quick_messages.has_header(headers, wanted) == (own is not None)
    assert quick_messages.get_header(headers, wanted, "other") == ("other" if own is None else own)


def test_look_ups() -> None:
    headers = Headers([(b"A", b"1"), (b"a", b"2")])
    assert (headers["a"], headers.get("b"), "A" in headers, "b" in headers, 5 in headers) == (
        "1, 2", None, True, False, False,
    )  # fmt: skip
    assert headers.setdefault("c", "3") == "3" and headers.pop("c") == "3" and "c" not in headers


def test_messages_are_made_as_before() -> None:
    response = Response.make(201, b"{}", {"Content-Type": "application/json"})
    assert (response.status_code, response.content, response.headers["content-type"]) == (
        201,
        b"{}",
        "application/json",
    )


def change(headers: Headers, kind: str, name: bytes, fields: list[tuple[bytes, bytes]]) -> None:
    texts: list[Any] = [value.decode("utf-8", "surrogateescape") for _, value in fields]
    wanted = name.decode()
    if kind == "set":
        headers[wanted] = "".join(texts)
    elif kind == "set all":
        headers.set_all(wanted, texts)
    elif kind == "add":
        headers.add(wanted, "".join(texts))
    elif kind == "insert":
        headers.insert(0, wanted, "".join(texts))
    elif kind == "delete" and wanted in headers:
        del headers[wanted]
    elif kind == "pop":
        headers.pop(wanted, None)
    elif kind == "assign":
        headers.fields = tuple(fields)
    elif kind == "clear":
        headers.clear()


def plain_look_up(headers: Headers, name: bytes) -> str | None:
    """As mitmproxy looks a name up: every field is looked at anew."""
    values = [value for key, value in headers.fields if key.lower() == name.lower()]
    return (
        headers._reduce_values([value.decode("utf-8", "surrogateescape") for value in values])
        if values
        else None
    )


@given(fields=FIELDS, changes=CHANGES)
def test_look_ups_follow_every_change(
    fields: list[tuple[bytes, bytes]], changes: list[tuple[str, bytes, list[tuple[bytes, bytes]]]]
) -> None:
    headers = Headers(fields)
    for kind, name, more in [("none", b"host", []), *changes]:
        change(headers, kind, name, more)
        for each in (headers, headers.copy()):
            for wanted in (b"accept", b"Set-Cookie", b"X-a", b"host"):
                found = plain_look_up(headers, wanted)
                assert each.get(wanted.decode()) == found
                assert (wanted.decode() in each) == (found is not None)


def test_a_change_of_a_copy_leaves_the_first_alone() -> None:
    first = Headers([(b"A", b"1")])
    assert first["a"] == "1"
    second = first.copy()
    second["a"] = "2"
    assert (first["a"], second["a"]) == ("1", "2")


def client() -> Client:
    return Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2))


def test_ids_are_random_uuids() -> None:
    ids = [HTTPFlow(client(), Server(address=None)).id for _ in range(10_000)]
    ids += [client().id, Server(address=None).id]
    assert len(set(ids)) == len(ids)
    for text in ids:
        made = uuid.UUID(text)
        assert (made.version, made.variant, str(made)) == (4, uuid.RFC_4122, text)
    digits = list(zip(*(text.replace("-", "") for text in ids), strict=True))
    free = {place: len(set(column)) for place, column in enumerate(digits) if place not in (12, 16)}
    assert set(free.values()) == {16}, "some digit is not random"
    assert set(digits[16]) == set("89ab")


def test_a_forked_context_shares_all_but_the_list_of_layers() -> None:
    context = Context(client(), Options())
    below = NextLayer(context)
    context.layers.append(below)
    twin = context.fork()
    assert (twin.client, twin.server, twin.options) == (
        context.client,
        context.server,
        context.options,
    )
    assert (
        twin.server is context.server
        and twin.client is context.client
        and twin.options is context.options
    )
    assert twin.layers == [below] and twin.layers is not context.layers
    twin.layers.append(NextLayer(twin))
    assert context.layers == [below]
    assert set(vars(twin)) == set(vars(Context(client(), Options()))), (
        "mitmproxy's own has more in it now"
    )
