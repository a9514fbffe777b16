"""Rows for pictures of what the demo does not show: a rule, saved filters, a websocket, weeks of usage."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from django.contrib.auth.models import User
from django.utils.timezone import now

from flows.models import SavedFilter, UsageDaily
from providers.models import Provider
from tests.browser.seeds import forms_of_the_admin, pages_of_the_navigation
from tests.flows.seed import seed_live, seed_websocket
from tests.rows import make_rule
from tests.shapes.captured import seed_shapes

# Model → provider, share of the requests, dollars for a million input tokens. Made up.
MODELS = {
    "claude-sonnet-4-5": ("anthropic", 5, "3"),
    "claude-haiku-4-5": ("anthropic", 8, "1"),
    "gpt-5-mini": ("openai", 3, "0.25"),
    "gemini-2.5-flash": ("google", 2, "0.3"),
}
DAYS = 21
GUEST = "guest"
GUEST_PASSWORD = "a-guest-without-rights"

# Name, model that matches, provider and model that requests go to.
RULES = (
    ("claude-on-gpt", "claude-sonnet", "openai", "gpt-5-mini"),
    ("haiku-on-gemini", "claude-haiku", "google", "gemini-2.5-flash"),
    ("titles-on-deepseek", "gpt-5-nano", "deepseek", "deepseek-chat"),
)


def rules_and_filters() -> None:
    """Add rules that match nothing of the demo, and saved filters of the first account."""
    for name, model, provider, target in RULES:
        make_rule(
            name=name,
            action="transform",
            match_model=model,
            dest_provider=Provider.objects.get(name=provider),
            dest_model=target,
        )
    owner = User.objects.order_by("pk")[0]
    for name, query in {"failures": "error=true", "slow": "duration_min_ms=30000"}.items():
        SavedFilter.objects.create(owner=owner, name=name, query=query, shared=name == "failures")


def websocket() -> str:
    """Add a flow of Codex over a websocket; return its id."""
    return str(seed_websocket().pk)


def usage() -> None:
    """Add sums of some weeks. Weekends are quiet."""
    for age in range(1, DAYS):
        day = now().date() - timedelta(days=age)
        for number, (model, (provider, share, price)) in enumerate(MODELS.items()):
            requests = share * (2 if day.weekday() > 4 else 6 + (age * 7 + number) % 5)
            tokens = requests * 18_000
            UsageDaily.objects.create(
                day=day,
                provider=provider,
                model=model,
                session_id=f"session-{age}",
                requests=requests,
                input_tokens=tokens,
                output_tokens=requests * 420,
                cacheable_tokens=tokens,
                cache_read_tokens=tokens * (70 + (age * 11) % 22) // 100,
                cost_usd=Decimal(price) * tokens / 5_000_000,
            )


def running_flow() -> None:
    """Add a flow that streams and never ends."""
    seed_live()


def guest() -> None:
    """Add an account that may sign in, and has no right."""
    User.objects.create_user(GUEST, password=GUEST_PASSWORD, is_staff=True)


def admin_pages() -> dict[str, str]:
    """Return the pages of the navigation and a form of each model, by a name for files."""
    pages = pages_of_the_navigation() | forms_of_the_admin()
    return {f"nav-{title.lower().replace(' ', '-')}": at for title, at in pages.items()}


def shapes() -> None:
    """Add two versions of a shape, and a newer release of their client."""
    seed_shapes()
