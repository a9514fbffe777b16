"""The page of the proxy's state: traffic now, providers, running interceptors; and the banner on
every page of the admin.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.messages import constants
from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone

from flows.models import FAILED, Flow
from flows.queries.rights import VIEW_FLOWS
from interceptor.instances.health import (
    live_sentence,
    newest_revision,
    notices,
    running_interceptors,
)
from interceptor.instances.running_cooldowns import running_cooldowns
from interceptor.models import InterceptorStatus
from providers.credentials.credential_states import unset_variable
from providers.models import Provider


@dataclass(frozen=True, slots=True)
class Traffic:
    """Flows begun in three windows that all end now, and the failed ones among the last day's."""

    minute: int
    hour: int
    day: int
    failed_in_day: int


@dataclass(frozen=True, slots=True)
class ProviderState:
    """One provider as the dashboard shows it."""

    provider: Provider
    source: str
    missing_key: bool
    unset_variable: str
    last_flow_at: datetime | None
    unauthorised: int
    last_401_at: datetime | None


_COUNTS = ("active_flows", "queue_depth", "bodies_dropped", "records_dropped")
_SOURCES = {"none": "none", "key": "API key", "command": "command", "file": "file"}


def every_page(request: HttpRequest) -> dict[str, Any]:
    """Template variables of every admin page: what is wrong right now. One query."""
    if not (request.user.is_authenticated and request.user.is_staff):
        return {}
    running = running_interceptors()
    return {"ccproxy_running": running, "ccproxy_notices": notices(running)}


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Template variables of the first page; the template shows what the visitor may see."""
    running: list[InterceptorStatus] = context["ccproxy_running"]
    newest = newest_revision()
    now = timezone.now()
    may_see_traffic = request.user.has_perm(VIEW_FLOWS)
    may_see_providers = request.user.has_perm("providers.view_provider")
    return {
        **context,
        "title": "Status",
        "traffic": traffic(now) if may_see_traffic else None,
        "providers": provider_states(now) if may_see_providers else [],
        "cooldowns": running_cooldowns(running),
        "live": live_sentence(running, newest),
        "is_live": bool(running) and all(status.revision >= newest for status in running),
        **_counts(running),
        "DEFAULT_MESSAGE_LEVELS": constants.DEFAULT_LEVELS,
    }


def _counts(running: Sequence[InterceptorStatus]) -> dict[str, Any]:
    """Sum what the running proxies count; None and the last one to stop if none runs."""
    if not running:
        stopped = InterceptorStatus.objects.order_by("-heartbeat_at").first()
        return dict.fromkeys(_COUNTS) | {"last_stopped": stopped}
    sums = {name: sum(getattr(status, name) for status in running) for name in _COUNTS}
    return sums | {"last_stopped": None}


def traffic(now: datetime) -> Traffic:
    """Count in two queries that read indexes alone, however long the rows are."""
    day = _since(now, hours=24)
    counts = day.aggregate(
        minute=Count("started_at", filter=Q(started_at__gte=now - timedelta(minutes=1))),
        hour=Count("started_at", filter=Q(started_at__gte=now - timedelta(hours=1))),
        day=Count("started_at"),
    )
    return Traffic(**counts, failed_in_day=day.filter(FAILED).count())


def provider_states(now: datetime) -> list[ProviderState]:
    """Return each provider with its last flow and the 401s of the last day, in two queries."""
    # As a maximum: sorted, SQLite would walk through all flows for a provider without any.
    of_provider = Flow.objects.filter(provider=OuterRef("name")).order_by().values("provider")
    last_flow = of_provider.annotate(last=Max("started_at")).values("last")
    refused = (
        _since(now, hours=24)
        .filter(status_code=401)
        .values_list("provider")
        .annotate(count=Count("pk"), last=Max("started_at"))
    )
    unauthorised = {name: (count, last) for name, count, last in refused}
    states = []
    for provider in Provider.objects.annotate(last_flow_at=Subquery(last_flow)):
        count, last_401_at = unauthorised.get(provider.name, (0, None))
        missing = provider.auth_type == "key" and not provider.secret
        source = _SOURCES.get(provider.auth_type, provider.get_auth_type_display())
        states.append(
            ProviderState(
                provider,
                source,
                missing,
                unset_variable(provider, os.environ),
                provider.last_flow_at,
                count,
                last_401_at,
            )
        )
    return states


def _since(now: datetime, *, hours: int) -> QuerySet[Flow]:
    return Flow.objects.filter(started_at__gte=now - timedelta(hours=hours)).order_by()
