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


def _level(known: str, **below: Level) -> Level:
    """Return a level; `known` has its plain fields, separated by spaces."""
    return Level(frozenset(known.split()) | below.keys(), tuple(below.items()))


def _types(by_type: Mapping[str, Level]) -> Level:
    return Level(frozenset(), (), by_type)


# ---- Anthropic ----------------------------------------------------------------------------------

_A_SOURCE: Final = _level("type media_type data url file_id content")
_A_TEXT: Final = _level("type text cache_control citations")
_A_MEDIA: Final = _level("type cache_control title context citations", source=_A_SOURCE)
_A_INNER: Final = _types({"text": _A_TEXT, "image": _A_MEDIA, "document": _A_MEDIA})
_A_BLOCK: Final = _types(
    {
        "text": _A_TEXT,
        "image": _A_MEDIA,
        "document": _A_MEDIA,
        "tool_use": _level("type id name input cache_control"),
        "tool_result": _level("type tool_use_id is_error cache_control", content=_A_INNER),
        "thinking": _level("type thinking signature"),
        "redacted_thinking": _level("type data"),
    }
)
_A_TOOL: Final = _level("type name description input_schema cache_control strict")
_ANTHROPIC: Final = (
    ("messages", _level("role", content=_A_BLOCK)),
    ("system", _A_TEXT),
    ("tools", _types({"": _A_TOOL, "custom": _A_TOOL})),
    ("tool_choice", _level("type name disable_parallel_tool_use")),
    ("thinking", _level("type budget_tokens display")),
    ("output_config", _level("effort", format=_level("type schema"))),
    ("output_format", _level("type schema")),
)

# ---- Chat ---------------------------------------------------------------------------------------

_C_TEXT: Final = _level("type text cache_control")
_C_PART: Final = _types(
    {
        "text": _C_TEXT,
        "refusal": _level("type refusal"),
        "image_url": _level("type cache_control", image_url=_level("url detail")),
        "input_audio": _level("type", input_audio=_level("data format")),
        "file": _level("type", file=_level("filename file_data file_id")),
    }
)
_C_CALL: Final = _level(
    "id type index", function=_level("name arguments"), custom=_level("name input")
)
_C_MESSAGE: Final = _level(
    "role name tool_call_id refusal reasoning_content reasoning",
    content=_C_PART,
    tool_calls=_C_CALL,
    function_call=_level("name arguments"),
)
_C_FUNCTION: Final = _level("name description parameters strict")
_C_TOOL: Final = _level(
    "type cache_control", function=_C_FUNCTION, custom=_level("name description format")
)
_CHAT: Final = (
    ("messages", _C_MESSAGE),
    ("tools", _types({"function": _C_TOOL, "custom": _C_TOOL})),
    ("functions", _C_FUNCTION),
    (
        "tool_choice",
        _level(
            "type name mode tools",
            function=_level("name"),
            custom=_level("name"),
            allowed_tools=_level("mode tools"),
        ),
    ),
    ("stream_options", _level("include_usage include_obfuscation")),
    ("reasoning", _level("effort max_tokens enabled exclude")),
    ("thinking", _level("type")),
    (
        "response_format",
        _level("type", json_schema=_level("name description schema strict")),
    ),
)

# ---- Responses ----------------------------------------------------------------------------------

_R_PART: Final = _types(
    {
        "input_text": _level("type text"),
        "output_text": _level("type text annotations logprobs"),
        "text": _level("type text"),
        "refusal": _level("type refusal"),
        "input_image": _level("type image_url file_id detail"),
        "input_file": _level("type filename file_data file_url file_id"),
        "input_audio": _level("type", input_audio=_level("data format")),
    }
)
_R_MESSAGE: Final = _level("type id role status", content=_R_PART)
_R_OUTPUT: Final = _level("type id call_id status name", output=_R_PART)
_R_ITEM: Final = _types(
    {
        "": _R_MESSAGE,
        "message": _R_MESSAGE,
        "function_call": _level("type id call_id name arguments status namespace"),
        "custom_tool_call": _level("type id call_id name input status namespace"),
        "function_call_output": _R_OUTPUT,
        "custom_tool_call_output": _R_OUTPUT,
        "reasoning": _level("type id summary content encrypted_content status"),
    }
)
_R_TOOL: Final = _level("type name description parameters strict format")
_RESPONSES: Final = (
    ("input", _R_ITEM),
    (
        "tools",
        _types(
            {
                "function": _R_TOOL,
                "custom": _R_TOOL,
                "namespace": _level("type name description", tools=_R_TOOL),
            }
        ),
    ),
    ("tool_choice", _level("type name mode tools")),
    ("stream_options", _level("include_obfuscation")),
    ("reasoning", _level("effort summary generate_summary")),
    (
        "text",
        _level("verbosity", format=_level("type name description schema strict")),
    ),
)

# ---- Google -------------------------------------------------------------------------------------

_G_BLOB: Final = _level("mimeType data displayName")
_G_FILE: Final = _level("mimeType fileUri displayName")
_G_INNER: Final = _level("text", inlineData=_G_BLOB, fileData=_G_FILE)
_G_PART: Final = _level(
    "text thought thoughtSignature executableCode codeExecutionResult toolCall toolResponse",
    inlineData=_G_BLOB,
    fileData=_G_FILE,
    functionCall=_level("id name args partialArgs willContinue"),
    functionResponse=_level("id name response", parts=_G_INNER),
)
_G_CONTENT: Final = _level("role", parts=_G_PART)
_GOOGLE: Final = (
    ("contents", _G_CONTENT),
    ("systemInstruction", _level("role", parts=_level("text"))),
    (
        "tools",
        Level(
            frozenset({"functionDeclarations"}),
            (
                (
                    "functionDeclarations",
                    _level("name description parameters parametersJsonSchema"),
                ),
            ),
            # Each other field is a tool that runs at Google.
            open=True,
        ),
    ),
    (
        "toolConfig",
        _level("", functionCallingConfig=_level("mode allowedFunctionNames")),
    ),
    (
        "generationConfig",
        _level(
            "temperature topP topK candidateCount maxOutputTokens stopSequences presencePenalty"
            " seed frequencyPenalty responseLogprobs logprobs responseMimeType responseSchema"
            " responseJsonSchema responseModalities",
            thinkingConfig=_level("thinkingBudget thinkingLevel includeThoughts"),
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
