"""Rows that browser tests look at, made in the running interceptor's database."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.admin import site
from django.contrib.auth.models import Group, User
from django.test import RequestFactory
from django.urls import reverse
from django.utils.timezone import now
from rest_framework.authtoken.models import Token

from ccproxy_site.frame.navigation import NAVIGATION
from flows.models import Flow, Resend, SavedFilter, UsageDaily
from interceptor.access.client_token import create_client_token
from interceptor.access.grant import token_digest
from interceptor.models import HookSetting
from interceptor.resend.grant_store import issue
from providers.models import ModelFact, PriceOverride
from tests.flows import seed
from tests.flows.seed_session import seed_session
from tests.parts import change_sides
from tests.rows import fill_catalogue, make_provider, make_rule
from tests.shapes.captured import seed_shapes

OLD = "2026-01-01T00:00:00Z"


def every_page() -> None:
    """Give every page something to show."""
    seed.seed_all()
    seed_session()
    seed_shapes()
    _rule()
    _saved("failures", "error=true")
    rows_of_the_admin()


def rows_of_the_admin() -> None:
    """Add a row of each model that the admin shows."""
    fill_catalogue()
    make_provider("keyed", auth_type="key", secret="sk-canary-4711-do-not-show")
    HookSetting.objects.get_or_create(stage="inbound", name="inject_auth")
    create_client_token("laptop")
    PriceOverride.objects.create(model="m", input_usd=1, output_usd=2)
    ModelFact.objects.create(model="m", facts={"refuses": ["temperature"]})
    Group.objects.create(name="readers")
    Token.objects.create(user=User.objects.order_by("pk")[0])


def pages_of_the_navigation() -> dict[str, str]:
    """Return the address of every page of the navigation by its title."""
    return {page.title: reverse(page.name) for section in NAVIGATION for page in section.pages}


def forms_of_the_admin() -> dict[str, str]:
    """Return the address of the form of the first row of each model that the admin shows."""
    found = {}
    for model, admin in site._registry.items():
        first = admin.model._default_manager.order_by("pk").first()
        if first is None:
            continue
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        found[f"form of {name}"] = reverse(f"admin:{name}_change", args=[first.pk])
    found["new provider"] = reverse("admin:providers_provider_add")
    found["new rule"] = reverse("admin:providers_transformrule_add")
    return found


def forms_to_add() -> dict[str, str]:
    """Return the address of the form for a new row of each model that the admin shows."""
    request = RequestFactory().get("/")
    request.user = User.objects.order_by("pk")[0]
    found = {}
    for model, admin in site._registry.items():
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        if admin.has_add_permission(request):
            found[name.replace("_", "-")] = reverse(f"admin:{name}_add")
    return found


def session_and_usage() -> None:
    """Add one session, and sums of 12 days and 4 models."""
    seed_session()
    for day in range(12):
        for model in range(4):
            _usage(day, model)


def guide() -> None:
    """Make what the pictures of docs/console.md show."""
    seed.seed_anthropic()
    seed.seed_redirect()
    seed.seed_websocket()
    seed.seed_live()
    seed.seed_small()
    session_and_usage()
    costs = {"anthropic": "0.0142", "chat": "0.00031", "google": "0.00012", "redirect": "0"}
    for name, cost in costs.items():
        Flow.objects.filter(pk=seed.IDS[name]).update(cost_usd=cost)
    _rule()
    _saved("failures", "error=true")
    _saved("expensive", "cost_min_usd=1", shared=False)
    _saved("slow", "duration_min_ms=30000", shared=False)


def loss_and_reordering(name: str) -> None:
    """Let a flow look translated: one loss, and two headers that only moved."""
    flow_id = seed.IDS[name]
    losses = [["top_k", "the target has no such setting"]]
    Flow.objects.filter(pk=flow_id).update(losses=losses)
    change_sides(flow_id, "client", headers=[["x-a", "1"], ["x-b", "2"]])
    change_sides(flow_id, "forwarded", headers=[["x-b", "2"], ["x-a", "1"]])


def many_flows(count: int) -> None:
    """Add empty flows, each a minute older than the one before."""
    for number in range(count):
        seed.add_flow(f"00000000-0000-4000-9000-{number:012d}", 100 + number)


def flow_with_body(flow_id: str, body: str) -> None:
    """Add an old flow with this request body."""
    seed.add_side(seed.add_flow(flow_id, 500), "client", {}, body.encode())


def grant(flow_id: str) -> str:
    """Return the token of a grant as the console writes it, which nobody sends."""
    return issue(Resend(flow_id=flow_id))


def expire_grant(token: str) -> None:
    """Set a grant's end to a past day."""
    Resend.objects.filter(token_sha256=token_digest(token)).update(expires_at=OLD)


def _rule() -> None:
    make_provider("anthropic")
    make_rule(
        name="opus elsewhere", match_model="opus", action="redirect", dest_host="local.example"
    )


def _saved(name: str, query: str, *, shared: bool = True) -> None:
    owner = User.objects.order_by("pk")[0]
    SavedFilter.objects.create(owner=owner, name=name, query=query, shared=shared)


def _usage(day: int, model: int) -> None:
    UsageDaily.objects.create(
        day=now().date() - timedelta(days=day * 2),
        provider="anthropic",
        model=f"model-{model}",
        session_id="s",
        requests=9 + day,
        input_tokens=1000 * (day + 1) * (model + 1),
        output_tokens=500,
        cache_read_tokens=600 * day,
        cost_usd=0.4 * (model + 1) + 0.1 * day,
    )
