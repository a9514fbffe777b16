"""A nursery that imports nothing beforehand."""

from __future__ import annotations

from ccproxy_site.mains.nursery_main import main

if __name__ == "__main__":
    raise SystemExit(main(common=(), of_django=()))
