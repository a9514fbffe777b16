"""Fields of the four formats that this product reads, level by level.

A field that stands in no level here cannot be translated. `unknown_fields` lists it as a loss.
Sources are the same as those of the decoders: the vendors' API references.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)


@dataclass(frozen=True, slots=True)
class Level:
    """Fields of one kind of object, and what is below them.

    With `by_type` the object's `type` picks its level; an object of another type is read as a
    whole, or is listed as a loss of its own.
    """

    known: frozenset[str]
    below: tuple[tuple[str, Level], ...] = ()
    by_type: Mapping[str, Level] = field(default_factory=dict)
    open: bool = False
    """Other fields are read too, whatever their names."""


def level(known: str, **below: Level) -> Level:
    """Return a level; `known` has its plain fields, separated by spaces."""
    return Level(frozenset(known.split()) | below.keys(), tuple(below.items()))


def types(by_type: Mapping[str, Level]) -> Level:
    return Level(frozenset(), (), by_type)


# ---- Anthropic ----------------------------------------------------------------------------------

_A_SOURCE: Final = level("type media_type data url file_id content")
_A_TEXT: Final = level("type text cache_control citations")
_A_MEDIA: Final = level("type cache_control title context citations", source=_A_SOURCE)
_A_INNER: Final = types({"text": _A_TEXT, "image": _A_MEDIA, "document": _A_MEDIA})
_A_BLOCK: Final = types(
    {
        "text": _A_TEXT,
        "image": _A_MEDIA,
        "document": _A_MEDIA,
        "tool_use": level("type id name input cache_control"),
        "tool_result": level("type tool_use_id is_error cache_control", content=_A_INNER),
        "thinking": level("type thinking signature"),
        "redacted_thinking": level("type data"),
    }
)
_A_TOOL: Final = level("type name description input_schema cache_control strict")
_ANTHROPIC: Final = (
    ("messages", level("role", content=_A_BLOCK)),
    ("system", _A_TEXT),
    ("tools", types({"": _A_TOOL, "custom": _A_TOOL})),
    ("tool_choice", level("type name disable_parallel_tool_use")),
    ("thinking", level("type budget_tokens display")),
    ("output_config", level("effort", format=level("type schema"))),
    ("output_format", level("type schema")),
)

# ---- Chat ---------------------------------------------------------------------------------------

_C_TEXT: Final = level("type text cache_control")
_C_PART: Final = types(
    {
        "text": _C_TEXT,
        "refusal": level("type refusal"),
        "image_url": level("type cache_control", image_url=level("url detail")),
        "input_audio": level("type", input_audio=level("data format")),
        "file": level("type", file=level("filename file_data file_id")),
    }
)
_C_CALL: Final = level(
    "id type index", function=level("name arguments"), custom=level("name input")
)
_C_MESSAGE: Final = level(
    "role name tool_call_id refusal reasoning_content reasoning",
    content=_C_PART,
    tool_calls=_C_CALL,
    function_call=level("name arguments"),
)
_C_FUNCTION: Final = level("name description parameters strict")
_C_TOOL: Final = level(
    "type cache_control", function=_C_FUNCTION, custom=level("name description format")
)
_CHAT: Final = (
    ("messages", _C_MESSAGE),
    ("tools", types({"function": _C_TOOL, "custom": _C_TOOL})),
    ("functions", _C_FUNCTION),
    (
        "tool_choice",
        level(
            "type name mode tools",
            function=level("name"),
            custom=level("name"),
            allowed_tools=level("mode tools"),
        ),
    ),
    ("stream_options", level("include_usage include_obfuscation")),
    ("reasoning", level("effort max_tokens enabled exclude")),
    ("thinking", level("type")),
    (
        "response_format",
        level("type", json_schema=level("name description schema strict")),
    ),
)

# ---- Responses ----------------------------------------------------------------------------------

_R_PART: Final = types(
    {
        "input_text": level("type text"),
        "output_text": level("type text annotations logprobs"),
        "text": level("type text"),
        "refusal": level("type refusal"),
        "input_image": level("type image_url file_id detail"),
        "input_file": level("type filename file_data file_url file_id"),
        "input_audio": level("type", input_audio=level("data format")),
    }
)
_R_MESSAGE: Final = level("type id role status", content=_R_PART)
_R_OUTPUT: Final = level("type id call_id status name", output=_R_PART)
_R_ITEM: Final = types(
    {
        "": _R_MESSAGE,
        "message": _R_MESSAGE,
        "function_call": level("type id call_id name arguments status namespace"),
        "custom_tool_call": level("type id call_id name input status namespace"),
        "function_call_output": _R_OUTPUT,
        "custom_tool_call_output": _R_OUTPUT,
        "reasoning": level("type id summary content encrypted_content status"),
    }
)
_R_TOOL: Final = level("type name description parameters strict format")
_RESPONSES: Final = (
    ("input", _R_ITEM),
    (
        "tools",
        types(
            {
                "function": _R_TOOL,
                "custom": _R_TOOL,
                "namespace": level("type name description", tools=_R_TOOL),
            }
        ),
    ),
    ("tool_choice", level("type name mode tools")),
    ("stream_options", level("include_obfuscation")),
    ("reasoning", level("effort summary generate_summary")),
    (
        "text",
        level("verbosity", format=level("type name description schema strict")),
    ),
)

# ---- Google -------------------------------------------------------------------------------------

_G_BLOB: Final = level("mimeType data displayName")
_G_FILE: Final = level("mimeType fileUri displayName")
_G_INNER: Final = level("text", inlineData=_G_BLOB, fileData=_G_FILE)
_G_PART: Final = level(
    "text thought thoughtSignature executableCode codeExecutionResult toolCall toolResponse",
    inlineData=_G_BLOB,
    fileData=_G_FILE,
    functionCall=level("id name args partialArgs willContinue"),
    functionResponse=level("id name response", parts=_G_INNER),
)
_G_CONTENT: Final = level("role", parts=_G_PART)
_GOOGLE: Final = (
    ("contents", _G_CONTENT),
    ("systemInstruction", level("role", parts=level("text"))),
    (
        "tools",
        Level(
            frozenset({"functionDeclarations"}),
            (
                (
                    "functionDeclarations",
                    level("name description parameters parametersJsonSchema"),
                ),
            ),
            # Each other field is a tool that runs at Google.
            open=True,
        ),
    ),
    (
        "toolConfig",
        level("", functionCallingConfig=level("mode allowedFunctionNames")),
    ),
    (
        "generationConfig",
        level(
            "temperature topP topK candidateCount maxOutputTokens stopSequences presencePenalty"
            " seed frequencyPenalty responseLogprobs logprobs responseMimeType responseSchema"
            " responseJsonSchema responseModalities",
            thinkingConfig=level("thinkingBudget thinkingLevel includeThoughts"),
        ),
    ),
)

REQUEST_FIELDS: Final[Mapping[WireFormatName, tuple[tuple[str, Level], ...]]] = {
    ANTHROPIC_MESSAGES: _ANTHROPIC,
    OPENAI_CHAT: _CHAT,
    OPENAI_RESPONSES: _RESPONSES,
    GOOGLE_GENERATE: _GOOGLE,
}
"""Levels below a request's own fields, by format. The decoders list unknown fields of the top."""
