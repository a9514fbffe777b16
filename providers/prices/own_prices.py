"""The operator's prices, read from the database every few seconds at most."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from django.db import DatabaseError

from providers.models import PriceOverride
from providers.prices.cost import OwnPrice

FRESH_FOR_S = 2.0
logger = logging.getLogger(__name__)


class OwnPrices:
    """Callable that returns the enabled prices in order.

    Never raises: if the database fails it returns the last prices it read.
    """

    def __init__(self) -> None:
        self._prices: tuple[OwnPrice, ...] = ()
        self._read_at = float("-inf")

    def __call__(self) -> Sequence[OwnPrice]:
        self.refresh()
        return self._prices

    def last(self) -> Sequence[OwnPrice]:
        """Return the prices of the last refresh, without the database."""
        return self._prices

    def refresh(self) -> None:
        """Read the prices again if they are old."""
        if time.monotonic() - self._read_at >= FRESH_FOR_S:
            try:
                self._prices = tuple(
                    own_price(row) for row in PriceOverride.objects.filter(enabled=True)
                )
            except DatabaseError as exc:
                logger.warning(
                    "Your own prices could not be read and the last ones are used: %s", exc
                )
            self._read_at = time.monotonic()


def own_price(row: PriceOverride) -> OwnPrice:
    """Convert a row to plain data."""
    return OwnPrice(
        id=row.pk,
        provider=row.provider,
        model=row.model,
        input_usd=row.input_usd,
        output_usd=row.output_usd,
        cache_read_usd=row.cache_read_usd,
        cache_write_usd=row.cache_write_usd,
        cache_write_1h_usd=row.cache_write_1h_usd,
    )
