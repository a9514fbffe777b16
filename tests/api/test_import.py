"""Captures sent over REST and to the console's form: what comes in, and what broken and hostile
files do.
"""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzzing
from hypothesis import strategies as st
from mitmproxy.io import FlowWriter, tnetstring
from mitmproxy.test import tflow
from rest_framework.test import APIClient

from flows.imports.importer import RETENTION_NOTE
from flows.imports.uploads import MAX_UPLOAD_BYTES
from flows.models import Flow
from flows.rest.imports import ImportView
from tests.flows.seed import HOSTILE

pytestmark = pytest.mark.django_db
ADDRESS = "/api/flows/import/"


def har(*urls: str) -> bytes:
    entries = [
        {
            "startedDateTime": "2026-11-01T10:00:00Z",
            "request": {"method": "GET", "url": url},
            "response": {"status": 200},
        }
        for url in urls
    ]
    return json.dumps({"log": {"version": "1.2", "entries": entries}}).encode()


def mflow() -> bytes:
    file = io.BytesIO()
    for flow in (tflow.tflow(resp=True), tflow.twebsocketflow()):
        FlowWriter(file).add(flow)
    return file.getvalue()


@pytest.mark.parametrize(
    "content_type",
    [
        "application/har+json",
        "application/json",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
    ],
)
def test_a_har_as_the_body(api: APIClient, content_type: str):
    answer = api.post(
        ADDRESS, har("https://a.example/1", "https://a.example/2"), content_type=content_type
    )
    assert (answer.status_code, answer.json()) == (
        200,
        {"new": 2, "known": 0, "skipped": 0, "problem": "", "notes": [RETENTION_NOTE]},
    )
    again = api.post(
        ADDRESS, har("https://a.example/2", "https://a.example/3"), content_type=content_type
    )
    assert again.json() | {"notes": []} == {
        "new": 1,
        "known": 1,
        "skipped": 0,
        "problem": "",
        "notes": [],
    }
    assert [flow["source"] for flow in api.get("/api/flows/?source=import").json()["results"]] == [
        "import"
    ] * 3


def test_a_mitmproxy_capture_as_the_body_and_where_it_was_cut(api: APIClient):
    answer = api.post(ADDRESS, mflow()[:-9], content_type="application/octet-stream").json()
    assert answer["new"] == 1
    assert "cannot be read further" in answer["problem"]


def test_several_files_in_a_form(api: APIClient):
    files = [
        SimpleUploadedFile("one.har", har("https://a.example/1")),
        SimpleUploadedFile("two.mflow", mflow()),
        SimpleUploadedFile("broken.har", b"{"),
    ]
    answer = api.post(ADDRESS, {"file": files}, format="multipart")
    assert answer.status_code == 200, answer.content
    assert answer.json()["new"] == 3
    assert answer.json()["problem"].startswith("broken.har: This is not JSON")


def test_a_form_file_on_disk(api: APIClient, settings):
    settings.FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]
    answer = api.post(
        ADDRESS, {"file": SimpleUploadedFile("x", har("https://a.example/1"))}, format="multipart"
    )
    assert answer.json()["new"] == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"{",
        b"\x00",
        b"hello",
        b"[" * 100_000,
        b'{"log": {"entries": 7}}',
        b"9:x",
    ],
)
def test_what_is_no_capture_is_a_400_that_says_so(api: APIClient, admin: Client, body: bytes):
    answer = api.post(ADDRESS, body, content_type="application/octet-stream")
    assert (answer.status_code, list(answer.json())) == (400, ["detail"])
    form = api.post(ADDRESS, {"file": SimpleUploadedFile("x.har", body)}, format="multipart")
    assert form.status_code == 400
    page = admin.post("/flows/import/", {"file": SimpleUploadedFile("x.har", body)})
    assert page.status_code == 200
    assert 'class="problem"' in page.content.decode()
    assert Flow.objects.count() == 0


def test_no_file_at_all(api: APIClient, admin: Client):
    assert api.post(ADDRESS, {"x": "y"}, format="multipart").status_code == 400
    assert "Choose a file first." in admin.post("/flows/import/").content.decode()
    broken = api.post(ADDRESS, b"--x\r\nnonsense", content_type="multipart/form-data; boundary=x")
    assert broken.status_code == 400
    assert api.post(ADDRESS, b"x", content_type="multipart/form-data").status_code == 400


def test_a_file_over_the_limit_is_a_413(
    api: APIClient, admin: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ImportView, "max_upload_bytes", 100)
    settings.ROOT_URLCONF = "tests.api.small_uploads"
    large = har("https://a.example/" + "x" * 200)
    refused = api.post(ADDRESS, large, content_type="application/json")
    assert refused.status_code == 413
    assert "ccproxy flows import FILE" in refused.json()["detail"]
    page = admin.post("/flows/import/", {"file": SimpleUploadedFile("x.har", large)})
    assert "ccproxy flows import FILE" in page.content.decode()


def test_the_declared_length_is_checked_before_the_body_is_read(api: APIClient, admin: Client):
    declared = str(MAX_UPLOAD_BYTES + 2 * 1024**2)
    refused = api.post(ADDRESS, b"{}", content_type="application/json", CONTENT_LENGTH=declared)
    assert refused.status_code == 413
    upload = {"file": SimpleUploadedFile("x.har", b"{}")}
    assert admin.post("/flows/import/", upload, CONTENT_LENGTH=declared).status_code == 413


def test_importing_needs_the_right_to_add_flows(
    reader: APIClient, stranger: APIClient, client: Client
):
    for api in (reader, stranger):
        assert (
            api.post(
                ADDRESS, har("https://a.example/"), content_type="application/json"
            ).status_code
            == 403
        )
    assert APIClient().post(ADDRESS, b"{}", content_type="application/json").status_code == 401
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    assert client.get("/flows/import/").status_code == 403
    assert 'href="/flows/import/"' not in client.get("/flows/").content.decode()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.create_superuser("ada"))
    files = {"file": SimpleUploadedFile("x.har", har("https://a.example/"))}
    assert strict.post("/flows/import/", files).status_code == 403


def test_the_form_tells_what_came_in(admin: Client):
    assert 'type="file"' in admin.get("/flows/import/").content.decode()
    files = [
        SimpleUploadedFile("<b>.har", har("https://a.example/1")),
        SimpleUploadedFile("y", har()),
    ]
    html = " ".join(admin.post("/flows/import/", {"file": files}).content.decode().split())
    assert "&lt;b&gt;.har</b> 1 flow came in." in html
    assert "y</b> 0 flows came in." in html


def test_hostile_text_out_of_a_file_is_shown_as_text(admin: Client, api: APIClient):
    entry = {
        "request": {
            "method": HOSTILE,
            "url": f"https://a.example/{HOSTILE}",
            "httpVersion": HOSTILE,
            "headers": [{"name": HOSTILE, "value": HOSTILE * 50}],
            "postData": {
                "text": json.dumps(
                    {"model": HOSTILE, "messages": [{"role": "user", "content": HOSTILE}]}
                )
            },
        },
        "response": {"status": 200, "statusText": HOSTILE, "content": {"text": HOSTILE}},
    }
    body = json.dumps({"log": {"entries": [entry]}}).encode()
    assert api.post(ADDRESS, body, content_type="application/json").json()["new"] == 1
    flow = Flow.objects.get()
    for tab in ("chat", "client", "forwarded", "response", "changes", "context", "timing"):
        page = admin.get(f"/flows/{flow.pk}/?tab={tab}")
        assert page.status_code == 200
        assert "<script>alert" not in page.content.decode()
        assert "\x1b" not in page.content.decode()
    assert api.get(f"/api/flows/{flow.pk}/").status_code == 200


def tampered(change: dict[bytes, Any]) -> bytes:
    """A capture whose flow has other values in some places of its request."""
    state: Any = tflow.tflow(resp=True).get_state()
    for name, value in change.items():
        place = state["request"] if name.decode() in state["request"] else state
        place[name.decode()] = value
    return tnetstring.dumps(state)


ODD = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.binary(max_size=20)
    | st.text(max_size=20)
    | st.just("x" * 5000)
    | st.lists(st.integers(), max_size=2)
)
PLACES = [
    b"id",
    b"method",
    b"path",
    b"host",
    b"port",
    b"headers",
    b"content",
    b"timestamp_start",
    b"http_version",
]


@fuzzing(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(change=st.dictionaries(st.sampled_from(PLACES), ODD, max_size=3))
def test_a_tampered_capture_is_read_or_refused(api: APIClient, change: dict[bytes, Any]):
    answer = api.post(ADDRESS, tampered(change), content_type="application/octet-stream")
    assert answer.status_code in (200, 400), answer.content
    if answer.json().get("new"):
        flow_id = Flow.objects.latest("started_at").pk
        assert api.get(f"/api/flows/{flow_id}/").status_code == 200


@fuzzing(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.integers(0, 3000), junk=st.binary(min_size=1, max_size=6))
def test_a_damaged_capture_is_read_or_refused(api: APIClient, place: int, junk: bytes):
    whole = tampered({})
    place %= len(whole)
    answer = api.post(
        ADDRESS, whole[:place] + junk + whole[place:], content_type="application/octet-stream"
    )
    assert answer.status_code in (200, 400), answer.content


def test_faults_a_file_without_times_and_bodies_says_so(api: APIClient, admin: Client):
    entry = {
        "startedDateTime": "soon",
        "request": {"method": "GET", "url": "https://a.example/lost"},
        "response": {"status": 200, "content": {"size": 4711}},
    }
    body = json.dumps({"log": {"entries": [entry]}}).encode()
    page = admin.post("/flows/import/", {"file": SimpleUploadedFile("x.har", body)})
    flow = Flow.objects.get()
    shown = admin.get(f"/flows/{flow.pk}/?tab=response").content.decode()
    assert "The body of 4.7 KB was not kept." in shown
    flow.delete()
    notes = api.post(ADDRESS, body, content_type="application/har+json").json()["notes"]
    assert [note.split(" of ")[0] for note in notes] == [
        "Retention counts the age",
        "The time",
        "The file does not have every body:",
    ]
    html = page.content.decode()
    for words in ("The time of 1 flow is unknown", "a response is missing or cut"):
        assert words in html
