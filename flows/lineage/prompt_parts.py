"""Parts of a prompt in the order in which vendors cache them. Pure.

Vendors cache the start of a prompt: tools, system prompt, messages (Anthropic "Prompt caching";
OpenAI "Prompt caching": "exact prefix matches"). Some settings belong to it as well, so they are
parts too: see `_OF_THE_WHOLE` and what follows it. Addresses are in the vendor's own words:
`tools[name=Bash]`, `system[1]`, `thinking`, `messages[82]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson

from flows.reading.turn_digest import BILLING_HEADER, digest, digest_of_json
from providers.wire.core.jsonio import dumps

CACHE_MARKS: Final = frozenset({"cache_control", "cacheControl"})
REPLYING_ROLES: Final = ("assistant", "model")
_SYSTEM_KEYS: Final = ("system", "instructions", "systemInstruction", "system_instruction")
_MESSAGE_KEYS: Final = (("messages", "content"), ("input", "content"), ("contents", "parts"))
_MESSAGE_STARTS: Final = ("messages[", "input[", "contents[")
_ORDERED_KEYS: Final = ("input", "args", "input_schema", "parameters", "parametersJsonSchema")
"""Arguments of calls and their schemas: the model reads their fields in the order in which they
come, so caches depend on it (Anthropic "Prompt caching"). OpenAI's arguments are a string.
"""
_FUNCTION_KEYS: Final = ("function", "functionCall")
"""Where some vendors put them one level deeper."""
_ENCODED_ALREADY: Final = frozenset({*_ORDERED_KEYS, *_FUNCTION_KEYS})


@dataclass(frozen=True, slots=True)
class Part:
    """One block of a prompt in the order of the cache."""

    path: str
    digest: bytes
    size_bytes: int
    value: Any = field(default=None, compare=False, repr=False)
    """The block without cache marks; of a message's block a pair of envelope and block."""

    @property
    def is_message(self) -> bool:
        """The part belongs to the messages, behind tools and system prompt."""
        return self.path.startswith(_MESSAGE_STARTS)

    @property
    def is_reply(self) -> bool:
        """The model itself said this earlier: a text, a call, a thought."""
        is_pair = isinstance(self.value, list) and bool(self.value)
        envelope = self.value[0] if is_pair else self.value
        if not self.is_message or not isinstance(envelope, dict):
            return False
        role = envelope.get("role")
        if isinstance(role, str):
            return role in REPLYING_ROLES
        # Items of the Responses API: calls and thoughts are the model's, outputs are not.
        kind = str(envelope.get("type", ""))
        return bool(kind) and kind != "message" and not kind.endswith("_output")


class _Setting(NamedTuple):
    """A field of the body that caches depend on."""

    path: str
    counted: Callable[[Any], Any]
    """Returns what counts of its value; None for a value that changes nothing."""


def _effort(value: Any) -> Any:
    return None if value == "high" else value


def _speed(value: Any) -> Any:
    return None if value == "standard" else value


def _schema(value: Any) -> Any:
    is_schema = isinstance(value, dict) and value.get("type") == "json_schema"
    return value if is_schema else None


def _choice(value: Any) -> Any:
    """Return Anthropic's choice of tools; OpenAI says nothing of its own one."""
    if not isinstance(value, dict) or value == {"type": "auto"}:
        return None
    return value if value.get("type") in ("auto", "any", "tool", "none") else None


def _thinking(value: Any) -> Any:
    """Return Anthropic's thinking; other vendors' fields of this name have no budget."""
    if not isinstance(value, dict):
        return None
    kind = value.get("type")
    budget = value.get("budget_tokens")
    return None if budget is None and kind != "adaptive" else [kind, budget]


_OF_THE_WHOLE: Final = (
    _Setting("output_config.effort", _effort),
    _Setting("speed", _speed),
)
"""Each effort and each speed has a cache of its own (Claude Code "Prompt caching")."""
_BEFORE_THE_SYSTEM: Final = (
    _Setting("output_config.format", _schema),
    _Setting("output_format", _schema),
    _Setting("response_format", _schema),
    _Setting("text.format", _schema),
)
"""A response's schema stands before the system prompt (OpenAI "Prompt caching"; Anthropic
"Structured outputs").
"""
_BEFORE_THE_MESSAGES: Final = (
    _Setting("tool_choice", _choice),
    _Setting("thinking", _thinking),
)
"""They invalidate the cache of the messages (Anthropic "Prompt caching": "What invalidates")."""


def parts_of(body: Any) -> list[Part]:
    """Return the parts of a request in any of the four wire formats; empty for anything else."""
    # Code Assist wraps Google's format.
    if isinstance(body, dict) and isinstance(body.get("request"), dict):
        body = body["request"]
    if not isinstance(body, dict):
        return []
    return [*parts_before_messages(body), *_messages(body)]


def named_response(body: Any) -> str:
    """Return the id of the response behind whose messages a request adds its own; "" without one.

    The provider keeps the earlier messages, but neither tools nor instructions (OpenAI
    "Conversation state").
    """
    named = body.get("previous_response_id") if isinstance(body, dict) else None
    return named if isinstance(named, str) else ""


def only_messages(body: Any) -> list[Any] | None:
    """Return the list "messages" of a request that has messages nowhere else; else None."""
    if not isinstance(body, dict) or isinstance(body.get("request"), dict):
        return None
    messages, *others = [body.get(key) for key, _ in _MESSAGE_KEYS]
    if not isinstance(messages, list) or any(isinstance(each, str | list) for each in others):
        return None
    return messages


def parts_before_messages(body: dict[str, Any]) -> list[Part]:
    """Return the parts of tools, system prompt and settings, in the order of the cache."""
    return [
        *_settings(body, _OF_THE_WHOLE),
        *_tools(body.get("tools")),
        *_settings(body, _BEFORE_THE_SYSTEM),
        *_system(body),
        *_settings(body, _BEFORE_THE_MESSAGES),
    ]


def parts_of_message(path: str, message: Any) -> Iterator[Part]:
    """Yield the parts of one of the "messages"."""
    yield from _message_parts(path, message, "content")


def _settings(body: dict[str, Any], settings: Sequence[_Setting]) -> Iterator[Part]:
    for setting in settings:
        value: Any = body
        for key in setting.path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        counted = setting.counted(value)
        if counted is not None:
            yield _part(setting.path, counted)


def _tools(tools: Any) -> Iterator[Part]:
    if not isinstance(tools, list):
        return
    for number, tool in enumerate(tools):
        # Google puts all functions into one tool.
        functions = tool.get("functionDeclarations") if isinstance(tool, dict) else None
        declarations = functions if isinstance(functions, list) else [tool]
        for declaration in declarations:
            if isinstance(declaration, dict) and declaration.get("defer_loading") is True:
                # The model has to search for it first: it is no part of the prompt (Anthropic,
                # "Tool use with prompt caching").
                continue
            name = _tool_name(declaration)
            path = f"tools[name={name}]" if name else f"tools[{number}]"
            yield _part(path, declaration)


def _tool_name(tool: Any) -> str:
    if not isinstance(tool, dict):
        return ""
    name = tool.get("name")
    function = tool.get("function")
    if not name and isinstance(function, dict):
        name = function.get("name")
    return name if isinstance(name, str) else ""


def _system(body: dict[str, Any]) -> Iterator[Part]:
    for key in _SYSTEM_KEYS:
        for number, block in enumerate(_system_blocks(key, body.get(key))):
            if not _is_billing(block):
                yield _part(f"{key}[{number}]", block)


def _system_blocks(key: str, value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = value.get("parts")
    if isinstance(value, list):
        return value
    if not isinstance(value, str):
        return []
    # Anthropic takes a string for a list with one text; both fill the cache with the same bytes.
    return [_text_block(value)] if key == "system" else [value]


def _is_billing(block: Any) -> bool:
    if not isinstance(block, dict):
        return False
    return str(block.get("text", "")).startswith(BILLING_HEADER)


def _messages(body: dict[str, Any]) -> Iterator[Part]:
    for key, blocks_key in _MESSAGE_KEYS:
        value = body.get(key)
        # The Responses API takes a plain string as `input`.
        messages = [value] if isinstance(value, str) else value
        if not isinstance(messages, list):
            continue
        for number, message in enumerate(messages):
            yield from _message_parts(f"{key}[{number}]", message, blocks_key)


def _message_parts(path: str, message: Any, blocks_key: str) -> Iterator[Part]:
    """Yield one part a block, each with the message's other fields.

    Example: `{"role": "user", "content": [a, b]}` → `messages[3].content[0]` is
    `[{"role": "user"}, a]`, and `messages[3].content[1]` is `[{"role": "user"}, b]`.
    """
    if not isinstance(message, dict):
        yield _part(path, message)
        return
    blocks = message.get(blocks_key)
    if isinstance(blocks, str):
        blocks = [_text_block(blocks)]
    if not isinstance(blocks, list) or not blocks:
        yield _part(path, message)
        return
    envelope = {name: value for name, value in message.items() if name != blocks_key}
    if len(blocks) == 1:
        yield _part(path, [envelope, blocks[0]])
        return
    for index, block in enumerate(blocks):
        yield _part(f"{path}.{blocks_key}[{index}]", [envelope, block])


def _text_block(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _part(path: str, value: Any) -> Part:
    value = _unmarked(value)
    try:
        # The order of keys changes no size, so one encoding serves the size and the digest.
        encoded = _sorted_json(value)
    except TypeError:
        return _odd_part(path, value)
    return Part(path, digest_of_json(encoded), len(encoded), value)


def counted_json(value: Any) -> bytes:
    """Return what counts of a value, as JSON that is the same in every order of its keys.

    Raises:
        TypeError: orjson refuses the value.
    """
    return _sorted_json(_unmarked(value))


def _sorted_json(value: Any) -> bytes:
    return orjson.dumps(_in_order(value), option=orjson.OPT_SORT_KEYS)


def _in_order(value: Any) -> Any:
    """Return a part with all that must stay in order encoded already.

    Example: `{"name": "Read", "input": {"b": 1, "a": 2}}` → `input` is encoded as `{"b":1,"a":2}`,
    and the keys `input` and `name` are left to be sorted.
    """
    if isinstance(value, list):
        return [_in_order(item) for item in value]
    # Of most blocks nothing must stay in order: they are texts and results.
    named = _ENCODED_ALREADY.intersection(value) if isinstance(value, dict) else ()
    if not named:
        return value
    encoded = dict(value)
    for key in named:
        inner = value[key]
        if isinstance(inner, dict):
            is_ordered = key not in _FUNCTION_KEYS
            encoded[key] = orjson.Fragment(orjson.dumps(inner)) if is_ordered else _in_order(inner)
    return encoded


def _odd_part(path: str, value: Any) -> Part:
    """Return the part of a value that orjson refuses, such as one with half a character."""
    try:
        size = len(dumps(value))
    except (ValueError, TypeError, RecursionError):
        size = len(repr(value))
    return Part(path, digest(value), size, value)


def _unmarked(value: Any) -> Any:
    """Return a value without cache marks, at the depths where vendors put them.

    Marks are no part of the prompt, and clients move them from message to message.
    """
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if not isinstance(value, dict):
        return value
    content = value.get("content")
    blocks: list[Any] | None = content if isinstance(content, list) else None
    if blocks is None and CACHE_MARKS.isdisjoint(value):
        return value
    unmarked = {key: item for key, item in value.items() if key not in CACHE_MARKS}
    if blocks is not None:
        unmarked["content"] = [_unmarked(item) for item in blocks]
    return unmarked
