"""`Request` → Google generateContent request. Sources as in `request_decode`."""

from __future__ import annotations

import base64
import re
from typing import Any, Final

from providers.base.names import GOOGLE_GENERATE
from providers.wire.core.base import TargetInfo
from providers.wire.core.ir import (
    Block,
    Foreign,
    JsonObject,
    Losses,
    Media,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    has_cache_marks,
)
from providers.wire.core.jsonio import loads
from providers.wire.core.shape import drop_none
from providers.wire.facts.model_facts import ModelFacts
from providers.wire.rules.media import guess_type
from providers.wire.rules.pairing import result_media, result_text
from providers.wire.rules.reasoning import to_google
from providers.wire.rules.replay import SKIP_SIGNATURE_CHECK
from providers.wire.rules.schema import for_google, function_schema

_MAX_STOPS: Final = 5
_NEEDS_SIGNATURES: Final = re.compile(r"gemini-(?:[3-9]|\d\d)")
_DEFAULT_TYPES: Final = {
    "image": "image/png",
    "document": "application/pdf",
    "audio": "audio/wav",
    "video": "video/mp4",
}


def encode_request(request: Request, target: TargetInfo) -> JsonObject:
    """Return the body for `:generateContent` and `:streamGenerateContent`.

    Model and action belong to the URL. Provider type `gemini` gets Code Assist's envelope.
    """
    model = target.model or request.model or ""
    body: JsonObject = {"contents": _Contents(request, target, model).encode()}
    if request.system:
        parts = [{"text": block.text} for block in request.system if block.text]
        if parts:
            body["systemInstruction"] = {"role": "user", "parts": parts}
    _put_tools(body, request)
    if config := _config(request, model, target.facts(request.model)):
        body["generationConfig"] = config
    if request.source == GOOGLE_GENERATE:
        # `_config` and `_put_tools` have merged these two with the fields above.
        for key, value in request.extras.items():
            if key not in ("generationConfig", "toolConfig"):
                body[key] = value
        if request.metadata:
            body["labels"] = request.metadata
    _put_losses(request)
    return wrapped(body, target, model) if target.provider_type == "gemini" else body


def wrapped(body: JsonObject, target: TargetInfo, model: str) -> JsonObject:
    """Put the body into Code Assist's envelope."""
    inner = {**body, "session_id": target.session_id} if target.session_id else body
    head = {"model": model, "project": target.project, "user_prompt_id": target.user_prompt_id}
    return {**drop_none(head), "request": inner}


class _Contents:
    """Encoder of turns. Remembers the calls' names, which Google requires with each result."""

    def __init__(self, request: Request, target: TargetInfo, model: str) -> None:
        self._request = request
        self._losses = request.losses
        self._names: dict[str, str] = {}
        self._newer = bool(_NEEDS_SIGNATURES.search(model))
        # Vertex AI's reference has no ids; it pairs calls and results by their order.
        self._with_ids = not target.provider_type.startswith("vertex")

    def encode(self) -> list[JsonObject]:
        contents: list[JsonObject] = []
        last_role = ""
        for turn in self._request.turns:
            role, parts = self._turn(turn)
            # Google refuses contents without parts and parts with an empty text.
            if not parts:
                if role == "model" or not turn.blocks:
                    continue
                parts = [{"text": " "}]
            if role == last_role:
                contents[-1]["parts"].extend(parts)
            else:
                contents.append({"role": role, "parts": parts})
                last_role = role
        return contents or [{"role": "user", "parts": [{"text": " "}]}]

    def _turn(self, turn: Turn) -> tuple[str, list[JsonObject]]:
        parts: list[JsonObject] = []
        is_model = turn.role == "assistant"
        for block in turn.blocks:
            # A history has thousands of these three, and `type` is faster than isinstance.
            if type(block) is Text:
                if block.signature:
                    parts.append({"text": block.text, "thoughtSignature": block.signature})
                elif block.text:
                    parts.append({"text": block.text})
            elif type(block) is ToolCall:
                if is_model:
                    parts.append(self._call(block))
            elif type(block) is ToolResult:
                if not is_model:
                    self._result(block, parts)
            elif (part := self._rarer_part(block, is_model)) is not None:
                parts.append(part)
        if is_model:
            if self._newer:
                _sign_first_call(parts)
            return "model", parts
        if turn.role == "system":
            self._losses.add(
                "messages",
                "Google takes a system prompt only at the start; a later one is the user's text.",
            )
        return "user", parts

    def _call(self, block: ToolCall) -> JsonObject:
        self._names[block.id] = block.name
        call: JsonObject = {"name": block.name, "args": self._arguments(block)}
        if self._with_ids:
            call["id"] = block.id
        if block.signature:
            return {"functionCall": call, "thoughtSignature": block.signature}
        return {"functionCall": call}

    def _rarer_part(self, block: Block, is_model: bool) -> JsonObject | None:
        """Encode any block but texts, calls and results; None if Google has no such part."""
        if isinstance(block, Thinking):
            is_own = is_model and block.vendor == GOOGLE_GENERATE
            if not is_own or not (block.text or block.signature):
                return None
            return {"text": block.text, "thought": True, **_signed(block.signature)}
        if isinstance(block, Media):
            return self._media(block)
        return block.raw if isinstance(block, Foreign) and block.vendor == GOOGLE_GENERATE else None

    def _arguments(self, block: ToolCall) -> JsonObject:
        arguments: Any = block.arguments
        if type(arguments) is dict:
            return arguments
        if isinstance(arguments, str):
            try:
                arguments = loads(arguments) if arguments.strip() else {}
            except (ValueError, RecursionError):
                self._losses.add(
                    "tool calls", "Arguments that are no JSON are sent under the key _raw."
                )
                return {"_raw": arguments}
        if not isinstance(arguments, dict):
            self._losses.add(
                "tool calls", "Arguments that are no object are sent under the key value."
            )
            return {"value": arguments}
        return arguments

    def _media(self, block: Media) -> JsonObject | None:
        media_type = block.media_type or guess_type(
            block.url or block.title or "", _DEFAULT_TYPES[block.kind]
        )
        extras = block.extras if block.extras and self._request.source == GOOGLE_GENERATE else {}
        if block.text is not None:
            data = base64.b64encode(block.text.encode("utf-8", "surrogatepass")).decode("ascii")
            text_type = media_type if media_type.startswith("text/") else "text/plain"
            return {"inlineData": {"mimeType": text_type, "data": data}}
        if block.data is not None:
            return {
                "inlineData": {"mimeType": media_type, "data": block.data},
                **_signed(block.signature),
                **extras,
            }
        if block.url is not None:
            return {"fileData": {"mimeType": media_type, "fileUri": block.url}, **extras}
        if self._request.source == GOOGLE_GENERATE:
            return {
                "fileData": drop_none({"mimeType": block.media_type, "fileUri": block.file_id}),
                **extras,
            }
        self._losses.add(
            "messages",
            f"A {block.kind} by file id is only known to the vendor that stored it; it was"
            " dropped.",
        )
        return None

    def _result(self, block: ToolResult, parts: list[JsonObject]) -> None:
        response = block.response
        if response is None:
            response = _response(result_text(block), block.is_error)
        body: JsonObject = {
            "name": self._names.get(block.call_id) or block.name or "unknown",
            "response": response,
        }
        # Ids that our decoder made up are unknown to Google.
        if self._with_ids and not block.call_id.startswith("call_without_id_"):
            body["id"] = block.call_id
        parts.append({"functionResponse": body})
        inners = result_media(block)
        if not inners:
            return
        media: list[JsonObject] = []
        for inner in inners:
            part = self._media(inner)
            if part is not None:
                media.append(part)
        # From Gemini 3 a result holds its media; before, they are parts after it:
        # https://ai.google.dev/gemini-api/docs/function-calling#multimodal
        if media and self._newer:
            body["parts"] = media
        else:
            parts.extend(media)


def _sign_first_call(parts: list[JsonObject]) -> None:
    """Sign the first call of a step with Google's documented stand-in.

    Gemini 3 refuses a step whose first call has no signature.
    """
    # Of parallel calls only the first has a signature:
    # https://ai.google.dev/gemini-api/docs/thought-signatures
    for part in parts:
        if "functionCall" in part:
            part.setdefault("thoughtSignature", SKIP_SIGNATURE_CHECK)
            return


def _signed(signature: str | None) -> JsonObject:
    return {"thoughtSignature": signature} if signature else {}


def _response(text: str, is_error: bool | None) -> JsonObject:
    """Encode a tool's text as an object: itself if it is one, else under Google's suggested key."""
    if is_error:
        return {"error": text}
    if text.startswith("{"):
        try:
            value = loads(text)
        except (ValueError, RecursionError):
            return {"output": text}
        if isinstance(value, dict):
            return value
    return {"output": text}


def _put_tools(body: JsonObject, request: Request) -> None:
    declarations = [
        _declaration(tool, request.losses) for tool in request.tools if tool.raw is None
    ]
    tools: list[JsonObject] = [{"functionDeclarations": declarations}] if declarations else []
    tools += [tool.raw for tool in request.tools if tool.raw is not None]
    if not tools:
        return
    body["tools"] = tools
    config: JsonObject = {}
    if request.source == GOOGLE_GENERATE:
        config.update(request.extras.get("toolConfig", {}))
    choice = request.tool_choice
    if choice is not None:
        mode = {"auto": "AUTO", "any": "ANY", "none": "NONE", "tool": "ANY"}[choice.mode]
        # AUTO takes no list of names, VALIDATED does and also leaves the choice to the model:
        # https://ai.google.dev/gemini-api/docs/function-calling#function_calling_modes
        if choice.mode == "auto" and choice.names:
            mode = "VALIDATED"
        calling: JsonObject = {"mode": mode}
        if choice.names:
            calling["allowedFunctionNames"] = choice.names
        config["functionCallingConfig"] = calling
    if config:
        body["toolConfig"] = config
    if request.parallel_tools is False:
        request.losses.add("parallel_tool_calls", "Google cannot forbid parallel calls.")


def _declaration(tool: Tool, losses: Losses) -> JsonObject:
    body = drop_none({"name": tool.name, "description": tool.description})
    if tool.schema:
        path = f"tools.{tool.name}"
        body["parametersJsonSchema"] = for_google(
            function_schema(tool.schema, losses, path), losses, path
        )
    return {**body, **tool.extras} if tool.extras else body


def _config(request: Request, model: str, facts: ModelFacts) -> JsonObject:
    sampling, losses = request.sampling, request.losses
    if request.source == GOOGLE_GENERATE and request.reasoning is not None:
        thinking = request.reasoning.raw
    else:
        thinking = to_google(request.reasoning, model, facts, losses)
    temperature = sampling.temperature
    if temperature is not None and not 0 <= temperature <= 2:
        losses.add(
            "temperature",
            f"Google's temperature goes from 0 to 2; {temperature} became the nearest.",
        )
        temperature = min(max(temperature, 0), 2)
    if len(sampling.stop) > _MAX_STOPS:
        losses.add("stop", f"Google takes {_MAX_STOPS} stop sequences; the others were dropped.")
    modalities = [mode.upper() for mode in request.modalities or []]
    # https://ai.google.dev/api/generate-content#generationconfig
    config = drop_none(
        {
            "temperature": temperature,
            "topP": sampling.top_p,
            "topK": sampling.top_k,
            "maxOutputTokens": sampling.max_tokens,
            "stopSequences": sampling.stop[:_MAX_STOPS] or None,
            "frequencyPenalty": sampling.frequency_penalty,
            "presencePenalty": sampling.presence_penalty,
            "seed": sampling.seed,
            "candidateCount": sampling.candidates,
            "responseLogprobs": sampling.logprobs,
            "logprobs": sampling.top_logprobs if sampling.logprobs else None,
            "thinkingConfig": thinking or None,
            "responseModalities": modalities or None,
        }
    )
    _put_output(config, request)
    if request.source == GOOGLE_GENERATE:
        config.update(request.extras.get("generationConfig", {}))
    return config


def _put_output(config: JsonObject, request: Request) -> None:
    output = request.output
    if output is None or (output.kind == "text" and output.media_type is None):
        return
    config["responseMimeType"] = output.media_type or "application/json"
    if output.kind == "schema" and output.schema is not None:
        config["responseJsonSchema"] = for_google(output.schema, request.losses, "response_format")


def _put_losses(request: Request) -> None:
    if request.source == GOOGLE_GENERATE:
        return
    # The vendors' usual tiers are what Google has anyway.
    is_usual_tier = request.service_tier in ("auto", "default", "standard_only")
    unknown = {
        "logit_bias": request.sampling.logit_bias,
        "user": request.user,
        "metadata": request.metadata,
        "service_tier": None if is_usual_tier else request.service_tier,
        "verbosity": request.verbosity,
        "prompt_cache_key": request.cache_key,
    }
    for path, value in unknown.items():
        if value:
            request.losses.add(path, "Google has no such parameter.")
    if request.cache is not None or has_cache_marks(request):
        request.losses.add(
            "cache_control", "Google caches prompts by itself; the marks were dropped."
        )
