"""Grants that the recorder redeems for a proxy."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from interceptor.access.grant import Grant, is_token
from interceptor.recorder.asking import Recorder, RecorderAway, RecorderLost

TIMEOUT_S = 30.0
"""A grant lives no longer than this."""


class RemoteGrants:
    """Book of a proxy without a database; implements `interceptor.access.grant.GrantBook`."""

    def __init__(self, recorder: Recorder, timeout_s: float = TIMEOUT_S) -> None:
        self._recorder = recorder
        self._timeout_s = timeout_s

    async def redeem(self, token: str, flow_id: str) -> Grant | None:
        """Use the grant up for this flow. None for an unknown, expired or used one.

        Raises:
            RecorderAway: the recorder did not answer, also not after it was started again.
            RecorderRefused: the database did not.
        """
        if not is_token(token):
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._ask(token, flow_id)
        except TimeoutError:
            raise RecorderAway("the recorder does not answer") from None
        return grant_of(answer)

    async def _ask(self, token: str, flow_id: str) -> dict[str, Any]:
        try:
            return await self._recorder.ask("grant.redeem", token=token, flow_id=flow_id)
        except RecorderLost:
            # It may have redeemed the grant before it ended: for the same flow it does so again.
            return await self._recorder.ask("grant.redeem", token=token, flow_id=flow_id)


def grant_values(grant: Grant | None) -> dict[str, Any]:
    """Return a grant as the values of a reply."""
    return {"grant": asdict(grant) if grant else None}


def grant_of(values: dict[str, Any]) -> Grant | None:
    """Return the grant in the values of a reply."""
    found = values["grant"]
    return Grant(**found) if found else None
