"""URLs of the usage page."""

from __future__ import annotations

from django.urls import path

from flows.console import usage_views

app_name = "usage"
urlpatterns = [
    path("", usage_views.usage_page, name="page"),
    path("csv", usage_views.usage_csv, name="csv"),
]
