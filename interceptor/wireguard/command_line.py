"""A captured command's words without what looks like a credential. Pure.

The record's own redaction knows a secret once a header had it. A command line is recorded before
the command has sent anything.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from providers.auth.sentinel import provider_of

MAX_CHARS = 1000
LEFT_OUT = "‹left out›"

_SECRET_NAME = re.compile(
    r"api-?_?key|token(?!s|iz)|secret|passw|credential|authorization|cookie|jwt", re.IGNORECASE
)
_NAMED = re.compile(r"(-{0,2}[\w.-]{1,64})(=|:\s*)(.+)", re.DOTALL)
_USER = re.compile(r"(://[^/@\s:]*:)[^/@\s]+@")
_PARAMETER = re.compile(
    r"([?&][\w.-]*(?:key|token|secret|passw|sig)[\w.-]*=)[^&\s]+", re.IGNORECASE
)
_KEY = re.compile(
    r"\b(?:sk|pk|rk|ghp|gho|ghs|glpat|hf|gsk|xai|xox[a-z]|AIza|AKIA|ya29)[-_.]?[\w.-]{12,}"
    r"|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*|\b[Bb]earer\s+\S+"
)
_USER_OPTIONS = ("-u", "--user", "--proxy-user")


def shown_command(words: Sequence[str]) -> str:
    """Return the command as a shell takes it, without credentials, on one line of bounded length.

    ["curl", "-u", "me:secret", "--api-key=x"] →
    "curl -u 'me:‹left out›' '--api-key=‹left out›'"
    """
    shown, before = [], ""
    for word in words[:200]:
        shown.append(_shown(word, before))
        before = word
    text = shlex.join(shown)
    return text if len(text) <= MAX_CHARS else f"{text[: MAX_CHARS - 1]}…"


def _shown(word: str, before: str) -> str:
    # `--api-key VALUE`: the option before names a secret.
    is_option = before.startswith("-") and "=" not in before
    if is_option and _SECRET_NAME.search(before) and not word.startswith("-"):
        return _unless_sentinel(word)
    # curl's `-u NAME:PASSWORD`
    if before in _USER_OPTIONS and ":" in word:
        return f"{word.partition(':')[0]}:{LEFT_OUT}"
    # `--api-key=VALUE`, `API_KEY=VALUE`
    named = _NAMED.fullmatch(word)
    if named and _SECRET_NAME.search(named[1]):
        return named[1] + named[2] + _unless_sentinel(named[3])
    word = _USER.sub(rf"\1{LEFT_OUT}@", word)
    word = _PARAMETER.sub(lambda found: found[1] + LEFT_OUT, word)
    return _KEY.sub(lambda found: _unless_sentinel(found[0]), word)


def _unless_sentinel(value: str) -> str:
    """Return a sentinel key, which is public, as it is; leave anything else out.

    A client token may follow the sentinel key after a dot, and is a secret.
    """
    provider = provider_of(value)
    return value if provider is not None and "." not in provider else LEFT_OUT
