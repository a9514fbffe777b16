"""Preparation of a request for another vendor; the encoders then only write it.

Fields, tools and blocks that only the client's vendor knows become losses or a clear refusal. Ids
and tool names get a form that all vendors take. Signatures that travelled with the client return to
their vendor. Calls and results are paired.
"""

from __future__ import annotations

from typing import Final

from providers.base.errors import MalformedBody, UnsupportedByTarget
from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    PERPLEXITY_ASK,
    WireFormatName,
    format_label,
)
from providers.wire.core.base import ServerTools
from providers.wire.core.ir import (
    Block,
    Foreign,
    JsonObject,
    Media,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from providers.wire.rules.answers import NO_SIGNED_THINKING
from providers.wire.rules.call_ids import UniqueIds
from providers.wire.rules.free_form import as_function, keep_free_form
from providers.wire.rules.media import settle_type
from providers.wire.rules.pairing import paired
from providers.wire.rules.replay import STORE, came_from, text_key, unpack_thoughts
from providers.wire.rules.toolnames import wire_name
from providers.wire.tools.own_items import unpack_items
from providers.wire.tools.server_run import settle_server_tools

_STATEFUL: Final = {
    "previous_response_id": (
        "send the complete conversation in `input` instead of `previous_response_id`"
    ),
    "conversation": "send the complete conversation in `input` instead of `conversation`",
    "prompt": "send the prompt's text in `instructions` and `input` instead of a stored `prompt`",
    "cachedContent": "send the cached turns in `contents` instead of `cachedContent`",
}
_OWN_FIELDS: Final[dict[WireFormatName, tuple[str, ...]]] = {PERPLEXITY_ASK: ("pplx",)}
"""Fields that clients of any format may send, because they are meant for the provider."""
_OPENAI: Final = (OPENAI_CHAT, OPENAI_RESPONSES)
_MESSAGES: Final[dict[WireFormatName, str]] = {
    ANTHROPIC_MESSAGES: "messages",
    OPENAI_CHAT: "messages",
    OPENAI_RESPONSES: "input",
    GOOGLE_GENERATE: "contents",
}
"""The field of the conversation."""
_STORED_ITEMS: Final = {
    "item_reference": "send the item itself",
    "compaction": "send the conversation that was compacted",
}
"""Items of Responses whose content only OpenAI can read."""
# `_drop_extras` need not name them: `unknown_fields` lists what is in them.
_LISTED_BELOW: Final = ("generationConfig", "toolConfig")


def make_portable(
    request: Request,
    dst: WireFormatName,
    *,
    server_tools: ServerTools = "drop",
    host: str = "",
    keep_custom: bool = False,
    id_chars: int | None = None,
) -> None:
    """Prepare the request for `dst` at `host` in place.

    `keep_custom` keeps free-form tools; `id_chars` is the longest id of a call.

    Raises `UnsupportedByTarget` for what must not be dropped silently, and `MalformedBody` for a
    request without any message.
    """
    label = format_label(dst)
    _leave_out_empty(request)
    # The assistant's text may have a signature that waits for Google.
    signs_texts = dst == GOOGLE_GENERATE and not STORE.is_empty
    # Most turns of a long history are one text, of which nothing is to be changed.
    rich = [turn for turn in request.turns if not _is_text_alone(turn, signs_texts)]
    kinds = _kinds_of(rich)
    _refuse_state(request, label, kinds)
    # The client's own vendor would refuse it too.
    if not request.turns and not request.system:
        raise MalformedBody(f"{_MESSAGES[request.source]} has no message with any content.")
    settle_server_tools(request, dst, server_tools)
    _drop_extras(request, dst, label)
    if request.source == OPENAI_RESPONSES and Foreign in kinds:
        unpack_items(request)
        rich = [turn for turn in request.turns if not _is_text_alone(turn, signs_texts)]
    _plain_tools(request, keep_custom=keep_custom)
    if request.source in NO_SIGNED_THINKING:
        for turn in rich:
            if turn.role == "assistant" and _restore_thinking(turn):
                kinds |= {Thinking}
    if Thinking in kinds:
        _leave_out_others(rich, request, dst, host)
    _ask_by_system(request, dst)
    UniqueIds(dst, id_chars).assign(request.turns)
    for turn in rich:
        _plain_turn(turn, request, dst, label)
    request.turns = paired(request.turns, request.losses)
    _drop_parameters(request, dst)


def _leave_out_empty(request: Request) -> None:
    """Leave out messages without any content, which vendors refuse or do not count."""
    kept = [turn for turn in request.turns if turn.blocks]
    if len(kept) < len(request.turns):
        request.losses.add("messages", "A message without any content was left out.")
        request.turns = kept


def _is_text_alone(turn: Turn, signs_texts: bool) -> bool:
    """Return whether a turn is one text that every format has: no name, no signature."""
    blocks = turn.blocks
    if len(blocks) != 1 or turn.name is not None or turn.extras is not None:
        return False
    block = blocks[0]
    if type(block) is not Text or block.extras is not None or block.signature is not None:
        return False
    return not signs_texts or turn.role != "assistant"


def _ask_by_system(request: Request, dst: WireFormatName) -> None:
    """Send a system prompt without any message as the user's message; Chat alone takes it so."""
    if dst == OPENAI_CHAT or request.turns or not request.system:
        return
    request.turns = [Turn("user", list(request.system))]
    request.system = []
    request.losses.add(
        "messages", f"{format_label(dst)} wants a message; the system prompt is sent as the user's."
    )


def _kinds_of(turns: list[Turn]) -> frozenset[type]:
    """Return the kinds of blocks in a history, so that a rule about a rare one need not look."""
    kinds: set[type] = set()
    for turn in turns:
        kinds.update(map(type, turn.blocks))
    return frozenset(kinds)


def _refuse_state(request: Request, label: str, kinds: frozenset[type]) -> None:
    # Dropping these would lose the conversation without a word.
    if request.source not in (OPENAI_RESPONSES, GOOGLE_GENERATE):
        return
    for field, instead in _STATEFUL.items():
        if request.extras.get(field):
            raise UnsupportedByTarget(
                f"`{field}` only means something to the provider that stored it; {instead}."
            )
    if Foreign in kinds:
        _refuse_stored_items(request.turns)
    if request.extras.get("background"):
        raise UnsupportedByTarget(
            f"`background` mode does not exist in {label}; send the request without it."
        )


def _refuse_stored_items(turns: list[Turn]) -> None:
    for turn in turns:
        for block in turn.blocks:
            if isinstance(block, Foreign) and block.kind in _STORED_ITEMS:
                raise UnsupportedByTarget(
                    f"Only OpenAI can read the item `{block.kind}`; {_STORED_ITEMS[block.kind]}."
                )


def _drop_extras(request: Request, dst: WireFormatName, label: str) -> None:
    kept: JsonObject = {}
    for field, value in request.extras.items():
        if field in _OWN_FIELDS.get(dst, ()):
            kept[field] = value
        elif field not in _LISTED_BELOW:
            request.losses.add(field, f"{label} does not know it.")
    request.extras = kept


def _plain_tools(request: Request, *, keep_custom: bool) -> None:
    """Turn all tools into functions that every format knows, and name the chosen ones anew."""
    for tool in request.tools:
        if tool.custom and keep_custom:
            keep_free_form(tool)
        _plain_tool(tool, request)
    if request.tool_choice is not None:
        # `_plain_tool` keeps each tool's original name in its extras until here.
        new_names = {tool.extras["name"]: tool.name for tool in request.tools if tool.extras}
        request.tool_choice.names = [
            new_names.get(name) or wire_name(name) for name in request.tool_choice.names
        ]
    for tool in request.tools:
        tool.extras = None
    request.free_form = frozenset(tool.name for tool in request.tools if tool.free_form)


def _plain_tool(tool: Tool, request: Request) -> None:
    original = tool.native or tool.name
    if tool.raw is not None and tool.schema is not None:
        request.losses.add(
            f"tools.{original}", "It is offered as a function with the vendor's parameters."
        )
        tool.vendor = tool.raw = None
    if tool.custom and not tool.free_form:
        as_function(tool, request.losses)
    tool.name, tool.namespace = wire_name(tool.name, tool.namespace), None
    tool.extras = {"name": original}


def _plain_turn(turn: Turn, request: Request, dst: WireFormatName, label: str) -> None:
    turn.extras = None
    if turn.name and dst not in (OPENAI_CHAT,):
        request.losses.add("messages.name", f"{label} has no names of speakers.")
        turn.name = None
    kept = request.free_form
    has_others = False
    for block in turn.blocks:
        # Nearly all blocks are one of three kinds, and `type` is faster than isinstance.
        kind = type(block)
        if kind is Text:
            block.extras = block.signature = None  # type: ignore[union-attr]
            if dst == GOOGLE_GENERATE and turn.role == "assistant":
                _sign_text(block)  # type: ignore[arg-type]
        elif kind is ToolCall:
            _plain_call(block, kept)  # type: ignore[arg-type]
        elif kind is ToolResult:
            _plain_result(block, request, dst, label)  # type: ignore[arg-type]
        else:
            has_others = True
    if has_others:
        converted = [_plain_block(block, request, dst, label) for block in turn.blocks]
        turn.blocks = [block for block in converted if block is not None]


def _restore_thinking(turn: Turn) -> bool:
    """Restore an assistant's signed reasoning that the client's format could not carry, if any.

    The store has it under the turn's first call.
    """
    call = _first_call(turn.blocks)
    if call is None or (call.signature is None and STORE.is_empty):
        return False
    # Google's clients return the signature field, in which it travels; Chat's have none.
    kept = unpack_thoughts(call.signature) if call.signature else None
    if kept is not None:
        call.signature = None
    kept = kept or STORE.get("thinking:" + call.id)
    if not isinstance(kept, list):
        return False
    # Vendors want reasoning before the call that it led to.
    others = [block for block in turn.blocks if not isinstance(block, Thinking)]
    turn.blocks = [*kept, *others]
    return bool(kept)


def _first_call(blocks: list[Block]) -> ToolCall | None:
    for block in blocks:
        if type(block) is ToolCall:
            return block
    return None


def _plain_block(block: Block, request: Request, dst: WireFormatName, label: str) -> Block | None:
    """Convert the rarer kinds of blocks; None if the target cannot express one."""
    if isinstance(block, Media):
        return _plain_media(block, request, dst)
    return _plain_foreign(block, request, label) if isinstance(block, Foreign) else block


def _sign_text(block: Text) -> None:
    """Give a text of the assistant the signature that Google gave it.

    Gemini recommends to return the signatures of text parts too:
    https://ai.google.dev/gemini-api/docs/thought-signatures
    """
    if block.text and not STORE.is_empty:
        block.signature = STORE.get(text_key(block.text))


def _plain_call(block: ToolCall, kept: frozenset[str]) -> None:
    block.name, block.namespace = wire_name(block.name, block.namespace), None
    if block.custom and block.name not in kept:
        block.arguments, block.custom = {"input": block.arguments}, False
    block.extras, block.item_id = None, None


def _plain_result(block: ToolResult, request: Request, dst: WireFormatName, label: str) -> None:
    block.name = wire_name(block.name) if block.name else None
    block.extras, block.response, block.custom = None, None, False
    # The usual result is one text.
    if len(block.content) == 1 and type(only := block.content[0]) is Text:
        only.extras = None
        return
    converted = [_plain_inner(inner, request, dst, label) for inner in block.content]
    block.content = [inner for inner in converted if inner is not None]


def _plain_inner(
    inner: Text | Media | Foreign, request: Request, dst: WireFormatName, label: str
) -> Text | Media | Foreign | None:
    if isinstance(inner, Foreign):
        return _plain_foreign(inner, request, label)
    if isinstance(inner, Media):
        return _plain_media(inner, request, dst)
    inner.extras = None
    return inner


def _leave_out_others(turns: list[Turn], request: Request, dst: WireFormatName, host: str) -> None:
    """Leave out the reasoning that the target did not make: it would be refused."""
    for turn in turns:
        kept = [b for b in turn.blocks if type(b) is not Thinking or _is_own(b, dst, host)]
        if len(kept) < len(turn.blocks):
            request.losses.add(
                "reasoning",
                "Reasoning of earlier turns means something only to the vendor that signed it.",
            )
            turn.blocks = kept


def _is_own(block: Thinking, dst: WireFormatName, host: str) -> bool:
    if block.vendor != dst:
        return False
    # Chat's reasoning is plain text, in fields that many servers refuse.
    return came_from(block, host) if dst == OPENAI_CHAT else bool(block.signature)


def _plain_media(block: Media, request: Request, dst: WireFormatName) -> Media:
    block.extras = block.signature = None
    settle_type(block)
    is_stored = block.file_id is not None and block.url is None and block.data is None
    # OpenAI's two formats share their files.
    if is_stored and not (request.source in _OPENAI and dst in _OPENAI):
        raise UnsupportedByTarget(
            f"The {block.kind} {str(block.file_id)[:80]!r} is stored at another vendor; send its"
            " content instead of its id."
        )
    return block


def _plain_foreign(block: Foreign, request: Request, label: str) -> Text | None:
    if block.vendor == ANTHROPIC_MESSAGES and block.kind == "search_result":
        request.losses.add("messages", "A search result is sent as text.")
        return Text(_search_result_text(block.raw))
    # https://platform.claude.com/docs/en/build-with-claude/compaction: `content` is plain text.
    summary = block.raw.get("content")
    if block.vendor == ANTHROPIC_MESSAGES and block.kind == "compaction" and summary:
        request.losses.add("messages.compaction", "A compaction is sent as text.")
        return Text(str(summary))
    request.losses.add(f"messages.{block.kind}", f"{label} has nothing like it; it was dropped.")
    return None


def _search_result_text(raw: JsonObject) -> str:
    """Join title, source and content of a search result that the client gave as a document.

    https://docs.anthropic.com/en/docs/build-with-claude/search-results
    """
    lines = [raw.get("title"), raw.get("source")]
    for part in raw.get("content") or []:
        if isinstance(part, dict):
            lines.append(part.get("text"))
    return "\n".join(line for line in lines if isinstance(line, str))


def _drop_parameters(request: Request, dst: WireFormatName) -> None:
    if (request.sampling.candidates or 1) > 1:
        request.losses.add("n", "Only one response is translated, so only one is requested.")
    request.sampling.candidates = None
    if dst == OPENAI_CHAT and request.metadata and not request.store:
        request.losses.add("metadata", "OpenAI Chat takes metadata only for responses it stores.")
        request.metadata = None
    if dst != GOOGLE_GENERATE and request.modalities:
        if [mode.lower() for mode in request.modalities] != ["text"]:
            request.losses.add("modalities", f"{format_label(dst)} answers with text.")
        request.modalities = None
    # Chat's plain ["text"] is Google's default and not sent.
    from_chat_to_google = dst == GOOGLE_GENERATE and request.source == OPENAI_CHAT
    if from_chat_to_google and set(request.modalities or []) == {"text"}:
        request.modalities = []
