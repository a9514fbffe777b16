"""The address that the browser is sent to."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from providers.auth.browser_login import LoginAttempt
from providers.auth.oauth_kinds import oauth_auth

# The pair of RFC 7636, appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_challenge_of_the_rfc() -> None:
    assert LoginAttempt(VERIFIER).challenge == CHALLENGE


def test_the_verifier_stays_here() -> None:
    address = "https://vendor.example/authorize?code=true&state=pasted"
    auth = oauth_auth("anthropic_oauth", {"authorize_url": address, "scopes": "a b"})
    attempt = LoginAttempt(VERIFIER)
    url = attempt.url(auth, "http://localhost:1/callback")
    query = parse_qsl(urlsplit(url).query)
    assert VERIFIER not in url
    assert query[0] == ("code", "true"), "what the operator configured stays"
    assert dict(query) == {
        "code": "true",
        "response_type": "code",
        "client_id": auth.client_id,
        "redirect_uri": "http://localhost:1/callback",
        "scope": "a b",
        "state": attempt.state,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    assert len(query) == len(dict(query)), "no parameter comes twice"
    assert attempt.fields(auth, "c", "u")["code_verifier"] == VERIFIER
