"""Profiles are checked when a provider is saved."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from providers import fingerprint_profiles
from providers.models import Provider


def _faults(**more: Any) -> dict[str, list[str]]:
    values: dict[str, Any] = {"name": "a", "type": "openai", "host": "h.example", "path": "/"}
    try:
        Provider(**{**values, **more}).clean()
    except ValidationError as exc:
        return exc.message_dict
    return {}


@pytest.mark.parametrize("name", ["", "chrome131", "firefox135", "safari170", "chrome"])
def test_names_of_curl_cffi_and_none_are_accepted(name: str) -> None:
    assert _faults(fingerprint_profile=name) == {}


def test_an_unknown_name_is_refused_with_the_nearest_and_the_list() -> None:
    (text,) = _faults(fingerprint_profile="Chrome-131")["fingerprint_profile"]
    assert text.startswith("There is no profile “Chrome-131”; did you mean chrome131?")
    assert "firefox135" in text


@pytest.mark.parametrize("more", [{"scheme": "http"}, {"verify_tls": False}])
def test_a_profile_needs_verified_tls_or_this_machine(more: dict[str, Any]) -> None:
    faults = _faults(fingerprint_profile="chrome131", **more)
    assert faults["fingerprint_profile"] == [
        "A profile needs https with verified TLS, except to this machine."
    ]
    assert _faults(fingerprint_profile="chrome131", host="127.0.0.1", **more) == {}
    assert _faults(**more) == {}


def test_a_broken_curl_cffi_concerns_providers_with_a_profile_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fingerprint_profiles.profile_names.cache_clear()
    monkeypatch.setitem(sys.modules, "curl_cffi.requests.impersonate", None)
    assert _faults() == {}
    (text,) = _faults(fingerprint_profile="chrome131")["fingerprint_profile"]
    assert text.startswith("A profile needs curl-cffi, which cannot be loaded")
