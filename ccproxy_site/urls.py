"""Routing only."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from ccproxy_site.console.login_link import redeem
from ccproxy_site.console.metrics_page import metrics_page
from ccproxy_site.console.tab_state import tab_state
from flows.console.dashboard_views import dashboard_page
from interceptor.access.login_offer import LOGIN_PATH
from interceptor.explain.model_views import models_page
from interceptor.explain.provider_trial_views import provider_trial
from interceptor.explain.rule_trial_views import rule_trial_page
from interceptor.explain.shape_preview_views import shape_preview_page
from interceptor.explain.views import explain_page

urlpatterns = [
    path("", RedirectView.as_view(url="/flows/")),
    path(f"{LOGIN_PATH}/<str:token>/", redeem, name="login-link"),
    path("dashboard/", dashboard_page, name="dashboard"),
    path("flows/", include("interceptor.resend.urls")),
    path("flows/", include("flows.urls")),
    path("usage/", include("flows.usage_urls")),
    path(
        "shapes/<slug:provider_type>/<int:version>/preview/",
        shape_preview_page,
        name="shape-preview",
    ),
    path("shapes/", include("shapes.urls")),
    path("explain/", explain_page, name="explain"),
    path("explain/rule/", rule_trial_page, name="rule-trial"),
    path("models/", models_page, name="models"),
    path("providers/<int:pk>/test/", provider_trial, name="provider-trial"),
    path("metrics", metrics_page, name="metrics"),
    path("tab-state/", tab_state, name="tab-state"),
    path("api/", include("ccproxy_site.api")),
    path("admin/", admin.site.urls),
]

handler404 = "ccproxy_site.console.failure_page.not_found"
handler500 = "ccproxy_site.console.failure_page.server_error"
