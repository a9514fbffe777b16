"""Citations and token probabilities of Google's responses, both ways.

Google counts UTF-8 bytes over the text of all parts.
https://ai.google.dev/gemini-api/docs/google-search#grounded-response
"""

from __future__ import annotations

from typing import Any, Final

from providers.base.names import GOOGLE_GENERATE
from providers.wire.core.google_keys import camel
from providers.wire.core.ir import (
    Block,
    Citation,
    Foreign,
    JsonObject,
    Losses,
    Text,
)
from providers.wire.tools.web_search import QUERIES

LOST_SOURCES: Final = "Sources without a text were dropped."


def search_of(grounding: Any) -> Foreign | None:
    """Return the search that Google reports beside its text, or None."""
    if not isinstance(grounding, dict):
        return None
    grounding = camel(grounding)
    return Foreign(GOOGLE_GENERATE, QUERIES, grounding) if grounding.get(QUERIES) else None


def attach_citations(blocks: list[Block], grounding: Any, losses: Losses) -> None:
    """Attach grounding supports as citations to the texts they are in.

    Google counts UTF-8 bytes over the text of all parts.
    """
    if not isinstance(grounding, dict):
        return
    citations = decode_grounding(grounding)
    texts = [block for block in blocks if isinstance(block, Text)]
    if not texts:
        if citations:
            losses.add("groundingMetadata", LOST_SOURCES)
        return
    # Offsets count bytes over all parts, and blocks are joined parts: the segment's text is
    # searched instead.
    for citation in citations:
        cited = citation.cited_text
        if not cited:
            texts[0].citations = [*texts[0].citations, citation]
            continue
        home = next((text for text in texts if cited in text.text), texts[0])
        start = home.text.find(cited)
        if start >= 0:
            citation.start, citation.end = start, start + len(cited)
        home.citations = [*home.citations, citation]


def decode_grounding(grounding: JsonObject) -> list[Citation]:
    """Decode grounding: one citation for each support and source.

    Sources without a support cite the text as a unit.
    """
    # https://ai.google.dev/gemini-api/docs/google-search#grounded-response: a support names a
    # segment of the text and the indices of its sources.
    grounding = camel(grounding)
    chunks = [chunk for chunk in grounding.get("groundingChunks") or [] if isinstance(chunk, dict)]
    citations: list[Citation] = []
    supported: set[int] = set()
    for support in grounding.get("groundingSupports") or []:
        support = camel(support) if isinstance(support, dict) else {}
        segment = camel(support.get("segment") or {})
        for index in support.get("groundingChunkIndices") or []:
            if isinstance(index, int) and 0 <= index < len(chunks):
                supported.add(index)
                citations.append(_citation(chunks[index], segment.get("text")))
    citations += [
        _citation(chunk, None) for index, chunk in enumerate(chunks) if index not in supported
    ]
    return citations


def _citation(chunk: JsonObject, text: str | None) -> Citation:
    source = next((value for value in chunk.values() if isinstance(value, dict)), {})
    url, title = source.get("uri"), source.get("title")
    return Citation(url, title, text, raw=chunk, vendor=GOOGLE_GENERATE)


def attach_logprobs(blocks: list[Block], raw: Any) -> None:
    """Attach the probabilities of a response's tokens to its first text, in OpenAI's shape."""
    if not isinstance(raw, dict):
        return
    raw = camel(raw)
    text = next((block for block in blocks if isinstance(block, Text)), None)
    if text is None:
        return
    chosen = raw.get("chosenCandidates") or []
    tops = raw.get("topCandidates") or []
    tokens: list[JsonObject] = []
    for index, token in enumerate(chosen):
        alternatives = tops[index].get("candidates", []) if index < len(tops) else []
        tokens.append({**_token(token), "top_logprobs": [_token(other) for other in alternatives]})
    text.logprobs = tokens or ()


def _token(raw: JsonObject) -> JsonObject:
    token = str(raw.get("token", ""))
    encoded = token.encode("utf-8", "surrogatepass")
    return {"token": token, "logprob": raw.get("logProbability", 0.0), "bytes": list(encoded)}


def encode_logprobs(tokens: list[JsonObject]) -> JsonObject:
    """Encode `logprobsResult`: the chosen tokens, and the alternatives for each."""
    result: JsonObject = {"chosenCandidates": [_candidate(token) for token in tokens]}
    if any(token.get("top_logprobs") for token in tokens):
        result["topCandidates"] = [_alternatives(token) for token in tokens]
    return result


def _alternatives(token: JsonObject) -> JsonObject:
    return {"candidates": [_candidate(other) for other in token.get("top_logprobs") or []]}


def _candidate(token: JsonObject) -> JsonObject:
    return {"token": token.get("token"), "logProbability": token.get("logprob")}


def encode_grounding(blocks: list[Block]) -> JsonObject:
    """Encode `groundingMetadata` for citations with a URL. Offsets are UTF-8 bytes."""
    chunks: list[JsonObject] = []
    supports: list[JsonObject] = []
    offset = 0
    for block in blocks:
        if not isinstance(block, Text):
            continue
        for citation in block.citations:
            if not citation.url:
                continue
            chunks.append({"web": {"uri": citation.url, "title": citation.title or ""}})
            segment = _segment(block.text, citation, offset)
            supports.append({"segment": segment, "groundingChunkIndices": [len(chunks) - 1]})
        offset += _size(block.text)
    return {"groundingChunks": chunks, "groundingSupports": supports} if chunks else {}


def _segment(text: str, citation: Citation, offset: int) -> JsonObject:
    """Encode the cited part of a text; ("Grüße", 3 to 5, 0) → bytes 4 to 7."""
    start = citation.start or 0
    end = len(text) if citation.end is None else citation.end
    cited = text[start:end]
    begin = offset + _size(text[:start])
    return {"startIndex": begin, "endIndex": begin + _size(cited), "text": cited}


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
