"""The flow pages over HTTP: what they show, how many queries they need, and that hostile text stays
text.
"""

from __future__ import annotations

import json
import re

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from flows.models import Flow
from tests.flows.seed import HOSTILE, IDS, SESSION, add_flow

pytestmark = pytest.mark.django_db


def page(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return response.content.decode()


def row_ids(html: str) -> list[str]:
    return re.findall(r'<tr id="f-([^"]+)"', html)


# --- who may look


def test_the_console_asks_for_a_login(client: Client):
    response = client.get("/flows/")
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


@pytest.mark.parametrize(
    "address", ["", "rows?ids=x", "x/", "x/partial", "x/json/client", "x/body/client"]
)
def test_only_staff_may_look(client: Client, address: str):
    client.force_login(User.objects.create_user("guest"))
    assert client.get(f"/flows/{address}").status_code == 403


def test_pages_are_not_kept_by_caches_and_allow_no_inline_code(seeded: Client):
    response = seeded.get("/flows/")
    assert response["Cache-Control"] == "private, no-store"
    assert "unsafe" not in response["Content-Security-Policy"]
    assert "HX-Request" in response["Vary"]


# --- the list


def test_the_list_shows_every_flow_newest_first_without_reading_bodies(seeded: Client):
    with CaptureQueriesContext(connection) as queries:
        html = page(seeded, "/flows/")
    assert not [
        q for q in queries.captured_queries if "flowbody" in q["sql"] or "flowparts" in q["sql"]
    ]
    assert row_ids(html)[0] == IDS["live"]
    assert len(row_ids(html)) == Flow.objects.count()
    assert "12.9 k" in html  # tokens
    assert "612 ms" in html  # time to the first event
    assert "–" in html  # what is unknown
    unknown = re.findall(
        r'<td class="num cost">\s*<span class="muted unknown">–</span>\s*</td>', html
    )
    assert len(unknown) == Flow.objects.count()
    Flow.objects.filter(pk=IDS["chat"]).update(cost_usd="0.042")
    row = page(seeded, "/flows/rows?ids=" + IDS["chat"])
    assert re.search(r'<td class="num cost">\s*\$0\.042\s*</td>', row)


def test_an_empty_list_teaches_how_to_get_traffic(staff: Client):
    html = page(staff, "/flows/")
    assert "ccproxy demo" in html
    assert "ccproxy run -- claude" in html


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("provider=local", ["redirect", "failed"]),
        ("rule=cheap-evenings", ["redirect", "failed"]),
        ("model=qwen3-coder", ["redirect", "failed"]),
        ("status=4xx", ["unauthorised"]),
        ("status=none", ["failed"]),
        ("error=true", ["unauthorised", "failed"]),
        ("state=live", ["live"]),
        ("hook=verbose_mode", ["anthropic"]),
        (f"session={SESSION}", ["live", "anthropic", "redirect", "count"]),
        ("q=build+fails", []),
        ("q=build+MAIN", ["anthropic"]),
        ("q=count_tokens", ["count"]),
        ("q=cheap-even", ["redirect", "failed"]),
        (f"q={SESSION[:8]}", ["live", "anthropic", "redirect", "count"]),
        (f"q={IDS['chat'][:13]}", ["chat"]),
        ("q=claude-sonnet&status=2xx", ["redirect"]),
        ("after=2026-11-20T09:25:00Z", ["live", "anthropic"]),
        ("before=2026-11-20T08:40:00Z", ["count", "hostile"]),
    ],
)
def test_filters_narrow_the_list(seeded: Client, query: str, names: list[str]):
    assert row_ids(page(seeded, f"/flows/?{query}")) == [IDS[name] for name in names]


def test_a_filter_is_a_chip_that_can_be_removed(seeded: Client):
    html = page(seeded, "/flows/?provider=local&status=2xx")
    assert 'href="/flows/?status=2xx"' in html
    assert 'href="/flows/?provider=local"' in html


def test_an_impossible_filter_says_so_instead_of_failing(seeded: Client):
    assert "Select a valid choice" in page(seeded, "/flows/?status=9xx")


@pytest.mark.parametrize(
    "text", [IDS["chat"], f" {IDS['chat'].upper()} ", f"http://127.0.0.1:8083/flows/{IDS['chat']}/"]
)
def test_a_pasted_flow_id_opens_the_flow(seeded: Client, text: str):
    response = seeded.get("/flows/", {"q": text})
    assert response["Location"] == f"/flows/{IDS['chat']}/"


def test_pages_follow_each_other_without_gaps_even_when_times_are_equal(staff: Client):
    for number in range(130):
        add_flow(f"f{number:03d}", minutes=number // 50)
    seen: list[str] = []
    address = "/flows/"
    while True:
        html = page(staff, address)
        seen += row_ids(html)
        older = re.search(r'rel="next" href="([^"]+)"', html)
        if not older:
            break
        address = older[1].replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 130
    assert seen == list(Flow.objects.order_by("-started_at", "-id").values_list("id", flat=True))


@pytest.mark.parametrize("cursor", ["x", "1_", "99999999999999999999_a", "-1_a", "\x00", "1_\x00"])
def test_a_broken_cursor_is_the_first_page(seeded: Client, cursor: str):
    assert row_ids(seeded.get("/flows/", {"cursor": cursor}).content.decode())[0] == IDS["live"]


def test_live_rows_are_filtered_by_the_server(seeded: Client):
    ids = ",".join([IDS["chat"], IDS["redirect"], "nobody"])
    assert row_ids(page(seeded, f"/flows/rows?ids={ids}")) == [IDS["redirect"], IDS["chat"]]
    assert row_ids(page(seeded, f"/flows/rows?ids={ids}&provider=openai")) == [IDS["chat"]]


def test_htmx_gets_the_results_alone(seeded: Client):
    html = seeded.get("/flows/?provider=local", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in html
    assert row_ids(html) == [IDS["redirect"], IDS["failed"]]


# --- one flow


def test_the_page_says_in_one_sentence_what_happened(seeded: Client):
    html = page(seeded, f"/flows/{IDS['anthropic']}/")
    heading = re.search(r'<h1 class="sentence">(.*?)</h1>', html, re.DOTALL)
    assert heading
    assert (
        " ".join(re.sub("<[^>]+>", "", heading[1]).split())
        == "POST /v1/messages · claude-haiku-4-5 → provider anthropic by sentinel · 2 hooks changed"
        " 3 headers · 200 streamed in 4.1 s"
    )


@pytest.mark.parametrize("name", sorted(IDS))
@pytest.mark.parametrize(
    "tab", ["client", "forwarded", "response", "changes", "timing", "messages", "nonsense"]
)
def test_every_tab_of_every_flow_renders(seeded: Client, name: str, tab: str):
    html = page(seeded, f"/flows/{IDS[name]}/?tab={tab}")
    assert "<img src=x" not in html
    assert "<script>alert" not in html
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", html)


def test_the_answer_is_readable_and_its_tool_call_named(seeded: Client):
    html = page(seeded, f"/flows/{IDS['anthropic']}/?tab=response")
    assert "crossed midnight" in html
    assert '<div class="piece tool">Read</div>' in html
    assert "{&quot;path&quot;: &quot;tests/test_clock.py&quot;}" in html


def test_events_carry_their_times(seeded: Client):
    html = page(seeded, f"/flows/{IDS['anthropic']}/?tab=response&view=events")
    assert "content_block_delta" in html
    assert '<td class="num">612</td>' in html


def test_the_answer_as_delivered_can_be_chosen_where_it_differs(seeded: Client):
    html = page(seeded, f"/flows/{IDS['redirect']}/?tab=response&side=delivered")
    assert "x-ccproxy-flow" in html
    assert "As delivered" in html
    assert "As delivered" not in page(seeded, f"/flows/{IDS['anthropic']}/?tab=response")


def test_changes_compare_client_and_forwarded(seeded: Client):
    html = page(seeded, f"/flows/{IDS['redirect']}/?tab=changes")
    for place in ("model", "messages[1]", "tools[name=Bash]", "system[0].text", "metadata"):
        assert f"<code>{place}</code>" in html
    assert "this provider has no prompt cache" in html


def test_one_hook_shows_only_its_own_change(seeded: Client):
    html = page(seeded, f"/flows/{IDS['anthropic']}/?tab=changes&hook=2")
    change = html[html.index('<div class="change">') :]
    assert "redact-thinking-2026-02-12" in change
    assert "redacted 3f9a21" not in change.split("unchanged header")[0]


def test_a_failed_hook_says_why(seeded: Client):
    html = page(seeded, f"/flows/{IDS['redirect']}/?tab=changes&hook=1")
    assert "KeyError: &#x27;budget&#x27; (my_hooks.py line 12)" in html


def test_a_branch_of_a_body_is_fetched_when_opened(seeded: Client):
    html = page(seeded, f"/flows/{IDS['anthropic']}/json/client?path=/messages/2/content/0")
    assert "toolu_01" in html
    page(seeded, f"/flows/{IDS['anthropic']}/json/client?path=/messages/99", status=404)


def test_a_flow_that_is_gone_says_so(staff: Client):
    assert "This flow is not here" in page(staff, "/flows/gone/", status=404)


@pytest.mark.parametrize("address", ["", "partial", "json/client", "body/client"])
def test_an_impossible_id_is_not_found(staff: Client, address: str):
    page(staff, f"/flows/%00x/{address}", status=404)


def test_bodies_are_downloads_that_no_browser_runs(seeded: Client):
    response = seeded.get(f"/flows/{IDS['anthropic']}/body/client")
    assert json.loads(response.content)["model"] == "claude-haiku-4-5"
    assert (
        response["Content-Disposition"] == f'attachment; filename="{IDS["anthropic"]}-client.json"'
    )
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"].startswith("sandbox")
    assert response["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("source", ["hook-0-before", "hook-0-after"])
def test_a_hooks_bodies_can_be_downloaded(seeded: Client, source: str):
    assert f"/body/{source}" in page(seeded, f"/flows/{IDS['redirect']}/?tab=changes&hook=0")
    body = json.loads(seeded.get(f"/flows/{IDS['redirect']}/body/{source}").content)
    assert ("Bash" in [tool["name"] for tool in body["tools"]]) == (source == "hook-0-before")


def test_a_message_can_be_downloaded(seeded: Client):
    assert seeded.get(f"/flows/{IDS['websocket']}/body/message-3").content == b"\x00\x01\x02binary"


@pytest.mark.parametrize("source", ["nothing", "hook-9-before", "hook-0-during", "message-77"])
def test_no_such_body_is_not_found(seeded: Client, source: str):
    page(seeded, f"/flows/{IDS['redirect']}/body/{source}", status=404)


def test_a_running_answer_is_told_from_the_record(seeded: Client):
    whole = seeded.get(f"/flows/{IDS['live']}/partial").json()
    assert whole["state"] == "live"
    assert whole["pieces"] == [["text", "Reading the file now. The clock is "]]
    rest = seeded.get(f"/flows/{IDS['live']}/partial", {"from": whole["next"] - 100}).json()
    assert rest["next"] == whole["next"]
    assert rest["pieces"] == [["text", "is "]]


def test_hostile_text_is_spelled_out_in_the_list(seeded: Client):
    html = page(seeded, "/flows/rows?ids=" + IDS["hostile"])
    assert "\\u202e" in html
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]|<script|<img", html)


def test_hostile_text_is_spelled_out(seeded: Client):
    html = page(seeded, f"/flows/{IDS['hostile']}/?tab=client")
    assert '<span class="ctl">\\u202e</span>' in html
    assert '<span class="ctl">\\x1b</span>' in html
    assert "\u202e" in HOSTILE
