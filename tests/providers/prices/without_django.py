"""Reads the catalog: `python -m tests.providers.prices.without_django` fails if Django came in."""

from __future__ import annotations

import sys

from providers.prices.catalog import models_of

if __name__ == "__main__":
    models_of("zai", "api.z.ai")
    sys.exit("django" in sys.modules)
