"""A page's websocket at the console, without a server."""

from __future__ import annotations

from typing import Any

from channels.testing import WebsocketCommunicator

from tests.patience import PATIENCE_S


class WebsocketPage(WebsocketCommunicator):
    """Waits as long as anything here may take; the usual one gives up after a second."""

    async def receive_output(self, timeout: float = 0) -> Any:  # noqa: ASYNC109  # the library names it
        """Return the next message of the application."""
        return await super().receive_output(max(timeout, PATIENCE_S))

    async def wait(self, timeout: float = 0) -> None:  # noqa: ASYNC109  # the library names it
        """Return once the application has ended."""
        await super().wait(max(timeout, PATIENCE_S))
