"""Channel layer over Redis; loaded only where there is one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer
from redis import asyncio as aioredis


class AudienceRedisLayer(RedisPubSubChannelLayer):
    """Channels' layer over Redis, which also knows who listens.

    Settings name it with one host in `hosts`, the URL of the Redis server.
    """

    def __init__(self, *, hosts: list[str], **more: Any) -> None:
        super().__init__(hosts=hosts, **more)
        self._url = hosts[0]

    async def listened_to(self, groups: Collection[str]) -> set[str]:
        """Return those of `groups` that have subscribers, with one request (PUBSUB NUMSUB)."""
        loop_layer = self._get_layer()
        # A client belongs to one event loop, as the layer of the loop does.
        client = getattr(loop_layer, "audience_client", None)
        if client is None:
            client = aioredis.Redis.from_url(self._url)
            loop_layer.audience_client = client
        by_channel: dict[bytes, str] = {}
        for group in groups:
            channel = loop_layer._get_group_channel_name(group)
            by_channel[channel.encode()] = group
        found: set[str] = set()
        for channel, subscribers in await client.pubsub_numsub(*by_channel):
            if subscribers and channel in by_channel:
                found.add(by_channel[channel])
        return found
