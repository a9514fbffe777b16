"""Media types that are missing or wrong, and requests with a system message alone."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.wire.core.ir import Media
from providers.wire.rules.media import from_url, settle_type
from providers.wire.translate import translate_request

from .asking import A, C, G, R, reasons

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
BYTES = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "image/gif": b"GIF89a" + b"\0" * 9,
    "image/webp": b"RIFF\x1a\0\0\0WEBPVP8 ",
    "application/pdf": b"%PDF-1.7\n%\xe2\xe3",
}
LABELS = ["image/jpg", "image/png", "application/octet-stream", "", "IMAGE/PNG; q=1", "text/plain"]
PAIRS = [(src, dst) for src in (A, C, R, G) for dst in (A, C, R, G) if src != dst]


def asked(src: str, label: str, data: bytes, *, image: bool) -> dict[str, Any]:
    """A request of one format with one image or document."""
    packed = base64.b64encode(data).decode()
    url = f"data:{label};base64,{packed}"
    if src == A:
        source = {"type": "base64", "media_type": label, "data": packed}
        block = {"type": "image" if image else "document", "source": source}
        return {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": [block]}]}
    if src == C:
        part: dict[str, Any] = {"type": "file", "file": {"file_data": url}}
        if image:
            part = {"type": "image_url", "image_url": {"url": url}}
        return {"model": "m", "messages": [{"role": "user", "content": [part]}]}
    if src == R:
        part = {"type": "input_file", "file_data": url}
        if image:
            part = {"type": "input_image", "image_url": url}
        return {"model": "m", "input": [{"role": "user", "content": [part]}]}
    inline = {"mimeType": label, "data": packed}
    return {"contents": [{"role": "user", "parts": [{"inlineData": inline}]}]}


def sent_type(body: dict[str, Any], dst: str) -> tuple[str, str]:
    """(kind of the part, media type) of the only part."""
    if dst == G:
        inline = body["contents"][0]["parts"][0]["inlineData"]
        return "inline", inline["mimeType"]
    holder = body["messages"][0] if dst in (A, C) else body["input"][0]
    part = holder["content"][0]
    if dst == A:
        return part["type"], part["source"]["media_type"]
    encoded = json.dumps(part)
    url = encoded[encoded.index("data:") + 5 :]
    return part["type"], url.partition(";")[0]


@pytest.mark.parametrize(("src", "dst"), PAIRS)
@pytest.mark.parametrize("image", [True, False])
@given(label=st.sampled_from(LABELS), true_type=st.sampled_from(sorted(BYTES)))
def test_the_bytes_name_the_type(
    src: Any, dst: Any, image: bool, label: str, true_type: str
) -> None:
    body = asked(src, label, BYTES[true_type], image=image)
    translated, losses = translate_request(body, src, dst)
    kind, media_type = sent_type(translated, dst)
    assert media_type == true_type
    is_image = true_type.startswith("image/")
    assert kind == "inline" or (("image" in kind) == is_image)
    assert not losses


@pytest.mark.parametrize(("src", "dst"), PAIRS)
@given(text=st.text(min_size=1, max_size=30).filter(lambda text: "\0" not in text))
def test_text_documents_are_text(src: Any, dst: Any, text: str) -> None:
    body = asked(src, "text/csv", b"a," + text.encode(), image=False)
    translated, losses = translate_request(body, src, dst)
    if dst == G:
        inline = translated["contents"][0]["parts"][0]["inlineData"]
        assert inline["mimeType"] == "text/csv"
        assert base64.b64decode(inline["data"]) == b"a," + text.encode()
    else:
        assert f"a,{text}" in (json.loads(f'"{part}"') for part in strings_of(translated))
    assert not losses


def strings_of(value: Any) -> list[str]:
    """All strings inside a value, as JSON text without quotes."""
    if isinstance(value, str):
        return [json.dumps(value)[1:-1]]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for item in items for text in strings_of(item)]


@given(st.binary(max_size=80), st.sampled_from(["image", "document"]), st.sampled_from(LABELS))
def test_no_bytes_break_it(data: bytes, kind: Any, label: str) -> None:
    media = Media(kind, data=base64.urlsafe_b64encode(data).decode().rstrip("="), media_type=label)
    settle_type(media)
    if media.data is not None:
        assert base64.b64decode(media.data, validate=True) == data
    else:
        assert media.text is not None


@pytest.mark.parametrize("junk", ["", "=", "not base64!", "é", "A"])
def test_no_base64_stays_as_it_is(junk: str) -> None:
    media = Media("image", data=junk, media_type="image/jpg")
    settle_type(media)
    assert (media.data, media.media_type) == (junk, "image/jpeg")


@pytest.mark.parametrize(
    ("url", "data", "media_type"),
    [
        ("data:image/png;base64,AAAA", "AAAA", "image/png"),
        ("DATA:image/png;name=a;BASE64,AAAA", "AAAA", "image/png"),
        ("data:,hi%20you", "aGkgeW91", None),
        ("data:;base64,AAAA", "AAAA", None),
    ],
)
def test_data_urls_in_every_form(url: str, data: str, media_type: str | None) -> None:
    media = from_url(url, "image")
    assert (media.data, media.media_type, media.url) == (data, media_type, None)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("https://www.youtube.com/watch?v=x", "no video"),
        ("https://example.test/a.docx", "no document of type"),
    ],
)
def test_addresses_that_anthropic_cannot_read_are_listed(uri: str, reason: str) -> None:
    body = {"contents": [{"parts": [{"text": "q"}, {"fileData": {"fileUri": uri}}]}]}
    translated, losses = translate_request(body, G, A)
    assert translated["messages"][0]["content"] == [{"type": "text", "text": "q"}]
    assert reason in reasons(losses)


SYSTEM_ONLY: dict[Any, dict[str, Any]] = {
    A: {"model": "m", "max_tokens": 99, "system": "be kind", "messages": []},
    C: {"model": "m", "messages": [{"role": "system", "content": "be kind"}]},
    R: {"model": "m", "instructions": "be kind", "input": []},
    G: {"systemInstruction": {"parts": [{"text": "be kind"}]}, "contents": []},
}


@pytest.mark.parametrize(("src", "dst"), PAIRS)
def test_a_system_message_alone_is_asked(src: Any, dst: Any) -> None:
    translated, losses = translate_request(SYSTEM_ONLY[src], src, dst)
    assert "be kind" in strings_of(translated)
    turns = translated.get("messages") or translated.get("input") or translated["contents"]
    wanted = "system" if dst == C else "user"
    assert [turn["role"] for turn in turns] == [wanted]
    assert bool(losses) == (dst != C)
