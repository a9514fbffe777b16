"""Policy for providers of Code Assist that have no capacity: try again, then ask other models.

Google reports it as {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": […]}}, in a
list for some clients. Settings: `gemini_capacity`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from interceptor.config.files.server import ServerSettings
from providers.fallbacks import Fallback
from providers.provider_conf import ProviderConf
from providers.wire.core.jsonio import loads
from providers.wire.google_generate.envelope import CODE_ASSIST_TYPE

NO_CAPACITY: Final = frozenset({"RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE"})
_EVENT: Final = b"data:"


@dataclass(frozen=True, slots=True)
class CapacityPolicy:
    """The settings. Times are in seconds.

    `sticky_attempts` are the further attempts with the client's own model; `max_delay_s` is the
    longest wait before one of them. A wait over `terminal_delay_s` ends everything: the quota is
    used up. `budget_s` limits the time since the first attempt.
    """

    statuses: frozenset[int] = frozenset({429, 500, 503})
    fallback_models: tuple[str, ...] = ()
    sticky_attempts: int = 3
    max_delay_s: float = 60.0
    terminal_delay_s: float = 300.0
    budget_s: float = 120.0


def policy_of(settings: ServerSettings) -> CapacityPolicy | None:
    """Return the policy of the settings; None where it is switched off."""
    chosen = settings.gemini_capacity
    if not chosen.enabled:
        return None
    return CapacityPolicy(
        statuses=frozenset(chosen.retry_status_codes),
        fallback_models=chosen.fallback_models,
        sticky_attempts=chosen.sticky_retry_attempts,
        max_delay_s=chosen.sticky_retry_max_delay_seconds,
        terminal_delay_s=chosen.terminal_delay_threshold_seconds,
        budget_s=chosen.total_retry_budget_seconds,
    )


def capacity_models(
    policy: CapacityPolicy | None, provider: ProviderConf | None, asked_model: str
) -> tuple[Fallback, ...]:
    """Return the other models of a provider that are asked when it has no capacity."""
    if policy is None or provider is None or provider.type != CODE_ASSIST_TYPE:
        return ()
    others = [model for model in policy.fallback_models if model != asked_model]
    return tuple([Fallback(provider.name, model) for model in dict.fromkeys(others)])


def says_no_capacity(body: bytes, statuses: frozenset[int]) -> bool:
    """Check a decoded error body. One that is no error of Google's says nothing of capacity."""
    try:
        found: Any = loads(body.strip().removeprefix(_EVENT))
    except (ValueError, RecursionError):
        return False
    if isinstance(found, list):
        found = found[0] if found else None
    error = found.get("error") if isinstance(found, dict) else None
    if not isinstance(error, dict):
        return False
    return error.get("code") in statuses and error.get("status") in NO_CAPACITY
