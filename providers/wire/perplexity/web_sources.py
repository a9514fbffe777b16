"""Sources of a response, and the citations that its marks `[N]` stand for."""

from __future__ import annotations

import re
from typing import Any, Final

from providers.wire.core.ir import Citation, JsonObject

_MARK: Final = re.compile(r"\[(\d{1,3})\]")
_RESULT: Final = re.compile(r"/web_results/(\d+|-)")


class WebSources:
    """The results of the searches, in the order that its marks count."""

    def __init__(self) -> None:
        self._results: list[JsonObject] = []

    def take(self, block: JsonObject) -> None:
        """Take a block that may hold results, bare or as patches."""
        bare = block.get("web_result_block")
        if isinstance(bare, dict):
            self._replace(bare.get("web_results"))
        diff = block.get("diff_block")
        if isinstance(diff, dict) and diff.get("field") == "web_result_block":
            for patch in diff.get("patches") or []:
                if isinstance(patch, dict):
                    self._patch(patch.get("path"), patch.get("value"))

    def citations(self, text: str) -> list[Citation]:
        """Return a citation for each mark in the text, then one for each source without a mark.

        Example: "Rust [2] is fast [2]", two results → [2] at 5 to 8, [2] at 17 to 20, then [1].
        """
        found: list[Citation] = []
        marked: set[int] = set()
        for mark in _MARK.finditer(text):
            number = int(mark[1])
            source = self._source(number)
            if source is not None:
                marked.add(number)
                source.start, source.end = mark.span()
                found.append(source)
        for number in range(1, len(self._results) + 1):
            if number not in marked and (source := self._source(number)) is not None:
                found.append(source)
        return found

    def url(self, number: int) -> str:
        """Return the address that a mark stands for; "" where it stands for none."""
        source = self._source(number)
        return source.url or "" if source else ""

    def _source(self, number: int) -> Citation | None:
        if not 0 < number <= len(self._results):
            return None
        result = self._results[number - 1]
        url = result.get("url")
        if not isinstance(url, str):
            return None
        title = result.get("name") or result.get("title")
        snippet = result.get("snippet")
        return Citation(
            url,
            title if isinstance(title, str) else None,
            snippet if isinstance(snippet, str) else None,
        )

    def _replace(self, results: Any) -> None:
        # Later blocks have all results so far; a shorter list is an older state.
        if isinstance(results, list) and len(results) >= len(self._results):
            self._results = [one if isinstance(one, dict) else {} for one in results]

    def _patch(self, path: Any, value: Any) -> None:
        if path == "" and isinstance(value, dict):
            self._replace(value.get("web_results"))
        elif path == "/web_results":
            self._replace(value)
        elif isinstance(path, str) and isinstance(value, dict) and (at := _RESULT.fullmatch(path)):
            number = len(self._results) if at[1] == "-" else int(at[1])
            if number == len(self._results):
                self._results.append(value)
            elif number < len(self._results):
                self._results[number] = value


def replace_marks(text: str, sources: WebSources, mode: str) -> str:
    """Return a text with its marks as links (`markdown`), without them (`clean`), or as it is.

    Example: "Fast [1]" → "Fast [1](https://a.example)" or "Fast ".
    """
    if mode == "default":
        return text

    def written(mark: re.Match[str]) -> str:
        url = sources.url(int(mark[1]))
        if mode == "clean":
            return ""
        return f"[{mark[1]}]({url})" if url else mark[0]

    return _MARK.sub(written, text)
