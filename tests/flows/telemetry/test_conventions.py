"""Every name and type on a span is one of the conventions, or one of ours."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.semconv import schemas
from opentelemetry.semconv._incubating.attributes import (
    error_attributes,
    gen_ai_attributes,
    http_attributes,
    server_attributes,
    service_attributes,
    url_attributes,
    user_agent_attributes,
)

from flows.telemetry import conventions
from tests.fakes.otlp_collector import attributes
from tests.flows.telemetry.model_calls import KINDS
from tests.flows.telemetry.traced import spans

REGISTRIES = (
    error_attributes, gen_ai_attributes, http_attributes, server_attributes, service_attributes,
    url_attributes, user_agent_attributes,
)  # fmt: skip
# Value types of the registry, source: docs/gen-ai/gen-ai-spans.md and the general registry.
TYPES: dict[str, type] = {
    "gen_ai.operation.name": str,
    "gen_ai.provider.name": str,
    "gen_ai.system": str,
    "gen_ai.conversation.id": str,
    "gen_ai.request.model": str,
    "gen_ai.request.stream": bool,
    "gen_ai.request.max_tokens": int,
    "gen_ai.request.temperature": float,
    "gen_ai.request.top_p": float,
    "gen_ai.request.top_k": float,
    "gen_ai.request.seed": int,
    "gen_ai.request.choice.count": int,
    "gen_ai.request.frequency_penalty": float,
    "gen_ai.request.presence_penalty": float,
    "gen_ai.request.stop_sequences": list,
    "gen_ai.response.id": str,
    "gen_ai.response.model": str,
    "gen_ai.response.finish_reasons": list,
    "gen_ai.response.time_to_first_chunk": float,
    "gen_ai.usage.input_tokens": int,
    "gen_ai.usage.output_tokens": int,
    "gen_ai.usage.cache_read.input_tokens": int,
    "gen_ai.usage.cache_creation.input_tokens": int,
    "gen_ai.usage.reasoning.output_tokens": int,
    "gen_ai.input.messages": str,
    "gen_ai.output.messages": str,
    "gen_ai.system_instructions": str,
    "http.request.method": str,
    "http.request.body.size": int,
    "http.request.resend_count": int,
    "http.response.body.size": int,
    "http.response.status_code": int,
    "url.full": str,
    "url.path": str,
    "url.scheme": str,
    "server.address": str,
    "server.port": int,
    "user_agent.original": str,
    "error.type": str,
    "error.message": str,
}
REQUIRED = {"gen_ai.operation.name", "gen_ai.provider.name", "http.request.method", "url.full"}


def names_of(module: Any) -> set[str]:
    return {value for key, value in vars(module).items() if key.isupper() and type(value) is str}


def test_the_constants_are_names_of_the_registry() -> None:
    known = set().union(*(names_of(module) for module in REGISTRIES))
    ours = {name for name in names_of(conventions) if "." in name and "/" not in name}
    foreign = {name for name in ours if not name.startswith(("ccproxy.", "ctx."))}
    assert foreign - known == set()
    assert set(TYPES) <= foreign


def test_the_schema_is_one_that_exists() -> None:
    assert conventions.SCHEMA_URL in {schema.value for schema in schemas.Schemas}


@pytest.mark.parametrize("kind", KINDS)
def test_each_attribute_has_the_type_of_the_registry(kind: str) -> None:
    found = spans(KINDS[kind]())
    for span in found:
        for name, value in attributes(span.attributes).items():
            if not name.startswith(("ccproxy.", "ctx.")):
                assert type(value) is TYPES[name], (span.name, name)
    said = attributes(found[0].attributes)
    assert said.keys() >= REQUIRED
    has_failed = found[0].status.code == 2
    assert ("error.type" in said) == has_failed


def test_all_of_the_genai_names_are_used() -> None:
    used: set[str] = set()
    for kind in KINDS.values():
        used |= attributes(spans(kind())[0].attributes).keys()
    content = {"gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"}
    genai = {name for name in TYPES if name.startswith("gen_ai.")}
    assert genai - content <= used
    assert not content & used, "content is off by default"
