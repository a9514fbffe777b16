"""Raises a low limit on open files: `python -m tests.interceptor.operate.raised_limit`.

Prints the limit that was reached and the hard one.
"""

from __future__ import annotations

import resource

from interceptor.operate.open_files import raise_open_files_limit

if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    print(raise_open_files_limit(), hard)
