"""Reasoning of conversations that the recorder keeps for a proxy."""

from __future__ import annotations

from interceptor.recorder.asking import Recorder


class RemoteReasoning:
    """Memory of a proxy without a database; implements `KeepsReasoning`.

    Both raise `RecorderAway` and `RecorderRefused`.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def recall(self, digests: list[str]) -> dict[str, str]:
        """Return the texts of those that are known, by digest."""
        answer = await self._recorder.ask("reasoning.recall", digests=digests)
        texts: dict[str, str] = answer["texts"]
        return texts

    async def keep(self, texts: dict[str, str]) -> None:
        """Keep texts by digest."""
        await self._recorder.ask("reasoning.keep", texts=texts)
