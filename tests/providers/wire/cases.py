"""The recorded cases of the corpus, loaded once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WIRE_FORMATS,
    WireFormatName,
)
from providers.wire.detect import model_of

FOLDERS: dict[str, WireFormatName] = {
    "anthropic": ANTHROPIC_MESSAGES,
    "gemini": GOOGLE_GENERATE,
    "openai_chat": OPENAI_CHAT,
    "openai_responses": OPENAI_RESPONSES,
    "perplexity": OPENAI_CHAT,
}
ALL = list(WIRE_FORMATS)
PAIRS = [(src, dst) for src in ALL for dst in ALL if src != dst]
# A model each vendor's servers would take, so that model-specific rules apply.
MODELS: dict[WireFormatName, str] = {
    ANTHROPIC_MESSAGES: "claude-sonnet-4-5",
    OPENAI_CHAT: "gpt-4.1",
    OPENAI_RESPONSES: "gpt-4.1",
    GOOGLE_GENERATE: "gemini-2.5-flash",
}


@dataclass(frozen=True)
class Case:
    id: str
    format: WireFormatName
    path: str
    streaming: bool
    features: tuple[str, ...]
    body: Any
    status: int
    kind: str
    answer: Any  # JSON body, or the stream as bytes

    @property
    def model(self) -> str | None:
        return model_of(self.path, self.body if isinstance(self.body, dict) else None)


@cache
def load(corpus: Path) -> tuple[Case, ...]:
    cases = []
    for folder, name in FOLDERS.items():
        for file in sorted((corpus / "wire" / folder).glob("*.json")):
            raw = json.loads(file.read_text())
            answer = raw["response"]
            kind = answer["kind"]
            cases.append(
                Case(
                    file.stem,
                    name,
                    raw["path"],
                    raw["streaming"],
                    tuple(raw["features"]),
                    (raw.get("request") or {}).get("body"),
                    answer["status"],
                    kind,
                    answer["body"] if kind == "json" else answer["raw"].encode(),
                )
            )
    return tuple(cases)


def with_request(corpus: Path) -> list[Case]:
    return [case for case in load(corpus) if isinstance(case.body, dict)]


def buffered(corpus: Path) -> list[Case]:
    return [case for case in load(corpus) if case.kind == "json" and case.status == 200]


def streamed(corpus: Path) -> list[Case]:
    return [case for case in load(corpus) if case.kind == "sse" and case.status == 200]


def errors(corpus: Path) -> list[Case]:
    return [case for case in load(corpus) if case.kind == "json" and case.status != 200]
