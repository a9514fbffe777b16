"""`Request` → Anthropic Messages request. Source: Anthropic API reference, "Create a Message"."""

from __future__ import annotations

from typing import Final

from providers.base.names import ANTHROPIC_MESSAGES
from providers.wire.anthropic_messages.block_encode import encode_block, text_block, thinking_blocks
from providers.wire.core.base import TargetInfo
from providers.wire.core.ir import (
    JsonObject,
    Losses,
    Request,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from providers.wire.core.shape import drop_none
from providers.wire.facts.model_facts import ModelFacts
from providers.wire.rules.reasoning import to_anthropic
from providers.wire.rules.schema import for_anthropic_output, function_schema

UNKNOWN_MODEL_TOKENS: Final = 8192
"""The output limit for models that no row names; the smallest one among current models."""

_TIERS: Final = {
    "auto": "auto",
    "default": "standard_only",
    "standard_only": "standard_only",
    "standard": "standard_only",
}
_NO_PARAMETER: Final = (
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "candidates",
    "logprobs",
    "top_logprobs",
    "logit_bias",
)
# The smallest output limit among the models that think, thinking included:
# https://docs.anthropic.com/en/docs/about-claude/models/overview
_SMALLEST_LIMIT: Final = 32_000
JSON_ONLY: Final = "Answer with one valid JSON object and nothing else."


def encode_request(request: Request, target: TargetInfo) -> JsonObject:
    """Return the body for `POST /v1/messages`. Adds the losses to `request.losses`."""
    model = target.model or request.model
    own = request.source == ANTHROPIC_MESSAGES
    facts = target.facts(request.model)
    body: JsonObject = {"model": model}
    body["max_tokens"] = _max_tokens(request, target, facts)
    if system := _system(request):
        body["system"] = system
    body["messages"] = _messages(request, facts, own)
    _put_tools(body, request)
    _put_reasoning(body, request, target, facts)
    _put_sampling(body, request, model or "", facts)
    _put_rest(body, request)
    if request.stream:
        body["stream"] = True
    if own:
        body.update(request.extras)
    return body


def _max_tokens(request: Request, target: TargetInfo, facts: ModelFacts) -> int:
    """Return the client's limit, else the target's, else the model's own.

    Anthropic counts what a response used, not what it might have.
    """
    wanted = request.sampling.max_tokens
    if wanted is not None and wanted > 0:
        return wanted
    if target.max_tokens_default is not None:
        return target.max_tokens_default
    return facts.max_output_tokens or UNKNOWN_MODEL_TOKENS


def _system(request: Request) -> list[JsonObject]:
    blocks = [text_block(block) for block in request.system if block.text.strip()]
    if request.output is not None and request.output.kind == "json":
        request.losses.add(
            "response_format", "Anthropic has no JSON mode; the system prompt asks for JSON."
        )
        blocks.append({"type": "text", "text": JSON_ONLY})
    return blocks


def _messages(request: Request, facts: ModelFacts, own: bool) -> list[JsonObject]:
    messages: list[JsonObject] = []
    for turn in request.turns:
        role: str = turn.role
        content: list[JsonObject] = []
        for block in turn.blocks:
            encode_block(block, content, request.losses)
        if role == "system" and not own:
            role, content = _mid_system(content, facts, messages, request.losses)
        if not content:
            if role != "user" or not turn.blocks:
                continue
            content = [{"type": "text", "text": "."}]
            request.losses.add(
                "messages", "Anthropic takes no empty message; it is sent as a full stop."
            )
        # Turns of one role that follow each other are one message.
        if messages and messages[-1]["role"] == role != "system":
            messages[-1]["content"].extend(content)
            continue
        message = _plain(role, content)
        if own and turn.extras:
            message.update(turn.extras)
        messages.append(message)
    # https://docs.anthropic.com/en/api/messages#body-messages: the first message is the user's.
    if messages and messages[0]["role"] == "assistant":
        messages.insert(0, _plain("user", [{"type": "text", "text": "Continue."}]))
        request.losses.add(
            "messages",
            "Anthropic's first message is the user's; one was put before the assistant's.",
        )
    _strip_prefill(messages, request.losses)
    return messages


def _plain(role: str, content: list[JsonObject]) -> JsonObject:
    return {"role": role, "content": content}


def _mid_system(
    content: list[JsonObject], facts: ModelFacts, before: list[JsonObject], losses: Losses
) -> tuple[str, list[JsonObject]]:
    """Encode a system message that follows a user's message.

    Newer models take one; for others its text becomes the user's.
    """
    takes_one = facts.vendor == "Anthropic" and facts.system_in_conversation
    if takes_one and before and before[-1]["role"] == "user":
        return "system", content
    losses.add("messages", "A system message in mid-conversation is sent as the user's text.")
    return "user", content


def _strip_prefill(messages: list[JsonObject], losses: Losses) -> None:
    if not messages or messages[-1]["role"] != "assistant":
        return
    # https://docs.anthropic.com/en/docs/build-with-claude/prompt-engineering/prefill-claudes-response
    last = messages[-1]["content"][-1]
    if last["type"] == "text" and last["text"] != last["text"].rstrip():
        last["text"] = last["text"].rstrip()
        losses.add(
            "messages",
            "White space at the end of the assistant's last message is refused and was cut.",
        )


def _put_tools(body: JsonObject, request: Request) -> None:
    if not request.tools:
        if request.tool_choice is not None and request.tool_choice.mode in ("any", "tool"):
            request.losses.add("tool_choice", "There are no tools to choose from.")
        return
    body["tools"] = [tool.raw or _tool(tool, request.losses) for tool in request.tools]
    choice: JsonObject | None = None
    if request.tool_choice is not None:
        choice = _choice(body, request.tool_choice, request.losses)
    # `none` takes no further field; without a choice, Anthropic's default is `auto`.
    if request.parallel_tools is not None and (choice is None or choice["type"] != "none"):
        choice = choice or {"type": "auto"}
        choice["disable_parallel_tool_use"] = not request.parallel_tools
    if choice is not None:
        body["tool_choice"] = choice


def _choice(body: JsonObject, wanted: ToolChoice, losses: Losses) -> JsonObject:
    """Encode `tool_choice`. Removes the tools that a list of allowed ones leaves out."""
    if wanted.mode == "tool" and len(wanted.names) == 1:
        return {"type": "tool", "name": wanted.names[0]}
    # `none` leaves nothing to allow.
    if wanted.names and wanted.mode != "none":
        body["tools"] = [tool for tool in body["tools"] if tool.get("name") in wanted.names]
        losses.add(
            "tool_choice", "Anthropic takes no list of allowed tools; the others were left out."
        )
    return {"type": "any" if wanted.mode == "tool" else wanted.mode}


def _tool(tool: Tool, losses: Losses) -> JsonObject:
    body = drop_none({"name": tool.name, "description": tool.description})
    body["input_schema"] = function_schema(tool.schema, losses, f"tools.{tool.name}")
    if tool.strict:
        body["strict"] = True
        body["input_schema"] = for_anthropic_output(
            body["input_schema"], losses, f"tools.{tool.name}"
        )
    if tool.cache:
        body["cache_control"] = tool.cache
    return {**body, **tool.extras} if tool.extras else body


def _put_reasoning(
    body: JsonObject, request: Request, target: TargetInfo, facts: ModelFacts
) -> None:
    model = body["model"]
    limit = request.sampling.max_tokens
    # The model's own limit already is the largest, thinking included.
    if limit is None and target.max_tokens_default is None:
        limit = facts.max_output_tokens
    own = request.source == ANTHROPIC_MESSAGES
    if own and request.reasoning is not None:
        thinking, effort = request.reasoning.raw, request.reasoning.effort
    else:
        thinking, effort = to_anthropic(request.reasoning, model, facts, limit, request.losses)
    if not own and thinking is not None and (reason := _forbids_thinking(thinking, body, request)):
        request.losses.add("reasoning", reason)
        thinking = None
    if not own and thinking is None and _must_stop_thinking(body, facts):
        request.losses.add("reasoning", "Anthropic cannot think when a tool call is forced.")
        thinking = {"type": "disabled"}
    if thinking is not None:
        body["thinking"] = thinking
        if limit is None:
            # Thinking counts towards max_tokens, so the default is for the text after it.
            budget = thinking.get("budget_tokens", 0)
            body["max_tokens"] = min(body["max_tokens"] + budget, max(_SMALLEST_LIMIT, budget + 1))
    config: JsonObject = {"effort": effort} if effort else {}
    output = request.output
    if output is not None and output.kind == "schema" and output.schema is not None:
        schema = for_anthropic_output(output.schema, request.losses, "response_format")
        config["format"] = {"type": "json_schema", "schema": schema}
    if config:
        body["output_config"] = config


def _forbids_thinking(thinking: JsonObject, body: JsonObject, request: Request) -> str | None:
    """Return the reason why Anthropic would refuse the request with thinking, or None.

    https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking#extended-thinking-with-tool-use
    """
    if thinking["type"] == "enabled" and _call_without_thinking(request.turns):
        return "The last tool call came without its thinking block, so thinking is off."
    forced = body.get("tool_choice", {}).get("type") in ("any", "tool")
    if thinking["type"] != "disabled" and forced:
        return "Anthropic cannot think when a tool call is forced."
    return None


def _must_stop_thinking(body: JsonObject, facts: ModelFacts) -> bool:
    """Return whether the model would think by itself and then refuse the forced tool call."""
    forced = body.get("tool_choice", {}).get("type") in ("any", "tool")
    return forced and facts.thinks == "by default" and "disabled" in facts.thinking


def _call_without_thinking(turns: list[Turn]) -> bool:
    """Return whether an assistant turn with tool results lacks its leading thinking block."""
    for turn in reversed(turns):
        if turn.role == "assistant":
            has_call = any(isinstance(block, ToolCall) for block in turn.blocks)
            thoughts = [block for block in turn.blocks if isinstance(block, Thinking)]
            return has_call and not any(thinking_blocks(block) for block in thoughts)
        # A user's own message ends the tool loop, and with it the duty to return thinking.
        if turn.role == "user" and not any(isinstance(block, ToolResult) for block in turn.blocks):
            return False
    return False


def _put_sampling(body: JsonObject, request: Request, model: str, facts: ModelFacts) -> None:
    sampling, losses = request.sampling, request.losses
    thinks = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
    temperature, top_p, top_k = sampling.temperature, sampling.top_p, sampling.top_k
    # https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking#feature-compatibility
    if thinks and temperature not in (None, 1):
        losses.add("temperature", "Anthropic takes no temperature while thinking.")
        temperature = None
    if thinks and top_k is not None:
        losses.add("top_k", "Anthropic takes no top_k while thinking.")
        top_k = None
    if temperature is not None and not 0 <= temperature <= 1:
        losses.add(
            "temperature",
            f"Anthropic's temperature goes from 0 to 1; {temperature} became the nearest.",
        )
        temperature = min(max(temperature, 0), 1)
    if temperature is not None and top_p is not None and facts.one_sampler:
        losses.add("top_p", f"{model} takes temperature or top_p, not both.")
        top_p = None
    body.update(drop_none({"temperature": temperature, "top_p": top_p}))
    if top_k is not None:
        body["top_k"] = int(top_k)
    stops = [stop for stop in sampling.stop if stop.strip()]
    if len(stops) < len(sampling.stop):
        losses.add("stop", "Stop sequences of white space are refused.")
    if stops:
        body["stop_sequences"] = stops
    for name in _NO_PARAMETER:
        value = getattr(sampling, name)
        # One candidate is what every vendor returns anyway.
        if value in (None, False, 0) or (name == "candidates" and value == 1):
            continue
        losses.add(name, "Anthropic has no such parameter.")


def _put_rest(body: JsonObject, request: Request) -> None:
    if request.user:
        body["metadata"] = {"user_id": request.user}
    if request.metadata and request.source == ANTHROPIC_MESSAGES:
        body["metadata"] = {**body.get("metadata", {}), **request.metadata}
    if request.service_tier is not None:
        if tier := _TIERS.get(request.service_tier):
            body["service_tier"] = tier
        else:
            request.losses.add("service_tier", f"Anthropic has no tier {request.service_tier!r}.")
    if request.cache is not None:
        body["cache_control"] = request.cache
