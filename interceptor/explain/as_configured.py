"""Explanations with the configuration and the settings of this installation's proxy."""

from __future__ import annotations

from django.conf import settings

from interceptor.access.caller_rules import guard_rules
from interceptor.config.snapshot.load import load_snapshot
from interceptor.config.snapshot.schema import Snapshot
from interceptor.explain.dry_run import explain
from interceptor.explain.explanation import DryRequest, Explanation
from interceptor.instances.health import running_interceptors
from interceptor.instances.running_cooldowns import running_cooldowns
from interceptor.transform.capacity_policy import policy_of
from interceptor.transform.cooldowns import Cooldowns, Target
from providers.base.loopback import is_loopback
from providers.base.version import product_version


def explain_as_configured(request: DryRequest, snapshot: Snapshot | None = None) -> Explanation:
    """Explain a request as the proxy with these settings would treat it.

    Args:
        request: the client's request.
        snapshot: the configuration; None: the newest.

    Raises:
        ConfigError: the configuration cannot be used.
    """
    own = settings.CCPROXY
    if snapshot is None:
        snapshot = load_snapshot(shaping_enabled=own.shaping.enabled)
    capacity = policy_of(own)
    has_models = capacity is not None and bool(capacity.fallback_models)
    return explain(
        snapshot,
        request,
        guard_rules(own.host, own.allowed_hosts, own.allowed_origins),
        require_token=not is_loopback(own.host),
        own_credentials=own.own_credentials,
        verifies_tls=not own.inspector.mitmproxy.ssl_insecure,
        version=product_version(),
        cooldowns=_cooldowns() if snapshot.chained or has_models else None,
        capacity=capacity,
    )


def _cooldowns() -> Cooldowns:
    """Return the cooldowns of the running proxies, as far as their heartbeats know them."""
    found = Cooldowns()
    for each in running_cooldowns(running_interceptors()):
        target = Target(each.provider, each.model)
        found.begin(target, each.cause, first_s=each.left_s, asked_s=each.left_s)
    return found
