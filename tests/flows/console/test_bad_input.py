"""Flows as bad as they can be, on every page and endpoint: safe rendering or a clear 4xx, never a
500.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import get_resolver
from hypothesis import settings
from rest_framework.test import APIClient

from flows.console.tabs import TABS
from flows.export.kinds import KINDS
from flows.models import Flow, FlowBody
from flows.queries.selectors import sides_of
from providers.models import Provider, TransformRule
from tests.flows.seed import HOSTILE, SESSION, add_flow, add_side, seed_hostile, store
from tests.parts import add_trace, put_parts
from tests.rows import make_provider, make_rule
from tests.streamed import whole_body

pytestmark = pytest.mark.django_db
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
UNSAFE = re.compile(rb"<script>alert|<img src=x|onerror=alert\(\d\)>")
JSON = {"Content-Type": "application/json"}
SSE = {"content-type": "text/event-stream"}
MANY_EXAMPLES = 100
_numbers = count(1)


@pytest.fixture
def staff(client: Client) -> Client:
    client.raise_request_exception = False
    client.force_login(User.objects.create_superuser("ada"))
    return client


@pytest.fixture
def api(staff: Client) -> APIClient:
    found = APIClient(raise_request_exception=False)
    found.force_authenticate(User.objects.get())
    return found


def pages_of(flow: Flow) -> list[str]:
    """Every page that shows what was sent and answered."""
    own = f"/flows/{flow.pk}"
    tabs = [f"{own}/?tab={tab}" for tab in TABS]
    views = ["chat&view=json", "client&view=raw", "changes&hook=0"]
    views += [f"response&view={view}&side=delivered" for view in ("events", "tree", "raw")]
    bodies = [f"{own}/body/{source}" for source in ("client", "upstream", "hook-0-before")]
    copies = [
        f"{own}/as/{kind}?side={side}"
        for kind, side in zip(KINDS, ("client", "forwarded") * 9, strict=False)
    ]
    rest = ["partial", "har", "image/client/0", "resend/", "json/client?path=/messages/0"]
    pairs = [f"/flows/diff/{flow.pk}/{flow.pk}/?of={part}" for part in ("client", "answer")]
    own_pages = [*(f"{own}/?tab={view}" for view in views), *(f"{own}/{name}" for name in rest)]
    return [*tabs, *own_pages, *bodies, *copies, f"/explain/?flow={flow.pk}", *pairs]


def pages_of_several(flows: Sequence[Flow]) -> list[str]:
    """Every page that shows a row of each flow, or what is worked out of several flows."""
    ids = ",".join(flow.pk for flow in flows)
    lists = ["/flows/", f"/flows/rows?ids={ids}", "/flows/?q=script", "/admin/flows/flow/"]
    has_session = any(flow.session_id == SESSION for flow in flows)
    return [*lists, f"/flows/session/{SESSION}/"] if has_session else lists


def endpoints_of(flow: Flow) -> list[str]:
    own = f"/api/flows/{flow.pk}"
    worked_out = [f"{own}/{name}/" for name in ("changes", "context", "messages")]
    return [f"{own}/", f"{own}/body/delivered/", f"{own}/as/curl/", *worked_out]


def assert_harmless(response: Any, address: str, body: bytes) -> None:
    assert response.status_code < 500, f"{address}: {response.status_code} {body[:300]!r}"
    if response.get("Content-Type", "").startswith("text/html"):
        assert not UNSAFE.search(body), address
        shown = re.sub(
            r' value="[^"]*"|<textarea.*?</textarea>', "", body.decode(), flags=re.DOTALL
        )
        assert not CONTROLS.search(shown), f"{address}: {CONTROLS.findall(shown)[:5]}"


def drawn(addresses: list[str]) -> list[str]:
    """Return a third of them, or all where many examples are asked for."""
    wants_all = settings().max_examples >= MANY_EXAMPLES
    return addresses if wants_all else random.sample(addresses, len(addresses) // 3)


def look_at_bodies(staff: Client, api: APIClient, flow: Flow) -> None:
    """Open a third of what shows the flow's bodies: with some 30 flows each page has its turns.

    Each run draws others, as it does of generated examples; CCPROXY_TEST_EXAMPLES=100 opens all.
    """
    for address in drawn(pages_of(flow)):
        response = staff.get(address)
        assert_harmless(response, address, whole_body(response))
    for address in drawn(endpoints_of(flow)):
        answer = api.get(address)
        assert_harmless(answer, address, whole_body(answer))
    explained = api.post("/api/explain/", {"flow": flow.pk}, format="json")
    assert_harmless(explained, "explain", explained.content)


def look_at_lists(staff: Client, api: APIClient, flows: Sequence[Flow]) -> None:
    """Open what shows several flows."""
    for address in pages_of_several(flows):
        response = staff.get(address)
        assert_harmless(response, address, whole_body(response))
    for address in ("/api/flows/", "/api/flows/har/"):
        answer = api.get(address)
        assert_harmless(answer, address, whole_body(answer))
    tried = api.post(
        "/api/explain/rule/", {"rule": {"action": "passthrough", "match_model": "x"}}, format="json"
    )
    assert_harmless(tried, "trial", tried.content)


def look_everywhere(staff: Client, api: APIClient, flow: Flow) -> None:
    look_at_bodies(staff, api, flow)
    look_at_lists(staff, api, [flow])
    address = f"/admin/flows/flow/{flow.pk}/change/"
    response = staff.get(address)
    assert_harmless(response, address, whole_body(response))


def with_bodies(
    *, request: bytes, answer: bytes, headers: dict[str, str] | None = None, **fields: Any
) -> Flow:
    """A flow with these bytes on all four sides and before and after a hook."""
    defaults = {
        "path": "/v1/messages", "client_format": "anthropic_messages",
        "provider_format": "anthropic_messages",
        "status_code": 200, "requested_model": "m", "session_id": SESSION, "duration_ms": 5.0,
        "client_url": "http://127.0.0.1:4000/v1/messages",
        "forwarded_url": "https://h.example/v1/messages",
    }  # fmt: skip
    flow = add_flow(f"0bad0000-0000-4000-8000-{next(_numbers):012d}", 1, **(defaults | fields))
    for side in ("client", "forwarded"):
        add_side(
            flow,
            side,
            JSON | {"x-side": side},
            request,
            method="POST",
            url="https://h.example/v1/messages",
        )
    for side in ("upstream", "delivered"):
        add_side(flow, side, SSE if headers is None else headers, answer, status_code=200)
    add_trace(
        flow.pk, seq=0, stage="inbound", hook="h", outcome="ran", changed=["body"],
        body_before=store(request), body_after=store(request[::-1]),
    )  # fmt: skip
    return flow


def messages(text: str) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()


def words(text: str) -> bytes:
    delta = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": text},
    }
    return f"event: content_block_delta\ndata: {json.dumps(delta)}\n\n".encode()


# What a line of megabytes, NUL bytes and the like are, as a request and as an answer.
BODIES: dict[str, Callable[[], tuple[bytes, bytes]]] = {
    "hostile text": lambda: (messages(HOSTILE * 50), words(HOSTILE * 50)),
    "terminal escapes": lambda: (
        messages("\x1b]0;owned\x07\x1b[2J\x9b31m"),
        words("\x1b]8;;http://evil\x07x"),
    ),
    "bidi": lambda: (messages("\u202e\u2066\u2069 abc \u200f"), words("\u202e" * 1000)),
    "a line of 3 MB": lambda: (messages("x" * 3_000_000), words("y" * 3_000_000)),
    "3 MB that is no JSON": lambda: (
        b"{" + b"x" * 3_000_000,
        b"data: {" + b"y" * 3_000_000 + b"\n\n",
    ),
    "nul": lambda: (b"\0" * 5000, b"event: \0\ndata: \0\n\n"),
    "invalid utf-8": lambda: (b'{"model": "\xff\xfe\xed\xa0\x80"}', b"data: \xff\xc3\x28\n\n" * 50),
    "lone surrogates": lambda: (b'{"messages": "\\ud800"}', b'data: {"type": "\\udfff"}\n\n'),
    "wrong types": lambda: (
        b'{"model": [1], "messages": {"a": [null]}, "tools": "x", "system": 5}',
        b'data: [1, null]\n\ndata: {"type": 5, "delta": "x"}\n\ndata: 7\n\n',
    ),
    "nested too deeply": lambda: (b"[" * 200_000, b"data: " + b'{"a":' * 50_000 + b"\n\n"),
    "endless numbers": lambda: (
        b'{"max_tokens": ' + b"9" * 10_000 + b"}",
        b'data: {"usage": 1e999}\n\n',
    ),
    "10,000 events": lambda: (messages("x"), b"data: {}\n\n" * 10_000),
    "5,000 messages": lambda: (
        json.dumps({"messages": [{"role": "user", "content": "x"}] * 5_000}).encode(),
        words("x") * 2_000,
    ),
    "nothing": lambda: (b"", b""),
}
ENCODINGS = ("gzip", "br, zstd", "nonsense", "\u202e", "gzip, gzip, gzip, gzip, gzip")


def with_body(kind: str) -> Flow:
    request, answer = BODIES[kind]()
    return with_bodies(request=request, answer=answer)


def with_encoding(encoding: str) -> Flow:
    headers = {"content-encoding": encoding, "content-type": "text/event-stream; \x1b[31m"}
    return with_bodies(request=messages("x"), answer=b"\x1f\x8b\x08junk", headers=headers)


@pytest.mark.parametrize("kind", BODIES)
def test_no_body_breaks_a_page_or_an_endpoint(staff: Client, api: APIClient, kind: str):
    look_at_bodies(staff, api, with_body(kind))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_wrong_encoding_breaks_a_page(staff: Client, api: APIClient, encoding: str):
    look_at_bodies(staff, api, with_encoding(encoding))


def test_no_body_and_no_encoding_breaks_a_list(staff: Client, api: APIClient):
    """Lists show all of them at once."""
    flows = [*map(with_body, BODIES), *map(with_encoding, ENCODINGS)]
    look_at_lists(staff, api, flows)
    address = f"/admin/flows/flow/{flows[0].pk}/change/"
    response = staff.get(address)
    assert_harmless(response, address, whole_body(response))


def test_every_stored_field_may_be_hostile(staff: Client, api: APIClient):
    look_everywhere(staff, api, seed_hostile())


def bare(**fields: Any) -> Flow:
    return add_flow(f"0bad0000-0000-4000-8000-{next(_numbers):012d}", 1, **fields)


def without_bodies() -> Flow:
    flow = with_bodies(request=messages("x"), answer=words("x"))
    FlowBody.objects.all().delete()
    return flow


def only_sides(*kept: str) -> Flow:
    flow = with_bodies(request=messages("x"), answer=words("x"))
    put_parts(flow.pk, [side for name, side in sides_of(flow.pk).items() if name in kept])
    return flow


INCOMPLETE: dict[str, Callable[[], Flow]] = {
    "a row and nothing else": bare,
    "a running row": lambda: bare(state="live", is_stream=True, path="/v1/messages"),
    "a running websocket": lambda: bare(state="live", is_websocket=True, method="GET"),
    "an answer that never came": lambda: with_bodies(
        request=messages("x"),
        answer=b"",
        status_code=None,
        state="error",
        error="The provider hung up.",
    ),
    "bodies that were pruned": without_bodies,
    "only the client's side": lambda: only_sides("client"),
    "only the answer": lambda: only_sides("upstream"),
    "a format nobody knows": lambda: with_bodies(
        request=messages("x"), answer=words("x"), client_format="gone", provider_format="gone"
    ),
    "times that cannot be": lambda: with_bodies(
        request=messages("x"),
        answer=words("x"),
        duration_ms=-5.0,
        first_byte_ms=1e300,
        finished_at=None,
    ),
}


@pytest.mark.parametrize("kind", INCOMPLETE)
def test_a_flow_with_something_missing_is_shown_as_far_as_it_goes(
    staff: Client, api: APIClient, kind: str
):
    look_everywhere(staff, api, INCOMPLETE[kind]())


def test_a_deleted_provider_and_rule_are_still_told(staff: Client, api: APIClient):
    provider = make_provider("gone")
    rule = make_rule(name="gone too", dest_provider=provider, action="redirect")
    flow = with_bodies(
        request=messages("x"),
        answer=words("x"),
        provider="gone",
        rule="gone too",
        rule_id=rule.pk,
        action="redirect",
    )
    TransformRule.objects.all().delete()
    Provider.objects.all().delete()
    look_everywhere(staff, api, flow)
    assert ">gone<" in staff.get("/flows/?provider=gone").content.decode()
    assert api.get("/api/flows/?rule=gone+too").json()["results"][0]["rule_id"] == rule.pk


def test_bodies_of_50_mb_are_shown_in_part_and_downloaded_whole(staff: Client, api: APIClient):
    request = messages("word " * 10_000_000)
    answer = words("so " * 1000) * 15_000
    assert min(len(request), len(answer)) > 45_000_000
    flow = with_bodies(request=request, answer=answer)
    for tab in TABS:
        response = staff.get(f"/flows/{flow.pk}/?tab={tab}")
        assert_harmless(response, tab, response.content)
        assert len(response.content) < 4_000_000, tab
    assert staff.get(f"/flows/{flow.pk}/body/client").content == request
    assert api.get(f"/api/flows/{flow.pk}/body/upstream/").content == answer
    assert len(whole_body(api.get("/api/flows/har/"))) > 90_000_000
    assert len(api.get("/api/flows/").content) < 20_000


def addresses() -> list[str]:
    """Every address of the console and the API that takes an argument, with the argument's
    place.
    """
    found = []
    for pattern in get_resolver().url_patterns:
        for inner in getattr(pattern, "url_patterns", [pattern]):
            route = (
                f"{pattern.pattern}{inner.pattern}"
                if inner is not pattern
                else str(pattern.pattern)
            )
            if "<" in route and "admin" not in route and not route.startswith("^"):
                found.append("/" + route)
    return sorted(set(found))


ODD = [
    "%00",
    "%ff",
    "%E2%80%AE",
    "..%2f..",
    "%3Cscript%3E",
    "x" * 3000,
    "-1",
    "9" * 30,
    "%0d%0a",
    "%1b%5b",
    "%F0%9F%98%80",
]


@pytest.mark.parametrize("odd", ODD)
def test_no_odd_address_is_a_500(staff: Client, odd: str):
    shapes = addresses()
    assert len(shapes) > 12
    for shape in shapes:
        address = (
            re.sub(r"<[^>]+>|\(\?P<[^)]+\)", odd, shape)
            .replace("^", "")
            .replace("$", "")
            .replace("\\Z", "")
        )
        response = staff.get(address)
        assert_harmless(response, address, whole_body(response))
