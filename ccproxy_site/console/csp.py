"""Content Security Policy: strict everywhere, except that the admin theme's Alpine needs eval on
/admin/.
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csp import ContentSecurityPolicyMiddleware


class AdminAwareCSPMiddleware(ContentSecurityPolicyMiddleware):
    """Django's policy middleware with a looser policy for /admin/ alone."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if request.path.startswith("/admin/") and not hasattr(response, "_csp_config"):
            policy = {
                **settings.SECURE_CSP,
                "script-src": ["'self'", "'unsafe-eval'"],
                "style-src": ["'self'", "'unsafe-inline'"],
            }
            response._csp_config = policy  # type: ignore[attr-defined]
        return super().process_response(request, response)
