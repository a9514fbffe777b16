"""Fields of responses that this product reads, level by level, buffered and streamed.

A field that stands in no level here does not reach a client of another format, and is listed as a
loss. Fields without content are known too: names of objects, counters of events, padding. Sources
are those of the decoders: the vendors' API references.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.losses.known_fields import Level, level, types

# ---- Anthropic ----------------------------------------------------------------------------------

_A_CITATION: Final = level(
    "type cited_text document_index document_title file_id start_char_index end_char_index"
    " start_page_number end_page_number start_block_index end_block_index url source title"
    " encrypted_index search_result_index"
)
_A_BLOCK: Final = types(
    {
        "text": level("type text", citations=_A_CITATION),
        "thinking": level("type thinking signature"),
        "redacted_thinking": level("type data"),
        "tool_use": level("type id name input"),
    }
)
_A_USAGE: Final = level(
    "input_tokens output_tokens cache_creation_input_tokens cache_read_input_tokens service_tier",
    cache_creation=level("ephemeral_5m_input_tokens ephemeral_1h_input_tokens"),
    output_tokens_details=level("thinking_tokens"),
)
_A_DETAILS: Final = level("type explanation category")
_A_MESSAGE: Final = level(
    "id type role model stop_reason stop_sequence",
    content=_A_BLOCK,
    stop_details=_A_DETAILS,
    usage=_A_USAGE,
)
_A_DELTA: Final = types(
    {
        "text_delta": level("type text"),
        "input_json_delta": level("type partial_json"),
        "thinking_delta": level("type thinking"),
        "signature_delta": level("type signature"),
        "citations_delta": level("type", citation=_A_CITATION),
    }
)
_A_EVENT: Final = types(
    {
        "message_start": level("type", message=_A_MESSAGE),
        "content_block_start": level("type index", content_block=_A_BLOCK),
        "content_block_delta": level("type index", delta=_A_DELTA),
        "content_block_stop": level("type index"),
        "message_delta": level(
            "type",
            delta=level("stop_reason stop_sequence", stop_details=_A_DETAILS),
            usage=_A_USAGE,
        ),
        "message_stop": level("type"),
        "ping": level("type"),
    }
)

# ---- Chat ---------------------------------------------------------------------------------------

_C_ANNOTATION: Final = level(
    "type index url title start_index end_index",
    url_citation=level("url title start_index end_index"),
)
_C_CALL: Final = level(
    "id type index", function=level("name arguments"), custom=level("name input")
)
_C_PART: Final = level("type text thinking")
_C_MESSAGE: Final = level(
    "role refusal reasoning_content reasoning reasoning_text reasoning_details",
    content=_C_PART,
    tool_calls=_C_CALL,
    function_call=level("name arguments"),
    annotations=_C_ANNOTATION,
    audio=level("id data transcript expires_at"),
)
_C_USAGE: Final = level(
    "prompt_tokens completion_tokens total_tokens prompt_cache_hit_tokens prompt_cache_miss_tokens",
    prompt_tokens_details=level("cached_tokens cache_write_tokens"),
    completion_tokens_details=level("reasoning_tokens"),
)
_C_CHOICE: Final = level(
    "index finish_reason", message=_C_MESSAGE, delta=_C_MESSAGE, logprobs=level("content refusal")
)
_C_BODY: Final = level(
    "id object created model system_fingerprint service_tier obfuscation citations search_results",
    choices=_C_CHOICE,
    usage=_C_USAGE,
)

# ---- Responses ----------------------------------------------------------------------------------

_R_ANNOTATION: Final = level("type url title start_index end_index index file_id filename")
_R_PART: Final = types(
    {
        "output_text": level("type text logprobs", annotations=_R_ANNOTATION),
        "refusal": level("type refusal"),
        "summary_text": level("type text"),
        "reasoning_text": level("type text"),
    }
)
_R_ITEM: Final = types(
    {
        "message": level("type id role status phase", content=_R_PART),
        "function_call": level("type id call_id name arguments status namespace"),
        "custom_tool_call": level("type id call_id name input status namespace"),
        "reasoning": level("type id status encrypted_content", summary=_R_PART, content=_R_PART),
    }
)
_R_USAGE: Final = level(
    "input_tokens output_tokens total_tokens",
    input_tokens_details=level("cached_tokens cache_write_tokens"),
    output_tokens_details=level("reasoning_tokens"),
)
# The response repeats the fields of its request.
_R_ECHOED: Final = (
    " background conversation include instructions max_output_tokens max_tool_calls metadata"
    " parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_retention"
    " reasoning safety_identifier store temperature text tool_choice tools top_logprobs top_p"
    " truncation user frequency_penalty presence_penalty"
)
_R_BODY: Final = level(
    "id object created_at completed_at model status error service_tier billing" + _R_ECHOED,
    incomplete_details=level("reason"),
    output=_R_ITEM,
    usage=_R_USAGE,
)
_R_WHERE: Final = (
    "type sequence_number item_id output_index content_index summary_index obfuscation"
)
_R_WHOLE: Final = level("type sequence_number", response=_R_BODY)
_R_DELTA: Final = level(f"{_R_WHERE} delta logprobs")
_R_DONE: Final = level(f"{_R_WHERE} text refusal arguments input name logprobs")
_R_OF_ITEM: Final = level(_R_WHERE, item=_R_ITEM)
_R_OF_PART: Final = level(_R_WHERE, part=_R_PART)
_R_EVENT: Final = types(
    {
        "response.created": _R_WHOLE,
        "response.queued": _R_WHOLE,
        "response.in_progress": _R_WHOLE,
        "response.completed": _R_WHOLE,
        "response.done": _R_WHOLE,
        "response.incomplete": _R_WHOLE,
        "response.output_item.added": _R_OF_ITEM,
        "response.output_item.done": _R_OF_ITEM,
        "response.content_part.added": _R_OF_PART,
        "response.content_part.done": _R_OF_PART,
        "response.reasoning_summary_part.added": _R_OF_PART,
        "response.reasoning_summary_part.done": _R_OF_PART,
        "response.output_text.delta": _R_DELTA,
        "response.refusal.delta": _R_DELTA,
        "response.function_call_arguments.delta": _R_DELTA,
        "response.custom_tool_call_input.delta": _R_DELTA,
        "response.reasoning_summary_text.delta": _R_DELTA,
        "response.reasoning_text.delta": _R_DELTA,
        "response.output_text.done": _R_DONE,
        "response.refusal.done": _R_DONE,
        "response.function_call_arguments.done": _R_DONE,
        "response.custom_tool_call_input.done": _R_DONE,
        "response.reasoning_summary_text.done": _R_DONE,
        "response.reasoning_text.done": _R_DONE,
        "response.output_text.annotation.added": level(
            f"{_R_WHERE} annotation_index", annotation=_R_ANNOTATION
        ),
    }
)

# ---- Google -------------------------------------------------------------------------------------

_G_BLOB: Final = level("mimeType data displayName")
_G_PART: Final = level(
    "text thought thoughtSignature executableCode codeExecutionResult",
    inlineData=_G_BLOB,
    fileData=level("mimeType fileUri displayName"),
    functionCall=level("id name args partialArgs willContinue"),
)
_G_COUNTS: Final = level("modality tokenCount")
_G_USAGE: Final = level(
    "promptTokenCount candidatesTokenCount totalTokenCount cachedContentTokenCount"
    " thoughtsTokenCount toolUsePromptTokenCount trafficType serviceTier",
    promptTokensDetails=_G_COUNTS,
    candidatesTokensDetails=_G_COUNTS,
    cacheTokensDetails=_G_COUNTS,
    toolUsePromptTokensDetails=_G_COUNTS,
)
_G_CANDIDATE: Final = level(
    # What Google read and cited is decoded as a whole.
    "index finishReason finishMessage tokenCount avgLogprobs groundingMetadata logprobsResult",
    content=level("role", parts=_G_PART),
)
_G_BODY: Final = level(
    "modelVersion responseId createTime",
    candidates=_G_CANDIDATE,
    usageMetadata=_G_USAGE,
    promptFeedback=level("blockReason blockReasonMessage"),
)

ANSWER_FIELDS: Final[Mapping[WireFormatName, Level]] = {
    ANTHROPIC_MESSAGES: _A_MESSAGE,
    OPENAI_CHAT: _C_BODY,
    OPENAI_RESPONSES: _R_BODY,
    GOOGLE_GENERATE: _G_BODY,
}
EVENT_FIELDS: Final[Mapping[WireFormatName, Level]] = {
    ANTHROPIC_MESSAGES: _A_EVENT,
    OPENAI_CHAT: _C_BODY,
    OPENAI_RESPONSES: _R_EVENT,
    GOOGLE_GENERATE: _G_BODY,
}
