"""Whatever is sent, the answer is a 4xx with a reason and never a 500."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzzing
from hypothesis import strategies as st
from rest_framework.test import APIClient

from tests.rows import make_provider

WRITABLE = {
    "providers": {"name": "p", "type": "anthropic", "host": "h.example", "path": "/"},
    "rules": {"action": "passthrough", "name": "r"},
    "hooks": {"stage": "outbound", "name": "verbose_mode"},
    "shapes": {"provider_type": "anthropic"},
    "client-tokens": {"name": "laptop"},
}
BODIES = {
    "not json": b"{",
    "nothing": b"",
    "a list": b"[1]",
    "a text": b'"x"',
    "null": b"null",
    "a number": b"7",
    "bad utf-8": b'{"name": "\xff"}',
    "deep": b"[" * 100_000,
    "deep in a field": b'{"headers": ' + b"[" * 500 + b"]" * 500 + b"}",
    "nul": b'{"name": "a\\u0000b"}',
    "nul in a key": b'{"a\\u0000b": 1}',
    "half a surrogate": b'{"name": "\\ud800"}',
    "nan": b'{"name": NaN}',
    "infinite": b'{"params": {"a": 1e999}, "headers": {"a": 1e999}}',
    "5000 digits": b'{"position": ' + b"9" * 5000 + b', "port": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("resource", WRITABLE)
@pytest.mark.parametrize("kind", BODIES)
def test_a_broken_body_is_a_400(api: APIClient, resource, kind):
    answer = api.post(f"/api/{resource}/", BODIES[kind], content_type="application/json")
    assert answer.status_code == 400, answer.content
    assert answer.json()


def test_an_infinite_parameter_is_refused_where_anything_goes(api: APIClient, settings):
    settings.CCPROXY_ALLOW_CODE_CONFIG = True
    body = b'{"stage": "outbound", "name": "my.hook", "params": {"a": %s}}'
    refused = api.post("/api/hooks/", body % b"1e999", content_type="application/json")
    assert (refused.status_code, refused.json()) == (400, {"detail": "A number is too large."})
    assert (
        api.post("/api/hooks/", body % b"1e99", content_type="application/json").status_code == 201
    )


@pytest.mark.parametrize("resource", WRITABLE)
def test_another_content_type_is_refused(api: APIClient, resource):
    assert (
        api.post(
            f"/api/{resource}/", b"a=b", content_type="application/x-www-form-urlencoded"
        ).status_code
        == 415
    )
    assert (
        api.post(
            f"/api/{resource}/", b"{}", content_type="application/json; charset=bz2_codec"
        ).status_code
        == 400
    )


@pytest.mark.parametrize(
    "pk",
    [
        "0",
        "999999999999999999",
        "99999999999999999999999999",
        "-1",
        "1.5",
        "x",
        "%00",
        "1%00",
        "٣",
        "1;drop",
    ],
)
@pytest.mark.parametrize("resource", [*WRITABLE, "interceptors"])
def test_a_strange_address_is_a_404(api: APIClient, resource, pk):
    assert api.get(f"/api/{resource}/{pk}/").status_code == 404


def fields_of(api: APIClient, resource: str) -> list[str]:
    options = api.options(f"/api/{resource}/").json()["actions"]["POST"]
    return [name for name, about in options.items() if not about["read_only"]]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30)
    | st.sampled_from(["(", "\x7f", "a" * 2000, "http://x", "\r\n", "😀", "127.0.0.1", "{model}"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("resource", WRITABLE)
@fuzzing(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_value_in_any_field_is_accepted_or_refused(api: APIClient, resource, data):
    body: dict[str, Any] = dict(WRITABLE[resource])
    for field in data.draw(
        st.lists(st.sampled_from(fields_of(api, resource)), min_size=1, max_size=3)
    ):
        body[field] = data.draw(JSON)
    answer = api.post(f"/api/{resource}/", json.dumps(body), content_type="application/json")
    assert answer.status_code in (201, 400), (body, answer.content)
    if answer.status_code == 201:
        shown = answer.json()
        key = shown["name"] if resource == "providers" else shown["id"]
        assert api.get(f"/api/{resource}/{key}/").status_code == 200
        assert api.delete(f"/api/{resource}/{key}/").status_code == 204


def test_two_who_take_the_same_name_at_once_conflict(api: APIClient, monkeypatch):
    make_provider("p")
    monkeypatch.setattr("rest_framework.validators.UniqueValidator.__call__", lambda *_: None)
    answer = api.post("/api/providers/", WRITABLE["providers"], format="json")
    assert (answer.status_code, answer.json()) == (
        409,
        {"detail": "This contradicts what is already stored."},
    )


def test_a_busy_database_is_a_503(api: APIClient, monkeypatch):
    from django.db import OperationalError

    from flows.rest.flow_viewset import FlowViewSet

    def locked(*_: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(FlowViewSet, "get_queryset", locked)
    assert api.get("/api/flows/").status_code == 503
