"""`python -m tests.catalog_names`: writes anew the model names of the installed price catalogue.

To be run after an update of genai-prices; tests/providers/prices/test_catalog.py tells.
"""

from __future__ import annotations

import json

from providers.prices.catalog import NAMES_FILE, catalogue_version, read_vendors


def text() -> str:
    """Return the file as it should be: one vendor a line, so that an update changes few lines."""
    vendors = ",\n".join(json.dumps(vendor) for vendor in read_vendors())
    return f'{{"version": {json.dumps(catalogue_version())}, "vendors": [\n{vendors}\n]}}\n'


def main() -> None:
    """Write the file."""
    NAMES_FILE.write_text(text())


if __name__ == "__main__":
    main()
