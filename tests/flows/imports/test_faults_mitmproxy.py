"""mitmproxy captures: streams in any form, missing bodies, compressed files."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.io import FlowWriter
from mitmproxy.test import tflow, tutils

from flows.bodies.complete_flow import load_flow
from flows.imports.capture_file import json_text
from flows.imports.captured_flow import CapturedFlow
from flows.imports.importer import import_file
from flows.imports.mitmproxy_dump import records_of_mflow
from flows.models import Flow


def streamed(body: bytes | None, *headers: tuple[bytes, bytes]) -> http.HTTPFlow:
    response = tutils.tresp(content=body, headers=http.Headers([*headers]))
    return tflow.tflow(resp=response)


def capture(*flows: http.HTTPFlow) -> bytes:
    file = io.BytesIO()
    for flow in flows:
        FlowWriter(file).add(flow)
    return file.getvalue()


def read(flow: http.HTTPFlow) -> CapturedFlow:
    [captured] = records_of_mflow(io.BytesIO(capture(flow)))
    return captured


@pytest.mark.parametrize("label", [b"text/event-stream", b"Text/Event-Stream; charset=utf-8", b""])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("encoding", [b"identity", b"gzip"])
def test_events_are_counted_in_every_form(label: bytes, end: bytes, encoding: bytes) -> None:
    body = end.join([b"event: a", b"data: 1", b"", b"data: 2"])
    if encoding == b"gzip":
        body = gzip.compress(body)
    headers = [(b"content-encoding", encoding)]
    if label:
        headers.append((b"content-type", label))
    record = read(streamed(body, *headers)).record
    assert (record.is_stream, record.event_count) == (True, 2)


def test_a_body_that_was_not_kept_is_no_empty_body() -> None:
    captured = read(streamed(None, (b"content-length", b"4711")))
    upstream = captured.record.sides[2]
    assert captured.lacks_bodies
    assert (upstream.body, upstream.body_size_bytes) == (None, 4711)
    assert not read(streamed(b"")).lacks_bodies


@pytest.mark.django_db
def test_a_compressed_capture_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "x.mflow.gz"
    flow = streamed(b"hello")
    path.write_bytes(gzip.compress(capture(flow)))
    assert import_file(path).new == 1
    complete = load_flow(flow.id)
    assert complete is not None
    assert complete.plain(complete.side("upstream")) == b"hello"
    assert Flow.objects.get().imported_at is not None


def test_a_text_with_one_byte_a_character_is_read() -> None:
    assert json_text('{"a": "Grüße – €"}'.encode("cp1252")) == '{"a": "Grüße – €"}'
    assert json_text("Grüße".encode() + b"\xff") == "Grüße\ufffd"
