#!/usr/bin/env python3
"""A stand-in for an agent's program: the name it is started by says whose requests it sends.

`claude`, `codex`, `gemini`, `opencode` and `aider` read their base URL where the real ones read it,
and send one request with their own vendor's credential. Standard library alone: it starts quickly.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
import tomllib
import urllib.error
import urllib.request

ANTHROPIC_BODY = {
    "model": "claude-haiku-4-5",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "hello"}],
}


def _claude() -> tuple[str, dict[str, str], object]:
    url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages?beta=true"
    return url, {"x-api-key": os.environ["ANTHROPIC_API_KEY"]}, ANTHROPIC_BODY


def _opencode() -> tuple[str, dict[str, str], object]:
    config = json.loads(os.environ["OPENCODE_CONFIG_CONTENT"])
    url = config["provider"]["anthropic"]["options"]["baseURL"] + "/messages"
    return url, {"x-api-key": os.environ["ANTHROPIC_API_KEY"]}, ANTHROPIC_BODY


def _aider() -> tuple[str, dict[str, str], object]:
    url = os.environ["ANTHROPIC_API_BASE"] + "/v1/messages"
    return url, {"x-api-key": os.environ["ANTHROPIC_API_KEY"]}, ANTHROPIC_BODY


def _codex() -> tuple[str, dict[str, str], object]:
    settings = sys.argv[sys.argv.index("-c") + 1]
    url = tomllib.loads(settings)["openai_base_url"] + "/responses"
    body = {"model": "gpt-5-mini", "input": "hello", "stream": False}
    return url, {"authorization": f"Bearer {os.environ['CODEX_API_KEY']}"}, body


def _gemini() -> tuple[str, dict[str, str], object]:
    # The real one refuses a base URL here: no settings of the user's select an API key.
    if os.environ.get("GOOGLE_GEMINI_BASE_URL"):
        sys.exit("Invalid auth method selected.")
    base = "https://generativelanguage.googleapis.com"
    url = base + "/v1beta/models/gemini-2.5-flash:generateContent"
    body = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    return url, {"x-goog-api-key": os.environ["GEMINI_API_KEY"]}, body


REQUESTS = {
    "claude": _claude, "codex": _codex, "gemini": _gemini, "opencode": _opencode, "aider": _aider
}  # fmt: skip


def main() -> int:
    url, headers, body = REQUESTS[pathlib.Path(sys.argv[0]).name]()
    headers |= {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request) as response:
            response.read()
    except urllib.error.HTTPError as exc:
        sys.stderr.write(exc.read().decode())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
