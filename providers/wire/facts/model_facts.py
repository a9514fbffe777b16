"""Facts about one model at one host, as the encoders ask for them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

Thinks = Literal["", "never", "asked", "by default", "always"]
ThinkingOff = Literal["disabled", "between_tools", "lower effort", "absent"]
ChatTools = Literal["yes", "effort none", "Responses alone"]

PARAMETERS: Final = (
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "reasoning",
)
"""Parameters that a row may refuse, by their neutral names."""

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Levels of effort, the least first."""


THINKING: Final = ("adaptive", "enabled", "disabled", "between_tools", "budget", "level")
"""Kinds of Anthropic's `thinking`, and Google's notations."""

MEDIA: Final = ("image", "document", "audio", "video")
"""Kinds of media that a model may read."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts about a model. The defaults are those of a model that no row names: nothing is refused.

    `known` says that a row names the model itself, and not its family alone.
    """

    vendor: str = ""
    known: bool = False
    refuses: tuple[str, ...] = ()
    """Parameters that the model refuses with any value but the vendor's default."""
    refuses_while_reasoning: tuple[str, ...] = ()
    """Parameters that it takes with effort `none` alone."""
    ignores: tuple[str, ...] = ()
    """Parameters that it accepts without any effect."""
    one_sampler: bool = False
    """It takes temperature or top_p, not both."""
    thinks: Thinks = ""
    thinking: tuple[str, ...] = ()
    """Kinds of Anthropic's `thinking`, or Google's notation (`budget`, `level`)."""
    thinking_off: ThinkingOff = "disabled"
    efforts: tuple[str, ...] = ()
    """Levels of effort that it takes; empty means unknown, or none at all."""
    thinking_budget: tuple[int, int] | None = None
    """Smallest and largest thinking budget in tokens."""
    smallest_budget: int | None = None
    """Smallest budget other than 0, in tokens."""
    forced_tools: bool = True
    """It accepts a tool choice that demands a call."""
    prefill: bool = True
    """It continues an assistant's message at the end."""
    system_in_conversation: bool = True
    """It accepts a system message after the first user message."""
    chat_tools: ChatTools = "yes"
    """Function tools on OpenAI's Chat Completions."""
    custom_tools: bool = False
    """Free-form tools on OpenAI's Chat Completions."""
    max_output_tokens: int | None = None
    call_id_chars: int | None = None
    """Length of tool calls' ids on OpenAI's Chat Completions."""
    user_chars: int | None = None
    user_field: str = "user"
    """OpenAI's field for the end user's id."""
    max_tools: int | None = None
    strict: Literal["", "openai", "anthropic"] = ""
    """Dialect of JSON Schema that a strict tool or structured output must follow."""
    media: tuple[str, ...] = ()
    """Kinds of media that it reads; empty means unknown."""
    only_fields: tuple[str, ...] = ()
    """All top-level fields that the host takes on Chat Completions. Empty: unknown."""
    refused_fields: tuple[str, ...] = ()
    """Fields that the host refuses there, such as `logit_bias` and `messages[].name`."""
    seed_field: str = "seed"
    """The host's name of OpenAI's `seed`."""
    sources: tuple[str, ...] = field(default=(), compare=False)
    """Addresses of the documentation, and the day each was read."""

    @property
    def always_reasons(self) -> bool:
        """True for a model that reasons unless the request forbids it."""
        return self.thinks in ("always", "by default")

    def nearest_effort(self, wanted: str) -> str:
        """Return the highest level that the model takes and that costs no more than the wanted one.

        Without such a level it is the lowest one that reasons.

            ("none", "low", "high"), "medium" → "low";  ("low", "high"), "none" → "low"
        """
        if not self.efforts or wanted in self.efforts or wanted not in EFFORTS:
            return wanted
        reasoning = [level for level in self.efforts if level != "none"]
        rank = EFFORTS.index(wanted)
        below = [level for level in reasoning if EFFORTS.index(level) <= rank]
        return below[-1] if below else reasoning[0]


FIELDS: Final = frozenset(item.name for item in fields(ModelFacts)) - {"known", "sources"}
"""Names of the facts that a row may state."""

_PARAMETER_LISTS: Final = ("refuses", "refuses_while_reasoning", "ignores")
_TUPLES: Final = (
    "thinking",
    "efforts",
    "thinking_budget",
    "media",
    "only_fields",
    "refused_fields",
)


_BOOLEANS: Final = (
    "one_sampler",
    "forced_tools",
    "prefill",
    "system_in_conversation",
    "custom_tools",
)
_NUMBERS: Final = (
    "smallest_budget",
    "max_output_tokens",
    "call_id_chars",
    "user_chars",
    "max_tools",
)
_LISTS: Final = (*_PARAMETER_LISTS, *_TUPLES)
WORDS: Final[dict[str, tuple[str, ...]]] = {
    "thinks": ("", "never", "asked", "by default", "always"),
    "thinking_off": ("disabled", "between_tools", "lower effort", "absent"),
    "chat_tools": ("yes", "effort none", "Responses alone"),
    "strict": ("", "openai", "anthropic"),
    "user_field": ("user", "safety_identifier"),
    "seed_field": ("seed", "random_seed"),
}


def _check_kind(name: str, value: Any) -> None:
    """Refuse a value of another kind than its fact's, by a ValueError."""
    if wanted := _other_kind(name, value):
        raise ValueError(f"{name} is {wanted}")


def _other_kind(name: str, value: Any) -> str:
    """Return the kind that a fact has and this value has not; "" where it fits.

    "max_output_tokens", -1 → "a positive whole number"
    """
    if name in _BOOLEANS and not isinstance(value, bool):
        return "true or false"
    if name in _NUMBERS and not (_is_whole(value) and value > 0):
        return "a positive whole number"
    if name in WORDS and value not in WORDS[name]:
        return f"one of {', '.join(WORDS[name])}"
    if name == "vendor" and not _is_name(value):
        return "a name"
    if name not in _LISTS:
        return ""
    if not isinstance(value, list | tuple):
        return "a list"
    if name == "thinking_budget":
        fits = len(value) == 2 and all(isinstance(item, int) for item in value)
        return "" if fits else "the smallest and the largest number of tokens"
    return "" if all(map(_is_name, value)) else "a list of names"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def fact_value(name: str, value: Any) -> Any:
    """Return a row's value in the form of its field. Raises `ValueError` for a wrong one."""
    _check_kind(name, value)
    if name in _PARAMETER_LISTS:
        unknown = set(value) - set(PARAMETERS)
        if unknown:
            raise ValueError(f"{name} names no parameter: {', '.join(sorted(unknown))}")
        return tuple(value)
    if name == "efforts" and set(value) - set(EFFORTS):
        raise ValueError(f"efforts has an unknown level: {value}")
    return tuple(value) if name in _TUPLES and value is not None else value
