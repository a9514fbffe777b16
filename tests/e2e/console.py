"""The console of a running interceptor, as a signed-in administrator."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx

from tests.e2e.process import Interceptor

_ADMINISTRATOR = """
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore
from rest_framework.authtoken.models import Token
from ccproxy_site.console.api_tokens import token_digest
user, _ = get_user_model().objects.get_or_create(username="e2e", defaults={"is_staff": True, "is_superuser": True})
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.create()
Token.objects.get_or_create(user=user, defaults={"key": token_digest("e2e-token")})
print("e2e-token", settings.SESSION_COOKIE_NAME, session.session_key)
"""


class Console:
    """The REST API by token, and the pages by session. Use it as a context manager."""

    def __init__(self, interceptor: Interceptor) -> None:
        token, cookie, session = interceptor.orm(_ADMINISTRATOR).split()
        self.api = httpx.Client(
            base_url=interceptor.console_url,
            headers={"Authorization": f"Token {token}"},
            trust_env=False,
            timeout=30,
        )
        self.pages = httpx.Client(
            base_url=interceptor.console_url,
            cookies={cookie: session},
            trust_env=False,
            timeout=30,
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
