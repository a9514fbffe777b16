"""Adaptation of a request for another vendor to what the model accepts.

Current models refuse parameters that earlier ones took. Each change is a loss that says what and
why. The facts come from `providers/wire/facts`; a model that no row names keeps everything.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, Final

from providers.base.errors import UnsupportedByTarget
from providers.base.names import GOOGLE_GENERATE, OPENAI_CHAT, OPENAI_RESPONSES, WireFormatName
from providers.wire.core.ir import (
    Media,
    Reasoning,
    Request,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    Turn,
)
from providers.wire.facts.model_facts import ModelFacts
from providers.wire.fitting.strict_schema import bring_to_dialect
from providers.wire.rules.pairing import paired
from providers.wire.rules.reasoning import to_effort

_OPENAI: Final = (OPENAI_CHAT, OPENAI_RESPONSES)
_DIGEST_CHARS: Final = 64
CONTINUE: Final = "Continue."
# Values that mean the same as no value at all; none of them is a loss.
_NO_CHANGE: Final[dict[str, tuple[Any, ...]]] = {
    "temperature": (1,),
    "top_p": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "top_logprobs": (0,),
}


def fit_to_model(
    request: Request, dst: WireFormatName, facts: ModelFacts, model: str | None
) -> None:
    """Bring the request to what the model accepts, in place.

    Raises `UnsupportedByTarget` for tools that the model takes on another endpoint alone.
    """
    name = model or "the model"
    _say_if_unknown(request, facts, name)
    if dst in _OPENAI:
        _settle_effort(request, dst, facts, name)
    _leave_out(request, facts, name)
    _unforce(request, facts, name)
    _end_with_user(request, facts, name)
    _limit_output(request, facts, name)
    _limit_tools(request, facts, name)
    _leave_out_media(request, facts, name)
    # OpenAI's own clients already write OpenAI's dialect.
    if facts.strict == "openai" and request.source not in _OPENAI:
        bring_to_dialect(request, name)
    _hide_user(request, dst, facts)


def _say_if_unknown(request: Request, facts: ModelFacts, name: str) -> None:
    if facts.vendor and not facts.known:
        request.losses.add(
            "model",
            f"No facts are known about {name}; those of {facts.vendor}'s newest are assumed.",
        )


def _settle_effort(request: Request, dst: WireFormatName, facts: ModelFacts, name: str) -> None:
    """Replace the wanted effort by one that the model takes, with its tools, on this endpoint."""
    losses = request.losses
    effort = to_effort(request.reasoning, name, facts, losses)
    if request.reasoning is not None and effort is not None:
        request.reasoning = replace(
            request.reasoning, enabled=None, budget_tokens=None, effort=effort
        )
    if dst != OPENAI_CHAT or not request.tools or facts.chat_tools == "yes":
        return
    if facts.chat_tools == "Responses alone":
        raise UnsupportedByTarget(
            f"{name} takes function tools on OpenAI Responses alone; send the request to a"
            " provider of type openai_responses."
        )
    # https://github.com/openai/openai-openapi/issues/541
    if effort != "none":
        losses.add(
            "reasoning",
            f"On Chat Completions {name} takes function tools without reasoning alone; its effort"
            " became 'none'. A provider of type openai_responses has both.",
        )
    request.reasoning = replace(request.reasoning or Reasoning(), effort="none", enabled=None)


def _leave_out(request: Request, facts: ModelFacts, name: str) -> None:
    """Remove the parameters that the model refuses, or ignores."""
    sampling = request.sampling
    for parameter in facts.refuses:
        _remove(request, sampling, parameter, f"{name} takes no {parameter}.")
    for parameter in facts.ignores:
        _remove(request, sampling, parameter, f"{name} ignores {parameter}.")
    if facts.refuses_while_reasoning and _reasons(request, facts):
        for parameter in facts.refuses_while_reasoning:
            _remove(request, sampling, parameter, f"{name} takes no {parameter} while reasoning.")


def _reasons(request: Request, facts: ModelFacts) -> bool:
    effort = request.reasoning.effort if request.reasoning is not None else None
    return facts.always_reasons if effort is None else effort != "none"


def _remove(request: Request, sampling: Sampling, parameter: str, reason: str) -> None:
    value = getattr(sampling, parameter, None)
    if value is None or value == []:
        return
    if value not in _NO_CHANGE.get(parameter, ()):
        request.losses.add(parameter, reason)
    setattr(sampling, parameter, [] if parameter == "stop" else None)


def _unforce(request: Request, facts: ModelFacts, name: str) -> None:
    """Ask in words for a tool call that the model cannot be forced to make.

    https://platform.claude.com/docs/en/models/sonnet-5-5/migration-guide
    """
    choice = request.tool_choice
    if facts.forced_tools or choice is None or choice.mode not in ("any", "tool"):
        return
    if not request.tools:
        return
    wanted = " or ".join(f"`{tool}`" for tool in choice.names) or "one of the tools"
    request.tool_choice = ToolChoice("auto")
    request.system.append(Text(f"Answer with a call of {wanted}."))
    request.losses.add(
        "tool_choice",
        f"{name} cannot be forced to call a tool; the system prompt asks for the call instead.",
    )


def _end_with_user(request: Request, facts: ModelFacts, name: str) -> None:
    """End the conversation with a user's message, for models that continue no assistant's one.

    https://platform.claude.com/docs/en/models/opus-5-5/migration-guide#migrating-from-claude-opus-46
    """
    if facts.prefill or not request.turns or request.turns[-1].role != "assistant":
        return
    has_calls = any(type(block) is ToolCall for block in request.turns[-1].blocks)
    request.turns.append(Turn("user", [Text(CONTINUE)]))
    if has_calls:
        # The message ends the wait for results.
        request.turns = paired(request.turns, request.losses)
    request.losses.add(
        "messages",
        f"{name} does not continue the assistant's last message; a user's message follows it.",
    )


def _limit_output(request: Request, facts: ModelFacts, name: str) -> None:
    limit, wanted = facts.max_output_tokens, request.sampling.max_tokens
    if limit is None or wanted is None or wanted <= limit:
        return
    request.losses.add("max_tokens", f"{name} writes {limit} tokens at most; {wanted} were asked.")
    request.sampling.max_tokens = limit


def _limit_tools(request: Request, facts: ModelFacts, name: str) -> None:
    """Keep as many tools as the vendor takes, the chosen ones among them."""
    limit = facts.max_tools
    if limit is None or len(request.tools) <= limit:
        return
    chosen = set(request.tool_choice.names) if request.tool_choice is not None else set()
    first = [tool for tool in request.tools if tool.name in chosen]
    others = [tool for tool in request.tools if tool.name not in chosen]
    kept = {id(tool) for tool in [*first, *others][:limit]}
    dropped: list[Tool] = [tool for tool in request.tools if id(tool) not in kept]
    request.tools = [tool for tool in request.tools if id(tool) in kept]
    names = ", ".join(tool.name for tool in dropped[:10])
    request.losses.add(
        "tools", f"{name} takes {limit} tools; {len(dropped)} were left out, such as {names}."
    )


def _leave_out_media(request: Request, facts: ModelFacts, name: str) -> None:
    """Remove media of a kind that the model does not read."""
    if not facts.media:
        return
    for turn in request.turns:
        for block in turn.blocks:
            if type(block) is Media and block.kind not in facts.media:
                request.losses.add("messages", f"{name} takes no {block.kind}; it was dropped.")
                turn.blocks = [one for one in turn.blocks if one is not block]


def _hide_user(request: Request, dst: WireFormatName, facts: ModelFacts) -> None:
    """Replace the end user's id by its digest: it may name a device or an account.

    64 hexadecimal digits are what OpenAI takes at most; the same id gives the same digest.
    """
    # Google has no such field, and the encoder says so.
    if request.user is None or dst == GOOGLE_GENERATE:
        return
    is_same_vendor = request.source in _OPENAI and dst in _OPENAI
    limit = facts.user_chars or _DIGEST_CHARS
    if is_same_vendor and len(request.user) <= limit:
        return
    request.user = hashlib.sha256(request.user.encode("utf-8", "surrogatepass")).hexdigest()[:limit]
    request.losses.add(
        "user", "The id of the end user belongs to the client's vendor; its digest was sent."
    )
