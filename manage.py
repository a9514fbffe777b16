"""Django's command line; `ccproxy` is the same with the product's names."""

from __future__ import annotations

from ccproxy_site.cli import manage

if __name__ == "__main__":
    manage()
