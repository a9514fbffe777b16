"""Every registered admin page renders, asks no foreign host, and shows no secret."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from rest_framework.authtoken.models import Token

from ccproxy_site.frame.navigation import NAVIGATION
from interceptor.models import InterceptorStatus
from providers.audit.log import Caller, record_audit
from providers.models import AuditEntry, PriceOverride, Provider

REGISTERED = sorted(admin.site._registry, key=lambda model: model._meta.label)
FOREIGN = re.compile(rb"""(?:src|href|action)=["']?(?:https?:)?//([^/"'> ]+)""")


def own_pages() -> list[Any]:
    return [pytest.param(model, id=model._meta.label_lower) for model in REGISTERED]


def page(model, kind: str, *args) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{kind}", args=args)


def assert_clean(response, status: int = 200) -> None:
    assert response.status_code == status
    assert FOREIGN.findall(response.content) == []
    secrets = [
        b"sk-canary-4711",
        *(str(p.secret).encode() for p in Provider.objects.exclude(secret="")),
    ]
    secrets += [key.encode() for key in Token.objects.values_list("key", flat=True)]
    assert [secret for secret in secrets if secret in response.content] == []


@pytest.mark.parametrize("model", own_pages())
def test_every_page_renders(model, browser: Client, one_of_each):
    assert_clean(browser.get(page(model, "changelist")))
    assert_clean(browser.get(page(model, "changelist"), {"q": "a"}))
    row = model.objects.first()
    assert row is not None, "the fixture makes no row of this model"
    assert_clean(browser.get(page(model, "change", row.pk)))
    assert_clean(browser.get(page(model, "history", row.pk), follow=True))
    registered, request = admin.site._registry[model], browser.get("/admin/").wsgi_request
    may_delete = registered.has_delete_permission(request)
    assert_clean(browser.get(page(model, "delete", row.pk)), 200 if may_delete else 403)
    assert_clean(
        browser.get(page(model, "add")), 200 if registered.has_add_permission(request) else 403
    )


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/login/", "/admin/search/?s=prov", "/admin/password_change/"]
)
def test_the_other_pages_render(path, browser: Client, one_of_each):
    if path == "/admin/login/":
        browser.logout()
    assert_clean(browser.get(path))


def test_lists_count_their_rows_in_the_words_of_the_navigation(browser: Client, one_of_each):
    words = {
        "providers/transformrule": "rule",
        "interceptor/hooksetting": "hook",
        "interceptor/interceptorstatus": "interceptor",
        "authtoken/tokenproxy": "API token",
    }
    for model, word in words.items():
        shown = browser.get(f"/admin/{model}/").content.decode()
        assert re.search(rf">\s*1\s+{word}\s*<", shown), model
    InterceptorStatus.objects.all().delete()
    shown = browser.get("/admin/interceptor/interceptorstatus/").content.decode()
    assert not re.search(r">\s*0\s+interceptors", shown), (
        "an empty list says itself that it is empty"
    )


def test_stored_json_is_shown_as_lines(browser: Client, one_of_each):
    status = InterceptorStatus.objects.get()
    status.endpoints = {"proxy_url": "http://127.0.0.1:4000", "stock": ""}
    status.measures = [["ccproxy.flows", {"outcome": "ok"}, 20]]
    status.save()
    shown = browser.get(page(InterceptorStatus, "change", status.pk)).content.decode()
    assert "proxy url: http://127.0.0.1:4000" in shown
    assert "ccproxy.flows, outcome ok: 20" in shown


def test_a_row_that_nobody_changes_has_no_history(browser: Client, one_of_each):
    record_audit("reveal", "provider anthropic", by=Caller("ada", "console", ""))
    entry = AuditEntry.objects.latest("pk")
    assert "/history/" not in browser.get(page(AuditEntry, "change", entry.pk)).content.decode()
    row = Provider.objects.get()
    assert "/history/" in browser.get(page(Provider, "change", row.pk)).content.decode()


def test_prices_have_no_zeros_that_say_nothing(browser: Client):
    row = PriceOverride.objects.create(model="m", input_usd=3, output_usd="3.75")
    shown = browser.get(page(PriceOverride, "change", row.pk)).content.decode()
    assert re.findall(r'name="(?:input|output)_usd" value="([^"]*)"', shown) == ["3", "3.75"]
    sent = {"model": "m", "position": 0, "input_usd": "3", "output_usd": "0.05", "enabled": "on"}
    assert browser.post(page(PriceOverride, "change", row.pk), sent).status_code == 302
    row.refresh_from_db()
    assert str(row.output_usd.normalize()) == "0.05"


def test_somebody_without_rights_sees_nothing(client: Client, django_user_model):
    client.force_login(django_user_model.objects.create_user("guest"))
    assert client.get("/admin/").status_code == 302
    assert client.get("/admin/providers/provider/").status_code == 302


def test_an_empty_list_says_what_its_rows_are_for(browser: Client) -> None:
    html = browser.get("/admin/providers/transformrule/").content.decode()
    assert "Without rules, a request goes to the provider of its sentinel key." in html
    assert "Nothing matches." in browser.get("/admin/providers/transformrule/?q=x").content.decode()


def test_lists_write_moments_in_digits_with_their_zone(browser: Client) -> None:
    record_audit("reveal", "provider anthropic", by=Caller("ada", "console", ""))
    html = browser.get("/admin/providers/auditentry/").content.decode()
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", html)


def test_the_history_of_a_row_is_the_audit_log(browser: Client, one_of_each):
    provider = Provider.objects.get(name="anthropic")
    provider.port = 4711
    provider.save()
    reply = browser.get(page(Provider, "history", provider.pk), follow=True)
    assert reply.redirect_chain[0][0].startswith(
        "/admin/providers/auditentry/?q=provider+anthropic"
    )
    assert "4711" in reply.content.decode()


def test_a_list_is_called_as_in_the_navigation(browser: Client, one_of_each):
    shown = [each for section in NAVIGATION for each in section.pages]
    lists = [each for each in shown if each.name.endswith("_changelist")]
    assert len(lists) > 10
    for each in lists:
        html = browser.get(reverse(each.name)).content.decode()
        assert f'tracking-tight">{each.title}</a>' in html, each.name
    # A row is called by its own name, in its own case.
    row = browser.get(page(Provider, "change", Provider.objects.get(name="anthropic").pk))
    assert 'tracking-tight">anthropic</a>' in row.content.decode()
