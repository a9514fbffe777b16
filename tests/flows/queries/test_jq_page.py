"""The flow list under a jq filter."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tests.flows.seed import HOSTILE, IDS

pytestmark = pytest.mark.django_db


def page(client: Client, **params: str) -> str:
    response = client.get("/flows/", params)
    assert response.status_code == 200
    return response.content.decode()


def row_ids(html: str) -> list[str]:
    return re.findall(r'<tr id="f-([^"]+)"', html)


def test_kept_flows_are_rows_in_the_filters_order(seeded: Client):
    html = page(seeded, provider="anthropic", jq="map(select(.is_stream)) | reverse")
    assert row_ids(html) == [IDS["anthropic"], IDS["live"]]
    assert "data-live" not in html  # new rows would not have passed the filter
    assert '<span class="muted">jq</span> map(select(.is_stream)) | reverse' in html
    assert 'value="map(select(.is_stream)) | reverse"' in html


def test_other_values_are_shown_as_json_and_hostile_ones_as_text(seeded: Client):
    assert "[\n  10\n]" in page(seeded, jq="[length]")
    html = page(seeded, jq="map(.route)").partition('id="jq-value"')[2].partition("</pre>")[0]
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "\u202e" not in html
    assert HOSTILE not in html


def test_an_error_is_told_with_its_place(seeded: Client):
    html = page(seeded, jq=".[} <script>")
    assert "syntax error, unexpected INVALID_CHARACTER (line 1, column 3)" in html
    assert '<script>"' not in html
    assert not row_ids(html)
    assert page(seeded, jq="x" * 20_000)
    assert page(seeded, jq="\0")


def test_a_filter_that_keeps_nothing_says_so(seeded: Client):
    assert "No flow matches." in page(seeded, jq="map(select(false))")
