"""A format that providers alone speak serves every client, and no client speaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from providers.base.errors import UnsupportedByTarget
from providers.base.names import WIRE_FORMATS, WireFormatName
from providers.wire.core import formats
from providers.wire.core.formats import FORMATS, FormatEntry
from providers.wire.core.ir import Request, Text
from providers.wire.core.jsonio import dumps
from providers.wire.translate import StreamTranslator, translate_request, translate_response
from tests.providers.wire import provider_only
from tests.providers.wire.cases import ALL
from tests.providers.wire.provider_only import NAME

CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    entry = FormatEntry(provider_only.__name__, has_clients=False)
    monkeypatch.setitem(FORMATS, NAME, entry)
    monkeypatch.setitem(WIRE_FORMATS, NAME, "Asking")
    yield
    formats.client_codec.cache_clear()
    formats.provider_codec.cache_clear()


def asked(client: WireFormatName) -> dict[str, object]:
    chat = {"model": "m", "messages": [{"role": "user", "content": "How far is it?"}]}
    return translate_request(chat, "openai_chat", client)[0]


@pytest.mark.parametrize("client", ALL)
def test_every_client_reaches_it(client: WireFormatName) -> None:
    body, _ = translate_request(asked(client), client, NAME, model="m")
    assert body == {"ask": "How far is it?"}
    response, _ = translate_response({"said": "9 km"}, NAME, client)
    assert "9 km" in dumps(response).decode()
    delta = {"choices": [{"index": 0, "delta": {"content": "9 km"}, "finish_reason": None}]}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    sent = "".join(f"data: {json.dumps({**CHUNK, **part})}\n\n" for part in (delta, end))
    stream = StreamTranslator(NAME, client)
    out = stream.feed(sent.encode() + b"data: [DONE]\n\n") + stream.flush()
    assert b"9 km" in out and stream.failure is None


@pytest.mark.parametrize("target", ALL)
def test_no_client_speaks_it(target: WireFormatName) -> None:
    with pytest.raises(UnsupportedByTarget, match="providers alone"):
        translate_request({"ask": "x"}, NAME, target)


def test_an_edit_that_fails_is_a_loss_and_changes_nothing() -> None:
    def half_done(request: Request) -> None:
        request.system.append(Text("half"))
        raise ValueError("no more")

    chat = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    for target in ALL:
        body, losses = translate_request(chat, "openai_chat", target, edits=[half_done])
        assert "half" not in dumps(body).decode()
        assert [loss.path for loss in losses if "no more" in loss.reason] == ["edits"]
