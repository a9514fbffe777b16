"""The console as an ASGI application: pages and API over HTTP, live views over websockets."""

from __future__ import annotations

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")

pages = get_asgi_application()  # sets Django up, so the consumers are imported after it

from ccproxy_site.console.fresh_context import FreshContext  # noqa: E402
from ccproxy_site.console.guard_middleware import WebsocketGuard  # noqa: E402
from ccproxy_site.mcp.mcp_app import mcp_beside  # noqa: E402
from flows.routing import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": mcp_beside(FreshContext(pages)),
        "websocket": WebsocketGuard(
            AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
        ),
    }
)
