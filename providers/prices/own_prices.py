"""The operator's prices, read from the database every few seconds at most."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, connection

from providers.models import PriceOverride
from providers.prices.cost import OwnPrice

FRESH_FOR_S = 2.0
_ENABLED = f"SELECT * FROM {PriceOverride._meta.db_table} WHERE enabled"  # noqa: S608
logger = logging.getLogger(__name__)


class OwnPrices:
    """Callable that returns the enabled prices in order.

    Never raises: if the database fails it returns the last prices it read.
    """

    def __init__(self) -> None:
        self._prices: tuple[OwnPrice, ...] = ()
        self._rows: list[tuple[Any, ...]] = []
        self._read_at = float("-inf")

    def __call__(self) -> Sequence[OwnPrice]:
        self.refresh()
        return self._prices

    def last(self) -> Sequence[OwnPrice]:
        """Return the prices of the last refresh, without the database."""
        return self._prices

    def refresh(self) -> None:
        """Read the prices again if they are old."""
        if time.monotonic() - self._read_at < FRESH_FOR_S:
            return
        try:
            self._read()
        except DatabaseError as exc:
            logger.warning("Your own prices could not be read and the last ones are used: %s", exc)
        self._read_at = time.monotonic()

    def _read(self) -> None:
        """Read the rows as they are, and make prices of them if they changed.

        Making the ORM's query takes twenty times as long as running this one, while the writer's
        flows wait.
        """
        with connection.cursor() as cursor:
            cursor.execute(_ENABLED)
            rows = cursor.fetchall()
        if rows != self._rows:
            enabled = PriceOverride.objects.filter(enabled=True)
            self._prices = tuple(map(own_price, enabled))
            self._rows = rows


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
