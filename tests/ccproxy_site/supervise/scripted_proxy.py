"""A scripted proxy."""

from __future__ import annotations

from tests.ccproxy_site.supervise.scripted_family import child

if __name__ == "__main__":
    raise SystemExit(child("proxy"))
