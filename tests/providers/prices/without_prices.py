"""Program that fails if the names of a vendor's models loaded the table of prices."""

from __future__ import annotations

import sys

from providers.prices.catalog import models_of

assert models_of("anthropic", "api.anthropic.com")
assert "genai_prices" not in sys.modules
