"""A nursery that imports nothing beforehand."""

from __future__ import annotations

from ccproxy_site.mains import nursery_main

if __name__ == "__main__":
    nursery_main.COMMON = ()
    raise SystemExit(nursery_main.main())
