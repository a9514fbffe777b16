"""Who watches: which groups of the live view anybody has joined, in this process or, over Redis, in
any.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from channels.layers import InMemoryChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from redis import asyncio as aioredis


class AudienceRedisLayer(RedisPubSubChannelLayer):
    """Channels' layer over Redis, which can also tell who listens.

    Settings name it with one host in `hosts`, the URL of the Redis server.
    """

    def __init__(self, *, hosts: list[str], **more: Any) -> None:
        super().__init__(hosts=hosts, **more)
        self._url = hosts[0]

    async def listened_to(self, groups: Collection[str]) -> set[str]:
        """Those of `groups` that somebody subscribed to, in one question to Redis (PUBSUB
        NUMSUB).
        """
        loop_layer = self._get_layer()
        client = getattr(loop_layer, "audience_client", None)
        if client is None:
            client = loop_layer.audience_client = aioredis.Redis.from_url(self._url)
        names = {loop_layer._get_group_channel_name(group).encode(): group for group in groups}
        counts = await client.pubsub_numsub(*names)
        return {names[name] for name, count in counts if count and name in names}


async def listened_to(layer: Any, groups: Collection[str]) -> set[str]:
    """Those of `groups` that somebody joined.

    A layer that cannot tell is taken to have listeners everywhere.
    """
    if layer is None or not groups:
        return set()
    if isinstance(layer, InMemoryChannelLayer):
        return {group for group in groups if layer.groups.get(group)}
    if ask := getattr(type(layer), "listened_to", None):
        return set(await ask(layer, groups))
    return set(groups)
