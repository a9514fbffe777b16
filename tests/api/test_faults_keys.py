"""REST refuses a key that no header can carry."""

from __future__ import annotations

from rest_framework.test import APIClient

from providers.models import Provider
from tests.api.test_config import KEY, PROVIDER


def test_a_bad_key_is_refused(api: APIClient) -> None:
    for key in ("KÉY-1234567890", "KEY-1\nKEY-234567890"):
        body = PROVIDER | {"auth_type": "key", "secret": key}
        refused = api.post("/api/providers/", body, format="json")
        assert refused.status_code == 400 and list(refused.json()) == ["secret"]
        assert "234567890" not in refused.content.decode()


def test_a_byte_order_mark_is_taken_off(api: APIClient) -> None:
    body = PROVIDER | {"auth_type": "key", "secret": f"\ufeff{KEY}"}
    assert api.post("/api/providers/", body, format="json").status_code == 201
    assert Provider.objects.get().secret.decrypt() == KEY
