"""Whatever a row holds: written as YAML and read again it is the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptor.config.files.document import Document, parse_document
from interceptor.config.files.whole_file import Sections, parse_sections
from interceptor.config.transfer.exporter import dump, hook_lists, provider_section, rule_section
from interceptor.config.transfer.importer import credential_values, provider_values, rule_values
from interceptor.config.transfer.rows import ImportReport
from interceptor.models import HookSetting
from providers.base.names import PROVIDER_TYPES, WIRE_FORMATS
from providers.fallbacks import MAX_COOLDOWN_S
from providers.models import Provider, TransformRule
from providers.retry_policy import FAILURES, MAX_ATTEMPTS, MAX_BUDGET_S

TEXT = st.text(max_size=20)
WORDS = TEXT.filter(bool)
SOURCES: st.SearchStrategy[tuple[str, dict[str, str]]] = st.one_of(
    st.just(("none", {})),
    st.just(("key", {})),
    WORDS.map(lambda text: ("command", {"command": text})),
    WORDS.map(lambda text: ("file", {"file": text})),
)
RETRIES: st.SearchStrategy[dict[str, Any]] = st.just({}) | st.fixed_dictionaries(
    {"attempts": st.integers(2, MAX_ATTEMPTS)},
    optional={
        "statuses": st.lists(st.sampled_from(FAILURES), min_size=1),
        "budget_seconds": st.floats(0, MAX_BUDGET_S),
    },
)
FALLBACKS = st.lists(
    st.sampled_from(["a", "b", "a/m", "on/1.5", "router/vendor/model", "1/null"]), unique=True
)
SERVER_TOOLS = st.sampled_from(["", "drop", "map", "refuse"])
PROVIDERS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(list(PROVIDER_TYPES)),
        "enabled": st.booleans(),
        "scheme": st.sampled_from(["https", "http"]),
        "host": WORDS,
        "port": st.none() | st.integers(1, 65535),
        "path": TEXT,
        "verify_tls": st.booleans(),
        "headers": st.dictionaries(st.sampled_from(["x-team", "X-1", "on", "1e3", "~"]), TEXT),
        "native_formats": st.lists(st.sampled_from(list(WIRE_FORMATS)), unique=True),
        "model_names": st.lists(WORDS, max_size=3),
        "fingerprint_profile": TEXT,
        "retry": RETRIES,
        "fallbacks": FALLBACKS,
        "cooldown_seconds": st.none() | st.integers(0, MAX_COOLDOWN_S),
        "server_tools": SERVER_TOOLS,
    }
)
RULE_TEXTS = (
    "name", "match_host", "match_path", "match_model", "dest_host", "dest_path", "dest_model",
    "dest_vertex_project",
    "dest_vertex_location", "comment",
)  # fmt: skip
RULES = st.fixed_dictionaries(
    {
        **dict.fromkeys(RULE_TEXTS, TEXT),
        "action": st.sampled_from(["passthrough", "redirect", "transform"]),
        "enabled": st.booleans(),
        "fallbacks": FALLBACKS,
        "retry": RETRIES,
        "server_tools": SERVER_TOOLS,
    }
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def read(data: dict[str, Any]) -> tuple[Sections, Document]:
    document = parse_document(dump({"ccproxy": data}), "")
    return parse_sections(document), document


@given(PROVIDERS, SOURCES, st.sampled_from(["", "authorization", "x-api-key"]))
def test_a_provider(values, source, header):
    auth_type, auth_config = source
    row = Provider(
        name="a", auth_type=auth_type, auth_config=auth_config, auth_header=header, **values
    )
    sections, _ = read({"providers": {"a": provider_section(row)}})
    section = (sections.providers or {})["a"]
    assert provider_values(Provider(name="a"), section) == values
    credential = credential_values(Provider(name="a"), section, ImportReport())
    assert (credential["auth_type"], credential["auth_config"]) == source
    assert credential["auth_header"] == ("" if auth_type == "none" else header)


@given(RULES)
def test_a_rule(values):
    sections, document = read(
        {"inspector": {"transforms": [rule_section(TransformRule(**values))]}}
    )
    assert sections.transforms is not None
    assert rule_values(sections.transforms[0], 0, document) == values | {
        "position": 0,
        "dest_provider": None,
    }


@given(
    st.dictionaries(TEXT, JSON, max_size=3),
    st.booleans(),
    st.sampled_from(["verbose_mode", "a.b.c"]),
)
def test_a_hook(params, enabled, name):
    row = HookSetting(stage="outbound", name=name, params=params, enabled=enabled)
    sections, _ = read({"hooks": hook_lists([row])})
    assert sections.hooks is not None
    entry = sections.hooks.outbound[0]
    assert (entry.hook, entry.params, entry.enabled) == (name, params, enabled)


@pytest.mark.parametrize("name", ["on", "null", "1", "1.5", "~", "a", "2026-01-01", "0x1"])
def test_a_name_that_yaml_would_read_as_something_else(name):
    row = Provider(name=name, host="h.example", type="openai", auth_type="none")
    sections, _ = read({"providers": {name: provider_section(row)}})
    assert list(sections.providers or {}) == [name]
