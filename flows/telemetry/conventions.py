"""Names of spans, attributes, events and metrics. Pure; no other module writes one of them.

The `gen_ai.*` names follow the GenAI semantic conventions of `GENAI_SOURCE`. They moved there from
the general conventions with version 1.42.0 and have no release of their own yet, so the commit is
their version. The general names follow `SCHEMA_URL`.
"""

from __future__ import annotations

from typing import Final

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
GENAI_SOURCE: Final = "open-telemetry/semantic-conventions-genai"
GENAI_COMMIT: Final = "002c8a6ea1c8a42b14a4527db83b3cabcded610a"

# --- general conventions

HTTP_METHOD: Final = "http.request.method"
HTTP_STATUS: Final = "http.response.status_code"
HTTP_REQUEST_SIZE: Final = "http.request.body.size"
HTTP_RESPONSE_SIZE: Final = "http.response.body.size"
HTTP_RESEND_COUNT: Final = "http.request.resend_count"
URL_FULL: Final = "url.full"
URL_PATH: Final = "url.path"
URL_SCHEME: Final = "url.scheme"
URL_QUERY: Final = "url.query"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
USER_AGENT: Final = "user_agent.original"
ERROR_TYPE: Final = "error.type"
ERROR_OTHER: Final = "_OTHER"
"""The value of `error.type` for an error without a class."""
ERROR_MESSAGE: Final = "error.message"
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"

# --- GenAI conventions

PROVIDER_NAME: Final = "gen_ai.provider.name"
SYSTEM: Final = "gen_ai.system"
"""Deprecated name of `gen_ai.provider.name`, with values of its own: `inspector.provider_map`."""
OPERATION: Final = "gen_ai.operation.name"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105

CHAT: Final = "chat"
GENERATE_CONTENT: Final = "generate_content"
EMBEDDINGS: Final = "embeddings"
TEXT_COMPLETION: Final = "text_completion"

# --- ours

DIRECTION: Final = "ccproxy.proxy_direction"
INBOUND: Final = "inbound"
"""The only direction: clients call the proxy."""
FLOW_ID: Final = "ccproxy.trace_id"
SESSION_ID: Final = "ccproxy.session_id"
SESSION_ID_IN_METADATA: Final = "ctx.metadata.session_id"
"""The other spelling of `ccproxy.session_id`."""
DURATION_MS: Final = "ccproxy.duration_ms"
CLIENT_DISCONNECTED: Final = "ccproxy.client_disconnected"
SOURCE: Final = "ccproxy.source"
PROVIDER: Final = "ccproxy.provider"
PROVIDER_TYPE: Final = "ccproxy.provider_type"
ACTION: Final = "ccproxy.action"
RULE: Final = "ccproxy.rule"
REVISION: Final = "ccproxy.config_revision"
CLIENT_FORMAT: Final = "ccproxy.client_format"
PROVIDER_FORMAT: Final = "ccproxy.provider_format"
REQUESTED_MODEL: Final = "ccproxy.requested_model"
TTFT_MS: Final = "ccproxy.ttft_ms"
FIRST_BYTE_MS: Final = "ccproxy.first_byte_ms"
CONNECT_MS: Final = "ccproxy.connect_ms"
RETRY_COUNT: Final = "ccproxy.retry.count"
CREDENTIAL_INJECTED: Final = "ccproxy.credential_injected"
SHAPE: Final = "ccproxy.shape"
HOOKS_CHANGED: Final = "ccproxy.hooks_changed"
LOSSES: Final = "ccproxy.translation.losses"
COST_USD: Final = "ccproxy.cost_usd"
EVENT_COUNT: Final = "ccproxy.event_count"
WEBSOCKET_MESSAGES: Final = "ccproxy.websocket.messages"
RUN: Final = "ccproxy.run"

HOOK_NAME: Final = "ccproxy.hook.name"
HOOK_STAGE: Final = "ccproxy.hook.stage"
HOOK_OUTCOME: Final = "ccproxy.hook.outcome"
HOOK_CHANGED: Final = "ccproxy.hook.changed"
HOOK_REASON: Final = "ccproxy.hook.reason"
ATTEMPT_NUMBER: Final = "ccproxy.attempt.number"
ATTEMPT_REASON: Final = "ccproxy.attempt.reason"
ATTEMPT_WAIT_MS: Final = "ccproxy.attempt.wait_ms"
ATTEMPT_FAILURE: Final = "ccproxy.attempt.failure"

FIRST_BYTE: Final = "ccproxy.first_byte"
FIRST_TOKEN: Final = "ccproxy.first_token"  # noqa: S105
"""Events of a flow's span."""

SPAN_HOOK: Final = "ccproxy.hook"
SPAN_CREDENTIAL: Final = "ccproxy.credential"
SPAN_TRANSLATION: Final = "ccproxy.translation"
SPAN_UPSTREAM: Final = "ccproxy.upstream"
SPAN_ATTEMPT: Final = "ccproxy.attempt"
"""Names, or beginnings of names, of the spans below a flow's."""
