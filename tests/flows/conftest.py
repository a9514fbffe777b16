"""The made-up flows of `seed.py`, in the database."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.flows.seed import seed_all


@pytest.fixture
def seeded(staff: Client) -> Client:
    """A browser of a reader of the flows."""
    seed_all()
    return staff
