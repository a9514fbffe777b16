"""Prompts that are too long: the wordings of the known servers, and the marks that clients read.

Agents shorten a conversation when they read their vendor's words, and otherwise stop or try again.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from providers.base.names import ANTHROPIC_MESSAGES, WireFormatName
from providers.wire.core.ir import Failure

CODE: Final = "context_length_exceeded"
_CODES: Final = frozenset(
    {
        CODE,
        "exceed_context_size_error",
        "context_window_exceeded",
        "context_window_exceeded_error",
        "model_max_prompt_tokens_exceeded",
    }
)
_OTHER_STATUS: Final = frozenset({401, 402, 403, 404, 429})
"""A limit of another kind, whatever its text says of tokens: "Too many tokens per minute"."""

_WORDINGS: Final = re.compile(
    "|".join(
        (
            # Anthropic, Bedrock, Fireworks, Ollama
            r"\b(prompt|input|conversation) (is |was )?too long\b",
            # OpenAI, vLLM, DeepSeek, Mistral, xAI, SGLang, MiniMax
            r"context.length|context window",
            r"maximum (prompt|input|model|sequence) length",
            # llama.cpp, Anthropic with max_tokens
            r"exceed\w*[^.]{0,40} context\b|context (size|limit) exceeded",
            # Google, OpenAI's GPT-5, Copilot, Moonshot, Zhipu, TensorRT-LLM
            r"\b(prompt|input|request|messages)\b[^.]{0,60}\bexceed\w*[^.]{0,60}"
            r"(token limit|number of tokens|max(imum)? (input )?length)",
            r"\bprompt token count\b.{0,40}exceed",
            r"\binput tokens exceed",
            # Groq, Cerebras, vLLM
            r"reduce the length of (the|your) (prompt|input|messages)",
            # Cohere
            r"tokens in the prompt cannot exceed",
            # Hugging Face TGI
            r"`?inputs`? (tokens \+|must have less than)",
            # DashScope
            r"range of input length should be",
            r"context.{0,20}overflow",
        )
    ),
    re.IGNORECASE,
)
_ANTHROPIC: Final = re.compile(r"^prompt is too long", re.IGNORECASE)


def is_too_long(failure: Failure) -> bool:
    """Check whether a provider refused a request because its prompt is too long."""
    if failure.code in _CODES or failure.kind in _CODES:
        return True
    if failure.status in _OTHER_STATUS:
        return False
    return _WORDINGS.search(failure.message) is not None


def for_client(failure: Failure, dst: WireFormatName) -> Failure:
    """Return a provider's failure as the client's vendor marks it; the provider's words stay.

    Agents know Anthropic's error by how its message begins, OpenAI's by its code.

    Example: "Input is too long for requested model." →
    "prompt is too long: Input is too long for requested model." for a client of Anthropic's.
    """
    if not is_too_long(failure):
        return replace(failure, kind=None)
    message = failure.message
    if dst == ANTHROPIC_MESSAGES and _ANTHROPIC.match(message) is None:
        message = f"prompt is too long: {message}"
    # A server error would be tried again, although it cannot succeed.
    status = 400 if failure.status >= 500 else failure.status
    return replace(failure, message=message, status=status, kind=None, code=CODE)
