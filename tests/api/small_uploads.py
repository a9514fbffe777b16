"""URLs of the site with an import page that takes 100 bytes."""

from __future__ import annotations

from django.urls import path

from ccproxy_site.urls import urlpatterns as site_urls
from flows.console.import_views import import_page

urlpatterns = [path("flows/import/", import_page, {"max_bytes": 100}), *site_urls]
