"""Schema of `retry` and `fallbacks`: what becomes of requests that failed."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from interceptor.config.files.document import unknown_choice
from interceptor.config.files.groups import Group, Texts
from providers.fallbacks import parse_fallbacks
from providers.retry_policy import DEFAULT_BUDGET_S, FAILURES, MAX_ATTEMPTS, MAX_BUDGET_S


def _fallbacks(value: Texts) -> Texts:
    return tuple([entry.text for entry in parse_fallbacks(value)])


Fallbacks = Annotated[Texts, AfterValidator(_fallbacks)]


class RetrySection(Group):
    """`retry` of a provider: its failures that are tried again."""

    attempts: int = Field(
        ge=2,
        le=MAX_ATTEMPTS,
        description="How often a request is sent at most, the first included.",
    )
    statuses: tuple[int | str, ...] = Field(
        FAILURES,
        description=f"What is tried again, of: {', '.join(map(str, FAILURES))}.",
    )
    budget_seconds: float = Field(
        DEFAULT_BUDGET_S, ge=0, le=MAX_BUDGET_S, description="Limit of all waits of a request."
    )

    @field_validator("statuses")
    @classmethod
    def _known_statuses(cls, value: tuple[int | str, ...]) -> tuple[int | str, ...]:
        if not value or set(value) - set(FAILURES):
            raise unknown_choice(map(str, FAILURES))
        return value
