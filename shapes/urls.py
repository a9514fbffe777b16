"""URLs of the pages of shapes."""

from __future__ import annotations

from django.urls import path

from shapes.console import capture_pages, change_views, shape_pages

app_name = "shapes"
urlpatterns = [
    path("", shape_pages.shape_list, name="list"),
    path("import", capture_pages.import_file, name="import"),
    path("capture/<str:flow_id>/", capture_pages.capture_page, name="capture"),
    path("<slug:provider_type>/acknowledge", change_views.acknowledge_view, name="acknowledge"),
    path("<slug:provider_type>/deactivate", change_views.deactivate_view, name="deactivate"),
    path("<slug:provider_type>/<int:version>/", shape_pages.shape_page, name="detail"),
    path("<slug:provider_type>/<int:version>/json", shape_pages.shape_json, name="json"),
    path("<slug:provider_type>/<int:version>/mflow", change_views.mflow_view, name="mflow"),
    path("<slug:provider_type>/<int:version>/compare", shape_pages.chosen_diff, name="compare"),
    path(
        "<slug:provider_type>/<int:version>/activate", change_views.activate_view, name="activate"
    ),
    path("<slug:provider_type>/<int:version>/delete", change_views.delete_view, name="delete"),
    path(
        "<slug:provider_type>/<int:before>/diff/<int:after>/", shape_pages.shape_diff, name="diff"
    ),
]
