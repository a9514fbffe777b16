"""Quirks of the tools that write HAR files, one file a quirk; each is read as what it is."""

from __future__ import annotations

import base64
import gzip
import io
import json
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from flows.imports.capture_file import CaptureError, decompressed, is_har
from flows.imports.captured_flow import CapturedFlow
from flows.imports.har_facts import NO_RESPONSE
from flows.imports.har_reader import records_of_har
from flows.imports.importer import parsed_har
from flows.record import FlowRecord, SideRecord
from providers.wire.core.sse import SseParser
from tests.flows.imports.har_files import entry, har


def read(*entries: Any) -> list[CapturedFlow]:
    return [flow for flow in records_of_har(har(*entries)) if flow is not None]


def record(one: dict[str, Any]) -> FlowRecord:
    [flow] = read(one)
    return flow.record


def side(one: dict[str, Any], name: str) -> SideRecord:
    return next(side for side in record(one).sides if side.side == name)


def answer(**content: Any) -> bytes | None:
    return side(entry(content=content), "upstream").body


# --- base64 and data URLs


@pytest.mark.parametrize(
    "text",
    ["abcd efgh", '{"a": 1}', "hello", "äöü", "ab=cd", "data: {}", "a", "eyJ9=", "helloo", "===="],
)
def test_text_that_is_no_base64_stays_text(text: str) -> None:
    assert answer(text=text, encoding="base64") == text.encode()


@pytest.mark.parametrize("label", ["base64", "BASE64", "Base64", " base64 "])
@pytest.mark.parametrize(
    "prefix", ["", "data:application/json;base64,", "DATA:text/plain;charset=utf-8;BASE64,"]
)
@given(data=st.binary(min_size=1, max_size=40))
def test_base64_is_decoded_whatever_its_label(label: str, prefix: str, data: bytes) -> None:
    text = prefix + base64.b64encode(data).decode()
    assert answer(text=text, encoding=label) == data
    post = {"text": text, "encoding": label}
    assert side(entry(post=post), "client").body == data


def test_base64_in_lines_for_urls_and_without_padding() -> None:
    assert answer(text="aGVs\r\nbG8h\r\n", encoding="base64") == b"hello!"
    assert answer(text="--__", encoding="base64") == base64.b64decode("++//")
    assert answer(text="aGVsbG8", encoding="base64", size=5) == b"hello"


def test_a_data_url_without_a_label_needs_its_size_as_a_witness() -> None:
    url = "data:application/json;base64,e30="
    assert answer(text=url, size=2) == b"{}"
    assert answer(text=url, size=len(url)) == url.encode()
    assert answer(text=url) == url.encode()
    assert answer(text="data:text/plain,a%20b", encoding="base64") == b"a b"


def test_a_body_as_it_was_on_the_wire_is_decompressed() -> None:
    text = base64.b64encode(gzip.compress(b"hello")).decode()
    headers = [{"name": "Content-Encoding", "value": "gzip"}]
    one = entry(content={"text": text, "encoding": "base64"}, response={"headers": headers})
    assert side(one, "upstream").body == b"hello"


# --- forms


def test_the_parameters_of_a_form_are_its_body_if_there_is_no_text() -> None:
    params = [{"name": "a", "value": "1 2"}, {"name": "b", "value": "ä&="}]
    for post in ({"params": params}, {"params": params, "text": ""}):
        assert side(entry(post=post), "client").body == b"a=1+2&b=%C3%A4%26%3D"
    assert side(entry(post={"params": params, "text": "a=b"}), "client").body == b"a=b"


def test_the_parts_of_a_multipart_form_are_its_body() -> None:
    params = [
        {"name": "file", "fileName": 'a".txt', "contentType": "text/plain", "value": "hello"},
        {"name": "purpose", "value": "batch"},
    ]
    post = {"mimeType": "multipart/form-data; boundary=XX", "params": params}
    assert side(entry(post=post), "client").body == (
        b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a%22.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nhello\r\n"
        b'--XX\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--XX--\r\n'
    )
    del params[0]["value"]
    assert side(entry(post=post), "client").body_truncated


# --- websockets and event sources


def socket(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return entry(
        post={}, response={"status": 101}, content={}, _webSocketMessages=[*messages], **fields
    )


@pytest.mark.parametrize("kind", [None, "WebSocket", "websocket", "other"])
def test_websocket_messages_make_a_websocket(kind: str | None) -> None:
    found = record(
        socket(
            {"type": "send", "time": 1772359200.5, "opcode": 1, "data": "hi"},
            {"type": "receive", "time": "1772359201000", "opcode": "2", "data": "AAH/"},
            {"type": "receive", "time": 1772359201500000, "opcode": 0, "data": "AA=="},
            {"type": "receive", "opcode": 9, "data": ""},
            {"type": "Send", "opcode": 2, "data": "no base64!"},
            _resourceType=kind,
        )
    )
    assert (found.is_websocket, found.state) == (True, "done")
    messages = [(m.at_ms, m.from_client, m.is_text, m.content) for m in found.messages]
    assert messages == [
        (500, True, True, b"hi"),
        (1000, False, False, b"\0\1\xff"),
        (1500, False, False, b"\0"),
        (0, True, False, b"no base64!"),
    ]
    assert [message.seq for message in found.messages] == [0, 1, 2, 3]


def test_an_error_of_a_websocket_is_the_flows_error() -> None:
    found = record(socket({"type": "error", "opcode": -1, "data": "Connection reset"}))
    assert (found.state, found.error, found.messages) == ("error", "Connection reset", ())


EVENT = st.fixed_dictionaries(
    {
        "eventName": st.sampled_from(["", "message", "delta", "a\nb"]),
        "data": st.text(st.characters(exclude_characters="\r\n\0"), min_size=1, max_size=20),
        "time": st.none() | st.floats(1772359200, 1772359300),
    }
)


@given(messages=st.lists(EVENT, min_size=1, max_size=6), kind=st.sampled_from(["", "eventsource"]))
def test_event_messages_become_the_streams_events(
    messages: list[dict[str, Any]], kind: str
) -> None:
    content = {"size": 0, "mimeType": "text/event-stream"}
    one = entry(content=content, _eventSourceMessages=messages, _resourceType=kind)
    found = record(one)
    assert (found.is_stream, found.event_count) == (True, len(messages))
    upstream = side(one, "upstream")
    parser = SseParser()
    events = [*parser.feed(upstream.body or b""), *parser.flush()]
    sent = [message["data"].encode("utf-8", "replace") for message in messages]
    assert [event.data for event in events] == sent
    times = [at_ms for _, at_ms in upstream.chunk_times]
    assert times == sorted(times)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("label", ["text/event-stream", "Text/Event-Stream; charset=utf-8", ""])
@pytest.mark.parametrize("holder", ["header", "content"])
def test_events_are_counted_whatever_the_line_ends_and_labels(
    end: str, label: str, holder: str
) -> None:
    text = f"event: a{end}data: 1{end}{end}: comment{end}{end}data: 2{end}data: 3{end}{end}data: 4"
    content = {"text": text}
    headers = []
    if holder == "content":
        content["mimeType"] = label
    elif label:
        headers = [{"name": "CONTENT-TYPE", "value": label}]
    found = record(entry(content=content, response={"headers": headers}))
    assert (found.is_stream, found.event_count) == (True, 3)
    assert not record(entry()).is_stream


# --- encodings of the file


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
def test_every_encoding_and_compression_is_read(encoding: str, compress: Any) -> None:
    text = json.dumps(har(entry(content={"text": "Grüße ☕"})), indent=2, ensure_ascii=False)
    file = decompressed(io.BytesIO(compress(text.encode(encoding))))
    assert is_har(file)
    [flow] = records_of_har(parsed_har(file.read()))
    assert flow is not None
    assert flow.record.sides[2].body == "Grüße ☕".encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04rest", "ZIP archive"),
        (b"\n\r\r\nrest of it", "packet capture"),
        (b"BZh91AY", "bzip2"),
        (b"  <html>", "XML or HTML"),
        (b"hello", "neither a HAR nor a mitmproxy capture"),
        (b"", "empty"),
    ],
)
def test_another_kind_of_file_is_named(data: bytes, words: str) -> None:
    with pytest.raises(CaptureError, match=words):
        is_har(decompressed(io.BytesIO(data)))


def test_a_damaged_or_huge_compressed_file_is_refused() -> None:
    compressed = gzip.compress(b"{" * 100_000)
    with pytest.raises(CaptureError, match="damaged"):
        decompressed(io.BytesIO(compressed[:-9]))
    with pytest.raises(CaptureError, match="when decompressed"):
        decompressed(io.BytesIO(compressed), max_bytes=99_999)


# --- failures, and what a file lacks


@pytest.mark.parametrize(
    ("response", "fields", "error"),
    [
        ({"status": 0, "_error": "net::ERR_ABORTED"}, {}, "net::ERR_ABORTED"),
        ({"status": 200, "_error": "net::ERR_CONNECTION_RESET"}, {}, "net::ERR_CONNECTION_RESET"),
        ({"status": 0, "statusText": ""}, {"_error": {"message": "timeout"}}, "timeout"),
        ({"status": 0, "statusText": "Blocked"}, {}, "Blocked"),
        ({"status": 0, "statusText": "", "_error": None}, {}, NO_RESPONSE),
        ({"status": "0", "statusText": ""}, {"_charlesStatus": "FAILED"}, NO_RESPONSE),
    ],
)
def test_a_failed_request_is_a_failed_flow_with_the_tools_words(
    response: dict[str, Any], fields: dict[str, Any], error: str
) -> None:
    found = record(entry(response=response, **fields))
    assert (found.state, found.error) == ("error", error)
    # What came before the failure is kept.
    assert found.sides[-1].body == b"{}"


@pytest.mark.parametrize("status", [200, 200.0, "200"])
def test_a_status_in_any_form(status: Any) -> None:
    found = record(entry(response={"status": status}))
    assert (found.status_code, found.state) == (200, "done")


@pytest.mark.parametrize(
    ("content", "response", "size"),
    [
        ({"size": 900}, {}, 900),
        ({"size": 900, "text": ""}, {}, 900),
        ({"size": 900, "comment": "Response bodies are not included."}, {"bodySize": 300}, 900),
        ({"size": 0}, {"bodySize": 300}, 300),
        ({"size": -1}, {"headers": [{"name": "Content-Length", "value": "70"}]}, 70),
        ({}, {"headers": {"Content-Length": 70}}, 70),
    ],
)
def test_a_missing_response_body_is_no_empty_body(
    content: dict[str, Any], response: dict[str, Any], size: int
) -> None:
    [flow] = read(entry(content=content, response=response))
    upstream = flow.record.sides[2]
    assert flow.lacks_bodies
    assert (upstream.body, upstream.body_size_bytes) == (None, size)


def test_a_missing_request_body_is_no_empty_body() -> None:
    [flow] = read(entry(post={}, request={"bodySize": 4711}))
    assert flow.lacks_bodies
    assert (flow.record.sides[0].body, flow.record.sides[0].body_size_bytes) == (None, 4711)


def test_a_cut_body_is_marked() -> None:
    [flow] = read(entry(content={"size": 900, "text": "begin"}))
    upstream = flow.record.sides[2]
    assert (upstream.body, upstream.body_size_bytes) == (b"begin", 900)
    assert upstream.body_truncated
    assert flow.lacks_bodies


@pytest.mark.parametrize(
    ("request_", "response", "content"),
    [
        ({"method": "HEAD"}, {}, {"size": 900}),
        ({}, {"status": 304}, {"size": 900}),
        ({}, {"status": 204}, {}),
        ({}, {}, {"size": 0, "text": ""}),
        ({}, {}, {"size": 3, "text": "äb"}),
        # Two bytes a character became one; CRLF became LF; a byte order mark is left out.
        ({}, {}, {"size": 10, "text": "hello", "mimeType": "text/plain; charset=utf-16"}),
        ({}, {}, {"size": 12, "text": "a\nb\nc\n"}),
    ],
)
def test_a_body_that_is_all_there_is_not_marked(
    request_: dict[str, Any], response: dict[str, Any], content: dict[str, Any]
) -> None:
    [flow] = read(entry(request=request_, response=response, content=content))
    assert not flow.lacks_bodies


def test_equal_entries_are_flows_of_their_own_with_lasting_ids() -> None:
    ids = [flow.record.id for flow in read(entry(), entry(), entry())]
    assert len(set(ids)) == 3
    assert [flow.record.id for flow in read(entry(), entry(), entry())] == ids


# --- anything


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["base64", "data:a/b;base64,AA==", "2026-03-01", "0", "-1", 10**400]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "value", "text", "data", "time", "size", "opcode", "type"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
PATHS = [
    *[(name,) for name in ("startedDateTime", "time", "request", "response", "timings", "_error")],
    *[(name,) for name in ("_webSocketMessages", "_eventSourceMessages", "_ccproxy", "pageref")],
    *[("request", name) for name in ("method", "url", "headers", "postData", "bodySize")],
    *[("request", "postData", name) for name in ("text", "params", "mimeType", "encoding")],
    *[("response", name) for name in ("status", "headers", "content", "bodySize", "_chunkTimes")],
    *[("response", "content", name) for name in ("text", "size", "encoding", "mimeType")],
]


@given(
    changes=st.lists(st.tuples(st.sampled_from(PATHS), JUNK), max_size=5),
    creator=st.sampled_from(["a tool", "ccproxy"]),
)
def test_a_file_with_anything_anywhere_is_read(
    changes: list[tuple[tuple[str, ...], Any]], creator: str
) -> None:
    one = entry(_ccproxy={"flow": "f", "request": "client", "response": "upstream"})
    for path, value in changes:
        holder: Any = one
        for name in path[:-1]:
            holder = holder.get(name) if isinstance(holder, dict) else None
        if isinstance(holder, dict):
            holder[path[-1]] = value
    list(records_of_har(har(one, entry(), creator=creator)))


@given(place=st.integers(0, 2000), junk=st.text('{}[]",:0aé\\', max_size=4), cut=st.integers(0, 9))
def test_a_damaged_file_is_read_or_refused(place: int, junk: str, cut: int) -> None:
    text = json.dumps(har(entry(), entry()))
    place %= len(text)
    damaged = (text[:place] + junk + text[place + cut :]).encode()
    try:
        list(records_of_har(parsed_har(damaged)))
    except CaptureError as exc:
        assert len(str(exc)) > 15
