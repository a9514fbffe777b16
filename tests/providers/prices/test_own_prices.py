"""Own prices as the writer reads them: again and again, and made anew only when rows changed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from providers.models import PriceOverride
from providers.prices import own_prices
from providers.prices.own_prices import OwnPrices

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def always_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the prices finds them old."""
    monkeypatch.setattr(own_prices, "FRESH_FOR_S", -1.0)


def _add(model: str, **values: object) -> PriceOverride:
    return PriceOverride.objects.create(model=model, input_usd=1, output_usd=2, **values)


def _models(prices: OwnPrices) -> list[str]:
    return [price.model for price in prices()]


def test_every_change_of_a_row_is_seen() -> None:
    prices = OwnPrices()
    assert _models(prices) == []
    first, second = _add("a", position=1), _add("b", position=2)
    assert _models(prices) == ["a", "b"]
    # Not by `save`, so that no time of a change tells of it.
    PriceOverride.objects.filter(pk=second.pk).update(position=0)
    assert _models(prices) == ["b", "a"]
    PriceOverride.objects.filter(pk=first.pk).update(cache_read_usd=Decimal("0.125"))
    assert prices()[1].cache_read_usd == Decimal("0.125")
    PriceOverride.objects.filter(pk=first.pk).update(enabled=False)
    assert _models(prices) == ["b"]
    PriceOverride.objects.all().delete()
    assert _models(prices) == []


def test_unchanged_rows_are_read_by_one_statement(django_assert_num_queries: object) -> None:
    prices = OwnPrices()
    _add("a")
    kept = prices()
    with django_assert_num_queries(1):  # type: ignore[operator]
        assert prices() is kept
