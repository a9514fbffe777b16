"""The REST API's table of contents."""

from __future__ import annotations

from django.contrib.admin.views.decorators import staff_member_required
from django.urls import URLPattern, URLResolver, path
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import DefaultRouter

from flows.rest.compare import PairView
from flows.rest.flow_viewset import FlowViewSet
from flows.rest.imports import ImportView
from flows.rest.insights import ChangesView, ContextView, MessagesView, TurnsView, UsageView
from flows.rest.saved_filter_viewset import SavedFilterViewSet
from flows.rest.session_resources import SessionExportView, SessionListView, SessionView
from interceptor.api import ClientTokenViewSet, HookViewSet, InterceptorStatusViewSet
from interceptor.explain.api import ExplainView, RuleTrialView
from interceptor.explain.shape_preview_views import ShapePreviewView
from interceptor.library.library_api import (
    LimitsView,
    ThreadExportView,
    ThreadListView,
    ThreadView,
)
from interceptor.resend.api import ResendView
from providers.api import ProviderViewSet, RuleViewSet
from providers.audit.api import AuditViewSet
from shapes.rest.profile_viewset import ProfileViewSet
from shapes.rest.shape_viewset import ShapeViewSet

router = DefaultRouter(use_regex_path=True)
router.include_format_suffixes = False
router.register("providers", ProviderViewSet)
router.register("rules", RuleViewSet)
router.register("hooks", HookViewSet)
router.register("shapes", ShapeViewSet)
router.register("shaping-profiles", ProfileViewSet)
router.register("client-tokens", ClientTokenViewSet)
router.register("interceptors", InterceptorStatusViewSet)
router.register("flows", FlowViewSet)
router.register("saved-filters", SavedFilterViewSet)
router.register("audit", AuditViewSet)

# Swagger UI sets style attributes from its script; scripts stay limited to our own files.
_SWAGGER_POLICY: dict[str, list[str]] = {
    "default-src": [CSP.SELF.value],
    "script-src": [CSP.SELF.value],
    "style-src": [CSP.SELF.value, CSP.UNSAFE_INLINE.value],
    "img-src": [CSP.SELF.value, "data:"],
    "object-src": [CSP.NONE.value],
    "base-uri": [CSP.NONE.value],
    "frame-ancestors": [CSP.NONE.value],
}

urlpatterns: list[URLPattern | URLResolver] = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path(
        "docs/",
        csp_override(_SWAGGER_POLICY)(
            staff_member_required(SpectacularSwaggerSplitView.as_view(), login_url="admin:login")
        ),
        name="api-docs",
    ),
    path("explain/", ExplainView.as_view(), name="api-explain"),
    path("explain/rule/", RuleTrialView.as_view(), name="api-explain-rule"),
    path("perplexity/<slug:name>/limits/", LimitsView.as_view(), name="api-pplx-limits"),
    path("perplexity/<slug:name>/threads/", ThreadListView.as_view(), name="api-pplx-threads"),
    path(
        "perplexity/<slug:name>/threads/<str:slug>/",
        ThreadView.as_view(),
        name="api-pplx-thread",
    ),
    path(
        "perplexity/<slug:name>/threads/<str:slug>/export/",
        ThreadExportView.as_view(),
        name="api-pplx-export",
    ),
    path("usage/", UsageView.as_view(), name="api-usage"),
    path("sessions/", SessionListView.as_view(), name="api-sessions"),
    path(
        "sessions/<path:session_id>/export/<str:kind>/",
        SessionExportView.as_view(),
        name="api-session-export",
    ),
    path("sessions/<path:session_id>/", SessionView.as_view(), name="api-session"),
    path("flows/<str:flow_id>/changes/", ChangesView.as_view(), name="api-changes"),
    path("flows/<str:flow_id>/context/", ContextView.as_view(), name="api-context"),
    path("flows/<str:flow_id>/messages/", MessagesView.as_view(), name="api-messages"),
    path("flows/<str:flow_id>/turns/", TurnsView.as_view(), name="api-turns"),
    path("flows/import/", ImportView.as_view(), name="api-import"),
    path("flows/<str:flow_id>/resend/", ResendView.as_view(), name="api-resend"),
    path("flows/<str:flow_id>/diff/<str:other_id>/", PairView.as_view(), name="api-pair"),
    path("shapes/<int:pk>/preview/", ShapePreviewView.as_view(), name="api-shape-preview"),
    *router.urls,
]
