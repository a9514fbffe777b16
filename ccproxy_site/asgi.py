"""The console as an ASGI application: pages and API over HTTP, live views over websockets."""

from __future__ import annotations

import os

import django
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")

django.setup(set_prefix=False)  # what is imported below needs it

if settings.CCPROXY.otel.enabled:
    # Imported only then: it loads the recorder's writer. Before Django loads its middleware.
    from ccproxy_site.telemetry.instrumentation import instrument_console

    instrument_console(settings.CCPROXY)
pages = get_asgi_application()

from ccproxy_site.console.guard_middleware import WebsocketGuard  # noqa: E402
from ccproxy_site.console.serving.fresh_context import FreshContext  # noqa: E402
from ccproxy_site.console.serving.request_turns import RequestTurns  # noqa: E402
from ccproxy_site.mcp.mcp_app import mcp_beside  # noqa: E402
from flows.routing import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": mcp_beside(FreshContext(RequestTurns(pages))),
        "websocket": WebsocketGuard(
            AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
        ),
    }
)
