"""Task workers that the recorder asks for a proxy, to upload files to Perplexity."""

from __future__ import annotations

from typing import Any

from interceptor.recorder.asking import Recorder


class RemoteUploads:
    """Task workers as a proxy reaches them; implements `UploadsElsewhere`.

    Both raise `RecorderAway` and `RecorderRefused`.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def start(self, job: dict[str, Any]) -> str:
        """Hand a job over and return the task's id; "" where no worker takes it."""
        answer = await self._recorder.ask("upload.start", job=job)
        return str(answer["task"])

    async def state(self, task: str) -> dict[str, Any]:
        """Return what is known of a task."""
        return await self._recorder.ask("upload.state", task=task)
