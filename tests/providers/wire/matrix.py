"""The table of docs/translation.md: for each pair of formats and each feature, how many recorded
cases pass.

`python -m tests.providers.wire.matrix [CORPUS]` prints it; the tests print it too.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from providers.base.errors import TranslationError, UnsupportedByTarget
from providers.wire.core.formats import provider_codec
from providers.wire.core.ir import Response, Text, Thinking, ToolCall
from providers.wire.core.sse import SseParser
from providers.wire.response_reading import decoded_response
from providers.wire.rules.events import Collector
from providers.wire.translate import (
    AnswerContext,
    StreamTranslator,
    TargetInfo,
    translate_error,
    translate_request,
    translate_response,
)
from tests.providers.wire.cases import MODELS, PAIRS, Case, load
from tests.providers.wire.sdk_types import problems

SHORT = {
    "anthropic_messages": "Anthropic",
    "openai_chat": "Chat",
    "openai_responses": "Responses",
    "google_generate": "Google",
}
# Feature of the table → features of the recordings it stands for.
FEATURES = {
    "system": {"system", "mid_system"},
    "tools": {"tools", "tool_choice", "schema_refs", "r_tool_call", "r_parallel_tools"},
    "results": {"tool_result", "multi_turn"},
    "media": {"image", "image_by_url", "document", "audio", "video"},
    "reasoning": {"thinking", "thinking_replay", "r_thinking"},
    "structured": {"json_schema", "json_object"},
    "sampling": {"sampling", "stop_sequences", "max_tokens"},
    "streams": {"stream"},
    "errors": {"error", "error_in_stream"},
    "all": set(),
}
# Arguments the recorded model left as broken JSON: Google has no place for text, so they go under
# `_raw`.
KNOWN = {"anthropic-a131e4d03336 → Google: answer: calls differ"}
Result = tuple[
    str, str, str, str
]  # source, target, case, what went wrong ("" for nothing, "refused" for a clear 400)


def said(response: Response) -> tuple[object, ...]:
    """What an answer says, in words every format has."""
    text = "".join(block.text for block in response.blocks if isinstance(block, Text))
    reasoning = "".join("".join(b.text.split()) for b in response.blocks if isinstance(b, Thinking))
    calls = []
    for block in response.blocks:
        if isinstance(block, ToolCall):
            arguments = block.arguments
            try:
                arguments = (
                    json.loads(arguments or "{}") if isinstance(arguments, str) else arguments
                )
            except ValueError:
                arguments = "no JSON"
            calls.append((block.name, json.dumps(arguments, sort_keys=True)))
    reason = {"stop_sequence": "stop", "pause": "stop", "other": "stop"}.get(
        response.finish.reason, response.finish.reason
    )
    return (
        text,
        reasoning,
        tuple(calls),
        "any" if "refusal" in str(response.blocks) else reason,
        response.model,
    )


def streamed_response(name, raw: bytes) -> Response | None:
    decoder, collector, parser = provider_codec(name).stream_decoder(), Collector(name), SseParser()
    for event in [*parser.feed(raw), *parser.flush()]:
        collector.feed(decoder.feed(event))
    collector.feed(decoder.flush())
    return collector.response if collector.complete else None


def check_request(case: Case, dst) -> str:
    target = TargetInfo(model=MODELS[dst], stream=case.streaming)
    try:
        body, _ = translate_request(case.body, case.format, dst, target=target, model=case.model)
    except UnsupportedByTarget:
        return "refused"
    except TranslationError as error:
        return f"request: {error}"
    found = problems(dst, body)
    return f"request: {found[0]}" if found else ""


def check_answer(case: Case, dst) -> str:
    try:
        if case.kind == "json" and case.status != 200:
            json.loads(
                translate_error(case.status, json.dumps(case.answer).encode(), case.format, dst)
            )
            return ""
        if case.kind == "json":
            body, _ = translate_response(case.answer, case.format, dst)
            return _differs(
                said(decoded_response(case.answer, case.format)), said(decoded_response(body, dst))
            )
        stream = StreamTranslator(case.format, dst, context=AnswerContext())
        out = stream.feed(case.answer) + stream.flush()
        want = streamed_response(case.format, case.answer)
        got = streamed_response(dst, out)
        if want is None:
            return (
                ""
                if stream.failure is not None and got is None
                else "stream: an error became a success"
            )
        return "stream: broken" if got is None else _differs(said(want), said(got))
    except TranslationError as error:
        return f"answer: {error}"


def _differs(want: tuple[object, ...], got: tuple[object, ...]) -> str:
    names = ("text", "reasoning", "calls", "stop reason", "model")
    found = [
        name for name, a, b in zip(names, want, got, strict=True) if a != b and "any" not in (a, b)
    ]
    return f"answer: {', '.join(found)} differ" if found else ""


def results(corpus: Path) -> Iterator[tuple[Case, str, str]]:
    """Every case, target format and what went wrong."""
    for case in load(corpus):
        for src, dst in PAIRS:
            if src == case.format:
                request = check_request(case, dst) if isinstance(case.body, dict) else ""
                answer = check_answer(case, dst)
                yield case, dst, answer or request


def table(corpus: Path) -> tuple[str, list[str]]:
    """The table as Markdown, and a line for each case that failed."""
    passed: Counter[tuple[str, str, str]] = Counter()
    total: Counter[tuple[str, str, str]] = Counter()
    failures: list[str] = []
    refused: Counter[tuple[str, str]] = Counter()
    for case, dst, problem in results(corpus):
        columns = [
            name for name, of in FEATURES.items() if name == "all" or of & set(case.features)
        ]
        if problem == "refused":
            refused[case.format, dst] += 1
            continue
        for column in columns:
            total[case.format, dst, column] += 1
            passed[case.format, dst, column] += not problem
        if problem:
            failures.append(f"{case.id} → {SHORT[dst]}: {problem}")
    lines = [
        "| recorded as → translated to | " + " | ".join(FEATURES) + " | clear 400 |",
        "|---" * (len(FEATURES) + 2) + "|",
    ]
    for src, dst in PAIRS:
        cells = [f"{passed[src, dst, name]}/{total[src, dst, name]}" for name in FEATURES]
        lines.append(f"| {SHORT[src]} → {SHORT[dst]} | {' | '.join(cells)} | {refused[src, dst]} |")
    return "\n".join(lines), failures


if __name__ == "__main__":
    text, failed = table(
        Path(
            sys.argv[1]
            if len(sys.argv) > 1
            else os.environ.get("CCPROXY_TEST_CORPUS", "../shared/data")
        )
    )
    print(text, *failed, sep="\n")
