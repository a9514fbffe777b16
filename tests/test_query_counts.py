"""Every page of the console, the admin and the REST API needs as many queries as its baseline,
however many rows there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse
from django.utils import timezone

from ccproxy_site.api import router
from flows.console.tabs import TABS
from flows.export.kinds import KINDS
from flows.lineage.linker import Linker
from flows.models import SavedFilter
from interceptor.models import InterceptorStatus
from providers.audit.log import Caller, record_audit
from providers.models import Provider
from shapes.models import Shape
from tests.flows.seed import IDS, seed_all
from tests.flows.seed_session import SESSION, TURN_IDS, seed_session
from tests.query_counts import Page, QueryCounts
from tests.rows import make_flow, make_one_of_each, make_provider, make_rule

pytestmark = pytest.mark.django_db
MORE = 5
NOT_VISITED = {
    "login-link": "uses up its token",
    "metrics": "for programs; its test counts the queries",
    "provider-trial": "POST alone",
    "resend-ticket": "needs a proxy that sends",
    "resend-preview": "answers forms alone",
    "flows:pin": "answers forms alone",
    "flows:save-filter": "answers forms alone",
    "flows:change-filter": "answers forms alone",
    "api-explain": "POST alone",
    "api-explain-rule": "POST alone",
    "api-import": "POST alone",
    "api-pplx-limits": "asks a site",
    "api-pplx-threads": "asks a site",
    "api-pplx-thread": "asks a site",
    "api-pplx-export": "POST alone",
    "api-resend": "POST alone",
    "shapes:import": "POST alone",
    "api-shape-preview": "POST alone",
    "shapes:acknowledge": "POST alone",
    "shapes:deactivate": "POST alone",
    "shapes:activate": "POST alone",
    "shapes:delete": "POST alone",
    "shape-review": "POST alone",
    "shape-from-file": "POST alone",
    "shape-activate": "POST alone",
    "shape-deactivate": "POST alone",
    "shapingprofile-acknowledge": "POST alone",
    "shapingprofile-withdraw": "POST alone",
    "admin:logout": "POST alone",
    "admin:password_change_done": "needs a changed password",
    "admin:view_on_site": "no model has an address of its own",
    "admin:autocomplete": "answers the forms' own scripts",
    "admin:ccproxy_site_sentnotice_test": "POST alone",
    "admin:providers_auth_test": "POST alone",
    "admin:providers_auth_renew": "POST alone",
    "admin:auth_user_password_change": "Django's own",
}
MORE_THERE = [f"/flows/{flow_id}/" for flow_id in (IDS["live"], IDS["redirect"], *TURN_IDS[1:])]
"""Flows to look at again with more rows: those whose tabs need most, and some of the session that
has grown. Pages of the others load nothing else of the rows that were added.
"""
NOT_VISITED_KINDS = ("_history", "_delete", "_add")
"""Forms of the admin, which show one row."""


@pytest.fixture
def visitor(admin: Client) -> Client:
    """A browser of a superuser, and one row of everything."""
    user = User.objects.get()
    seed_all()
    seed_session()
    make_one_of_each(user)
    # The proxy counts as running, however long this machine takes for the pages.
    InterceptorStatus.objects.update(heartbeat_at=timezone.now() + timedelta(hours=1))
    # A session that is active now, too.
    make_flow(session_id=SESSION)
    SavedFilter.objects.create(owner=user, name="failures", query="error=true")
    link_all()
    return admin


def link_all() -> None:
    """Link the flows, as the recorder does."""
    linker = Linker()
    while linker.link_pending():
        pass


def add_more_rows() -> None:
    """Add five more of what lists show."""
    user = User.objects.get()
    for number in range(MORE):
        provider = make_provider(f"p{number}", auth_type="codex_oauth")
        rule = make_rule(name=f"r{number}", dest_provider=provider, action="redirect")
        make_flow(provider=provider.name, rule_id=rule.pk, status_code=401, session_id=SESSION)
        SavedFilter.objects.create(owner=user, name=f"f{number}", query="error=true")
        User.objects.create_user(f"user{number}", is_staff=True)
        Shape.objects.create(
            provider_type="anthropic",
            version=number + 2,
            path="/v1/messages",
            body="{}",
            activated_at=timezone.now(),
        )
        record_audit("reveal", f"provider {provider.name}", by=Caller("ada", "console", ""))
    link_all()


def console_pages() -> list[Page]:
    flow, other = f"/flows/{IDS['anthropic']}/", IDS["redirect"]
    every_flow = [f"/flows/{flow_id}/" for flow_id in [*IDS.values(), *TURN_IDS]]
    pages = {
        "flows:list": "/flows/",
        "tab-state": "/tab-state/?since=1&after=0",
        "flows:list?status=4xx": "/flows/?status=4xx",
        "flows:list?q=build": "/flows/?q=build",
        "flows:list?jq=map(.id)": "/flows/?jq=map(.id)",
        "flows:list?sort=-cost": "/flows/?sort=-cost",
        "flows:list?peek": f"/flows/?peek={TURN_IDS[1]}",
        "flows:peek": f"/flows/{TURN_IDS[1]}/peek",
        "flows:rows": f"/flows/rows?ids={IDS['chat']},{other}",
        "flows:har": "/flows/har",
        "flows:import": "/flows/import/",
        "flows:sessions": "/flows/sessions/",
        "flows:session": f"/flows/session/{SESSION}/",
        "flows:session?tab=timeline": f"/flows/session/{SESSION}/?tab=timeline",
        "flows:session?tab=context": f"/flows/session/{SESSION}/?tab=context",
        "flows:session-export": f"/flows/session/{SESSION}/export/html",
        "flows:session-export?jsonl": f"/flows/session/{SESSION}/export/jsonl",
        "flows:flow-share": f"/flows/{TURN_IDS[1]}/share/html",
        "flows:pair": f"/flows/diff/{IDS['anthropic']}/{other}/",
        "flows:detail?tab=changes&hook=0": f"{flow}?tab=changes&hook=0",
        "flows:detail?tab=chat&view=json": f"{flow}?tab=chat&view=json",
        "flows:detail?tab=chat&part=forwarded": f"{flow}?tab=chat&part=forwarded",
        "flows:partial": f"/flows/{IDS['live']}/partial",
        "flows:json": f"{flow}json/client",
        "flows:image": f"/flows/{TURN_IDS[1]}/image/client/0",
        "flows:flow-har": f"{flow}har",
        "flows:body": f"{flow}body/client",
        "resend": f"{flow}resend/",
        "resend?as=forwarded": f"{flow}resend/?as=forwarded",
        "dashboard": "/dashboard/",
        "usage:csv": "/usage/csv",
        "usage:page": "/usage/",
        "usage:page?days=7&show=tokens": "/usage/?days=7&show=tokens",
        "explain": "/explain/",
        "models": "/models/?model=gpt-5.4",
        "explain?flow=": f"/explain/?flow={IDS['anthropic']}",
        "rule-trial": "/explain/rule/",
        "shapes:list": "/shapes/",
        "shapes:capture": f"/shapes/capture/{IDS['anthropic']}/?type=anthropic",
        "shapes:detail": "/shapes/anthropic/1/",
        "shapes:json": "/shapes/anthropic/1/json",
        "shapes:mflow": "/shapes/anthropic/1/mflow",
        "shapes:compare": "/shapes/anthropic/1/compare?with=1",
        "shape-preview": f"/shapes/anthropic/1/preview/?flow={IDS['anthropic']}",
        "shapes:diff": "/shapes/anthropic/1/diff/1/",
    }
    of_every_flow = [
        Page(
            f"flows:detail?tab={tab}",
            [f"{path}?tab={tab}" for path in every_flow],
            [f"{path}?tab={tab}" for path in MORE_THERE],
        )
        for tab in TABS
    ]
    copies = [f"{flow}as/{kind}" for kind in KINDS]
    one_address = [Page(name, [path]) for name, path in pages.items()]
    return [*one_address, *of_every_flow, Page("flows:copy", copies)]


def admin_pages() -> list[Page]:
    pages = [
        Page("admin:index", ["/admin/"]),
        Page("admin:login", ["/admin/login/"]),
        Page("admin:search", ["/admin/search/?s=prov"]),
        Page("admin:password_change", ["/admin/password_change/"]),
        Page("admin:jsi18n", ["/admin/jsi18n/"]),
        Page("admin:app_list", ["/admin/providers/"]),
        Page("admin:providers_auth_board", ["/admin/providers/provider/auth-board/"]),
    ]
    for model in sorted(site._registry, key=lambda model: model._meta.label):
        route = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        row = model._default_manager.order_by("pk").first()
        assert row is not None, f"no row of {model._meta.label}"
        change = reverse(f"{route}_change", args=[row.pk])
        pages.append(Page(f"{route}_changelist", [reverse(f"{route}_changelist")]))
        pages.append(Page(f"{route}_change", [change]))
    keyed = reverse("admin:providers_reveal", args=[Provider.objects.get(name="anthropic").pk])
    return [*pages, Page("admin:providers_reveal", [keyed])]


def rest_pages() -> list[Page]:
    flow = f"/api/flows/{IDS['anthropic']}/"
    pk = Shape.objects.get(version=1).pk
    shape = f"/api/shapes/{pk}/"
    pages = {
        "schema": "/api/schema/",
        "api-docs": "/api/docs/",
        "api-root": "/api/",
        "api-usage": "/api/usage/?days=7",
        "api-sessions": "/api/sessions/",
        "api-session-export": f"/api/sessions/{SESSION}/export/html/",
        "api-session": f"/api/sessions/{SESSION}/",
        "api-changes": f"{flow}changes/",
        "api-context": f"/api/flows/{TURN_IDS[1]}/context/",
        "api-messages": f"/api/flows/{IDS['websocket']}/messages/",
        "api-turns": f"/api/flows/{IDS['websocket']}/turns/",
        "api-pair": f"{flow}diff/{IDS['redirect']}/",
        "flow-har": "/api/flows/har/",
        "flow-body": f"{flow}body/client/",
        "flow-copy": f"{flow}as/curl/",
        "shape-candidates": "/api/shapes/candidates/",
        "shape-diff": f"{shape}diff/{pk}/",
        "shape-mflow": f"{shape}mflow/",
        "flow-list": "/api/flows/",
        "flow-list?jq=map(.id)": "/api/flows/?jq=map(.id)",
        "flow-detail": flow,
    }
    resources: list[tuple[str, Any, str]] = router.registry
    for _, viewset, name in resources:
        if name != "flow":
            row = viewset.queryset.all().first()
            assert row is not None, f"no row for {name}"
            pages[f"{name}-list"] = reverse(f"{name}-list")
            key = getattr(row, viewset.lookup_field)
            pages[f"{name}-detail"] = reverse(f"{name}-detail", args=[key])
    return [Page(name, [path]) for name, path in pages.items()]


def all_pages() -> list[Page]:
    return [*console_pages(), *admin_pages(), *rest_pages()]


def route_names(resolver: URLResolver, namespace: str = "") -> Iterator[str]:
    """Yield the name of every route, with its namespace."""
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from route_names(entry, inner)
        elif entry.name:
            yield namespace + entry.name


@pytest.mark.parametrize("pages", [console_pages, admin_pages, rest_pages])
def test_every_page_needs_as_many_queries_as_before_also_with_more_rows(
    pages: Callable[[], list[Page]], visitor: Client, query_counts: QueryCounts
) -> None:
    with transaction.atomic():
        query_counts.check(visitor, pages())
        # Some pages write a row, such as who revealed a key, which others then read.
        transaction.set_rollback(True)
    add_more_rows()
    QueryCounts(update=False).check(visitor, [page.with_more_rows for page in pages()])


def test_every_route_is_measured_or_has_a_reason(
    visitor: Client, query_counts: QueryCounts
) -> None:
    pages = all_pages()
    query_counts.check_names(pages)
    routes = set(route_names(get_resolver()))
    measured = {page.route for page in pages}
    assert measured <= routes
    forms = {name for name in routes if name.endswith(NOT_VISITED_KINDS)}
    assert routes - measured - forms == set(NOT_VISITED)
