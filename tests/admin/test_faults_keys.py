"""The admin's form refuses a key that no header can carry, beside its field."""

from __future__ import annotations

from django.test import Client

from providers.models import Provider
from tests.admin.test_providers import ADD, KEY, errors, form


def test_a_bad_key_is_refused_beside_its_field(browser: Client) -> None:
    for key in ("KÉY-1234567890", "KEY\x01-1234567890"):
        response = browser.post(ADD, form(auth_type="key", new_secret=key))
        assert list(errors(response)) == ["new_secret"]
        assert "1234567890" not in str(errors(response))
    assert not Provider.objects.exists()


def test_a_byte_order_mark_is_taken_off(browser: Client) -> None:
    browser.post(ADD, form(auth_type="key", new_secret=f"\ufeff {KEY}\u200b "))
    assert Provider.objects.get().secret.decrypt() == KEY
