"""Websocket addresses of the console; all others are refused."""

from __future__ import annotations

from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from django.urls import path, re_path

from flows.live.consumers import FlowConsumer, ListConsumer


class Refuse(AsyncWebsocketConsumer):
    """Consumer that closes before opening."""

    async def connect(self) -> None:
        await self.close(code=4404)


websocket_urlpatterns: list[Any] = [
    path("ws/flows/", ListConsumer.as_asgi()),
    path("ws/flows/<str:flow_id>/", FlowConsumer.as_asgi()),
    re_path(r"", Refuse.as_asgi()),
]
