"""Text of a response from Perplexity's patches, as the part that each event adds.

Five forms say the same, and a stream may mix them:

| form | patch | meaning |
|---|---|---|
| A | path "", value {"answer": text} | the complete text so far |
| B | path "", value {"chunks": [...], "chunk_starting_offset": n} | 0: complete; else: append |
| C | path "/chunks/N", value text | append |
| D | path "/markdown_block" or "/markdown_block/answer" | the complete text so far |
| E | a bare `markdown_block`, in the last event | the complete text |

Example: B {"chunks": ["He"]}, C "llo", E "Hello!" → "He", "llo", "!".
"""

from __future__ import annotations

import re
from typing import Any, Final

from providers.wire.core.ir import JsonObject, Losses

_CHUNK: Final = re.compile(r"/chunks/(\d+|-)")
_WHOLE: Final = ("/markdown_block", "/markdown_block/answer", "/answer")
_REWRITTEN: Final = "Perplexity rewrote a part that the client has; the client keeps the first one."


class AnswerPatches:
    """Text of one answer block so far."""

    def __init__(self, losses: Losses) -> None:
        self.text = ""
        self._losses = losses

    def bare(self, block: Any) -> str:
        """Take a `markdown_block` without a patch; return what is new."""
        if not isinstance(block, dict):
            return ""
        answer = block.get("answer")
        if isinstance(answer, str):
            return self._grown(answer)
        return self._chunks(block)

    def patch(self, patch: JsonObject) -> str:
        """Take one patch; return what is new."""
        path, value = patch.get("path"), patch.get("value")
        if path == "":
            return self.bare(value)
        if path in _WHOLE:
            return self._grown(value) if isinstance(value, str) else self.bare(value)
        if isinstance(path, str) and isinstance(value, str) and _CHUNK.fullmatch(path):
            return self._append(value)
        return ""

    def _chunks(self, block: JsonObject) -> str:
        chunks = block.get("chunks")
        if not isinstance(chunks, list):
            return ""
        text = "".join([chunk for chunk in chunks if isinstance(chunk, str)])
        if block.get("chunk_starting_offset"):
            return self._append(text)
        if text.startswith(self.text):
            return self._grown(text)
        # A new beginning: what the client has cannot be taken back.
        self._losses.add("answer", _REWRITTEN)
        self.text = text
        return text

    def _append(self, text: str) -> str:
        self.text += text
        return text

    def _grown(self, text: str) -> str:
        """Take a complete text; return what follows the known one."""
        known = self.text
        if text.startswith(known):
            self.text = text
            return text[len(known) :]
        if known.startswith(text):
            # An older state of the same text.
            return ""
        self._losses.add("answer", _REWRITTEN)
        if known[:1] == text[:1]:
            return ""
        self.text = text
        return text
