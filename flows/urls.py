"""URLs of the console's flow pages."""

from __future__ import annotations

from django.urls import path

from flows.console import (
    compare_views,
    export_views,
    image_views,
    import_views,
    pages,
    pin_views,
    saved_filter_views,
    session_views,
)
from flows.console.flow_list import list_views, peek_view

app_name = "flows"
urlpatterns = [
    path("", list_views.flow_list, name="list"),
    path("rows", list_views.flow_rows, name="rows"),
    path("har", export_views.har_of_list, name="har"),
    path("import/", import_views.import_page, name="import"),
    path("saved/", saved_filter_views.save_filter, name="save-filter"),
    path("saved/<int:pk>/", saved_filter_views.change_filter, name="change-filter"),
    path("sessions/", session_views.session_list, name="sessions"),
    path(
        "session/<path:session_id>/export/<str:kind>",
        session_views.session_export,
        name="session-export",
    ),
    path("session/<path:session_id>/", session_views.session_page, name="session"),
    path("diff/<str:before_id>/<str:after_id>/", compare_views.pair_page, name="pair"),
    path("<str:flow_id>/", pages.flow_page, name="detail"),
    path("<str:flow_id>/peek", peek_view.flow_peek, name="peek"),
    path("<str:flow_id>/pin", pin_views.pin_flow, name="pin"),
    path("<str:flow_id>/partial", pages.flow_partial, name="partial"),
    path("<str:flow_id>/json/<str:source>", pages.flow_json, name="json"),
    path("<str:flow_id>/image/<str:part>/<int:number>", image_views.flow_image, name="image"),
    path("<str:flow_id>/as/<str:kind>", export_views.copy_page, name="copy"),
    path("<str:flow_id>/share/<str:kind>", session_views.flow_export, name="flow-share"),
    path("<str:flow_id>/har", export_views.har_of_flow, name="flow-har"),
    path("<str:flow_id>/body/<str:source>", pages.flow_body, name="body"),
]
