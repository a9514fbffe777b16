"""The table of docs/translation.md: feature, vendor, and what the translation does with it.

Each cell is what `translate_request` lists for a request with that feature alone, to a current model
of the vendor. `python -m tests.providers.wire.feature_table` writes it anew.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from providers.base.errors import UnsupportedByTarget
from providers.base.names import WIRE_FORMATS, WireFormatName
from tests.environment import ROOT
from tests.providers.wire.asking import IMAGE, A, C, G, R, go, user

PAGE = ROOT / "docs/translation.md"
_MARKS = re.compile(r"(<!-- table: features -->\n)(.*?)(<!-- end of table -->)", re.DOTALL)

MODELS: dict[WireFormatName, str] = {
    A: "claude-opus-5-5",
    C: "gpt-5.2",
    R: "gpt-5.6-sol",
    G: "gemini-3.8-flash",
}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}
TOOL = {"name": "f", "input_schema": SCHEMA}
CALL = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": "x"}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "r"}
PNG = {"type": "base64", "media_type": "image/png", "data": IMAGE}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}


class Feature(NamedTuple):
    """A feature, and a request that has it."""

    name: str
    client: WireFormatName
    body: dict[str, Any]


def _anthropic(**more: Any) -> dict[str, Any]:
    return {"max_tokens": 100, "messages": [user()], **more}


def _said(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return _anthropic(messages=[*messages], **more)


def _assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": [*blocks]}


FEATURES = (
    Feature("system prompt", A, _anthropic(system="Be short.")),
    Feature("system message in mid-conversation", C, {"messages": [user(), {"role": "system", "content": "s"}, user()]}),
    Feature("image", A, _said(user([{"type": "image", "source": PNG}]))),
    Feature("image with `detail`", C, {"messages": [user([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}", "detail": "low"}}])]}),
    Feature("PDF", A, _said(user([{"type": "document", "source": PDF}]))),
    Feature("sound (wav)", C, {"messages": [user([{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}])]}),
    Feature("video", G, {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}]}]}),
    Feature("file by id", A, _said(user([{"type": "document", "source": {"type": "file", "file_id": "file_1"}}]))),
    Feature("tools", A, _anthropic(tools=[TOOL])),
    Feature("strict tool with an optional property", A, _anthropic(tools=[{**TOOL, "strict": True}])),
    Feature("a tool is forced", A, _anthropic(tools=[TOOL], tool_choice={"type": "tool", "name": "f"})),
    Feature("no parallel calls", A, _anthropic(tools=[TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": True})),
    Feature("list of allowed tools", R, {"input": "x", "tools": [{"type": "function", "name": name, "parameters": SCHEMA} for name in "fg"], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}}),
    Feature("free-form tool with a grammar", R, {"input": "x", "tools": [{"type": "custom", "name": "f", "format": {"type": "grammar", "syntax": "lark", "definition": "start: \"x\""}}]}),
    Feature("tool `bash` of Anthropic", A, _anthropic(tools=[{"type": "bash_20250124", "name": "bash"}])),
    Feature("web search beside other tools", A, _anthropic(tools=[TOOL, {"type": "web_search_20250305", "name": "web_search"}])),
    Feature("web search alone", A, _anthropic(tools=[{"type": "web_search_20250305", "name": "web_search"}])),
    Feature("result of a failed tool", A, _said(user(), _assistant(CALL), user([{**RESULT, "is_error": True}]), tools=[TOOL])),
    Feature("image in a result", A, _said(user(), _assistant(CALL), user([{**RESULT, "content": [{"type": "image", "source": PNG}]}]), tools=[TOOL])),
    Feature("temperature", A, _anthropic(temperature=0.5)),
    Feature("top_k", A, _anthropic(top_k=5)),
    Feature("stop sequences", A, _anthropic(stop_sequences=["END"])),
    Feature("penalties and seed", C, {"messages": [user()], "presence_penalty": 0.5, "seed": 7}),
    Feature("logprobs", C, {"messages": [user()], "logprobs": True, "top_logprobs": 2}),
    Feature("several answers", C, {"messages": [user()], "n": 2}),
    Feature("thinking with a budget", A, _anthropic(max_tokens=20_000, thinking={"type": "enabled", "budget_tokens": 8192})),
    Feature("effort `xhigh`", R, {"input": "x", "reasoning": {"effort": "xhigh"}}),
    Feature("no thinking", A, _anthropic(thinking={"type": "disabled"})),
    Feature("reasoning of earlier turns", A, _said(user(), _assistant({"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "text", "text": "a"}), user())),
    Feature("structured output", A, _anthropic(output_config={"format": {"type": "json_schema", "schema": {**SCHEMA, "required": ["a", "b"]}}})),
    Feature("JSON mode without a schema", C, {"messages": [user("JSON")], "response_format": {"type": "json_object"}}),
    Feature("assistant's message at the end", A, _said(user(), _assistant({"type": "text", "text": "Sure"}))),
    Feature("marks for the cache", A, _anthropic(system=[{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}])),
    Feature("id of the end user", A, _anthropic(metadata={"user_id": "someone"})),
    Feature("metadata", C, {"messages": [user()], "metadata": {"k": "v"}}),
    Feature("service tier", C, {"messages": [user()], "service_tier": "flex"}),
    Feature("`store`", R, {"input": "x", "store": True}),
    Feature("`previous_response_id`", R, {"input": "x", "previous_response_id": "resp_1"}),
    Feature("`cachedContent`", G, {"contents": [{"role": "user", "parts": [{"text": "x"}]}], "cachedContent": "cachedContents/1"}),
    Feature("safety settings", G, {"contents": [{"role": "user", "parts": [{"text": "x"}]}], "safetySettings": []}),
)  # fmt: skip
LABELS = {A: "Anthropic", C: "Chat", R: "Responses", G: "Google"}


def cell(feature: Feature, dst: WireFormatName) -> str:
    """What happens to a feature on its way to a vendor."""
    if feature.client == dst:
        return "as it is"
    try:
        _, losses = go(copy.deepcopy(feature.body), feature.client, dst, MODELS[dst])
    except UnsupportedByTarget as error:
        return f"**400** {error}"
    said = list(dict.fromkeys(loss.reason for loss in losses))
    return " ".join(said) or "kept"


def lines() -> Iterator[str]:
    """Yield the table's lines."""
    yield f"| feature | client | {' | '.join(LABELS.values())} |"
    yield "|---" * (len(LABELS) + 2) + "|"
    for feature in FEATURES:
        cells = [cell(feature, dst).replace("|", "\\|").replace("\n", " ") for dst in WIRE_FORMATS]
        yield f"| {feature.name} | {LABELS[feature.client]} | {' | '.join(cells)} |"


def with_table(page: str) -> str:
    """Return a page with the table made anew."""
    made = "\n".join(lines()) + "\n"
    return _MARKS.sub(lambda match: match[1] + made + match[3], page)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
