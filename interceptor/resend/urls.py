"""Addresses of the pages that send a recorded request again.

They stand below a flow's own address.
"""

from __future__ import annotations

from django.urls import path

from interceptor.resend import views

urlpatterns = [
    path("resend/<str:ticket>/", views.resend_ticket, name="resend-ticket"),
    path("<str:flow_id>/resend/", views.resend_page, name="resend"),
    path("<str:flow_id>/resend/preview", views.resend_preview, name="resend-preview"),
]
