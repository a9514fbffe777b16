"""A vendor's own program that renews its login at random times, without any lock.

`python -m tests.e2e.vendor_program FILE ENDPOINT RENEWALS SEED`
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path


def renew(path: Path, endpoint: str, wait_s: float) -> None:
    """Exchange the refresh token, wait, then write what came back."""
    content = json.loads(path.read_text())
    fields = {
        "grant_type": "refresh_token",
        "client_id": "cli",
        "refresh_token": content["refresh_token"],
    }
    request = urllib.request.Request(endpoint, urllib.parse.urlencode(fields).encode())
    with urllib.request.urlopen(request) as reply:
        answer = json.load(reply)
    time.sleep(wait_s)
    content |= {key: answer[key] for key in ("access_token", "refresh_token")}
    content["expires_at"] = (time.time() + answer["expires_in"]) * 1000
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(content))
    os.replace(new, path)


def main(path: str, endpoint: str, renewals: str, seed: str) -> None:
    chance = random.Random(seed)
    for _ in range(int(renewals)):
        time.sleep(chance.uniform(0.4, 1.2))
        renew(Path(path), endpoint, chance.uniform(0, 0.2))


if __name__ == "__main__":
    main(*sys.argv[1:])
