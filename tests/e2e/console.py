"""The console of a running interceptor, as a signed-in administrator."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx

from tests.e2e import steps
from tests.e2e.process import Interceptor
from tests.patience import PATIENCE_S


class Console:
    """The REST API by token, and the pages by session. Use it as a context manager."""

    def __init__(self, interceptor: Interceptor) -> None:
        cookie, session = interceptor.call(steps.sign_in)
        self.api = httpx.Client(
            base_url=interceptor.console_url,
            headers={"Authorization": f"Token {steps.API_TOKEN}"},
            trust_env=False,
            timeout=PATIENCE_S,
        )
        self.pages = httpx.Client(
            base_url=interceptor.console_url,
            cookies={cookie: session},
            trust_env=False,
            timeout=PATIENCE_S,
            follow_redirects=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.api.close()
        self.pages.close()

    def get(self, path: str) -> Any:
        return _checked(self.api.get(path), 200)

    def post(self, path: str, data: Any, status: int) -> Any:
        return _checked(self.api.post(path, json=data), status)

    def patch(self, path: str, data: Any, status: int) -> Any:
        return _checked(self.api.patch(path, json=data), status)

    def delete(self, path: str, status: int) -> Any:
        return _checked(self.api.delete(path), status)


def _checked(reply: httpx.Response, status: int) -> Any:
    assert reply.status_code == status, reply.text
    return reply.json() if reply.content else None
