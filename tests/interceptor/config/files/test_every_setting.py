"""Every server setting is read by the product, and a test shows its effect."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from interceptor.config.files.leaves import leaves
from interceptor.config.files.server import ServerSettings
from tests.environment import ROOT

Chain = tuple[str, ...]

PACKAGES = ("ccproxy_site", "interceptor", "flows", "providers", "jail", "shapes")
SETTINGS_NAMES = {"settings", "_settings", "CCPROXY"}
"""Variables and attributes that hold a ServerSettings."""

EFFECTS: dict[str, dict[str, str]] = {
    "ccproxy_site/process/test_logging.py": {
        "inspector.mitmproxy.termlog_verbosity": (
            "test_termlog_verbosity_is_the_lowest_level_of_mitmproxy_s_lines"
        ),
        "journal_identifier": "test_the_journal_is_used_under_its_identifier",
        "log_file": "test_the_log_file_is_where_the_settings_say",
        "log_level": "test_the_log_file_is_where_the_settings_say",
        "use_journal": "test_the_journal_is_used_under_its_identifier",
    },
    "ccproxy_site/mcp/test_access.py": {
        "mcp.http.auth": "test_sources_are_commands_and_files_that_may_change",
        "mcp.http.write_auth": "test_sources_are_commands_and_files_that_may_change",
    },
    "ccproxy_site/mcp/test_listening.py": {
        "mcp.http.enabled": "test_a_server_that_is_switched_off_is_nowhere",
        "mcp.http.host": "test_the_proxy_finds_it_at_its_bind_address",
    },
    "e2e/test_mcp.py": {
        "mcp.buffer.max_events_per_task": "test_an_overflow_is_marked",
        "mcp.http.port": "test_it_is_reached_by_three_ways",
        "mcp.notify_secret": "test_who_may_not_notify_changes_nothing",
    },
    "interceptor/test_kept_notes.py": {
        "mcp.buffer.ttl_seconds": "test_the_settings_are_the_limits",
    },
    "ccproxy_site/notices/test_channels.py": {
        "notices.command.run": "test_the_command_gets_json_and_no_secret",
        "notices.command.timeout_seconds": "test_a_command_that_fails",
        "notices.webhook.auth": "test_a_secret_from_its_source",
        "notices.webhook.format": "test_the_format_of_slack",
        "notices.webhook.timeout_seconds": "test_a_receiver_that_does_not_respond",
        "notices.webhook.url": "test_the_json_body",
    },
    "ccproxy_site/notices/test_events.py": {
        "notices.content": "test_texts_are_in_it_where_that_is_set",
        "notices.interval_seconds": "test_the_interval_is_that_of_the_settings",
        "notices.kinds": "test_failures_and_nothing_else",
        "notices.login_hours": "test_logins",
        "notices.spend_day_usd": "test_spend_of_a_day",
        "notices.spend_session_usd": "test_spend_of_a_session",
    },
    "admin/test_login.py": {
        "console.trusted_proxies": "test_the_address_behind_a_trusted_proxy_counts",
    },
    "cli/test_flows_sets.py": {
        "flows.default_jq_filters": "test_the_configured_filters_come_first",
    },
    "e2e/test_captured.py": {
        "inspector.dns_overrides": "test_requests_are_listed_and_lookups_only_on_demand",
        "inspector.upstream_overrides": "test_requests_are_listed_and_lookups_only_on_demand",
    },
    "e2e/test_settings.py": {
        "allowed_hosts": "test_allowed_hosts",
        "allowed_origins": "test_allowed_origins",
        "auth.command_timeout_seconds": "test_command_timeout",
        "console.host": "test_console_host_and_port",
        "console.hosts": "test_console_hosts",
        "console.origins": "test_console_origins",
        "host": "test_host_and_port",
        "inspector.cert_dir": "test_cert_dir",
        "inspector.mitmproxy.flow_detail": "test_flow_detail_and_log_file",
        "inspector.mitmproxy.web_open_browser": "test_web_open_browser",
        "inspector.port": "test_console_host_and_port",
        "port": "test_host_and_port",
        "stream_idle_timeout_seconds": "test_stream_idle_timeout",
    },
    "e2e/test_not_recording.py": {
        "flows.not_recorded_header": "test_it_is_said_while_the_database_is_locked",
    },
    "e2e/test_start.py": {
        "inspector.readiness.timeout_seconds": "test_a_readiness_url_that_does_not_answer",
        "inspector.readiness.url": "test_a_readiness_url_that_does_not_answer",
    },
    "e2e/test_stream.py": {
        "shutdown_timeout_seconds": "test_sigterm_ends_a_stream_with_an_error_of_its_format",
    },
    "flows/telemetry/test_export.py": {
        "inspector.provider_map": "test_legacy_names_and_provider_map",
        "otel.capture_content": "test_content_is_captured_where_that_is_set",
        "otel.enabled": "test_enabled_false_is_no_export",
        "otel.endpoint": "test_each_flow_is_one_span",
        "otel.legacy_names": "test_legacy_names_and_provider_map",
        "otel.protocol": "test_http_protobuf",
        "otel.service_name": "test_the_resource_names_the_service",
    },
    "flows/writer/test_retention.py": {
        "flows.retention.max_age_days": "test_by_age",
        "flows.retention.max_bytes": "test_by_bytes",
        "flows.retention.max_flows": "test_by_count_in_chunks_the_oldest_first",
    },
    "interceptor/addons/test_faults_upstream_proxy.py": {
        "upstream_proxy": "test_a_real_proxy_lets_in_whoever_shows_the_password",
    },
    "interceptor/addons/test_own_credential.py": {
        "own_credentials": "test_it_can_be_switched_off",
    },
    "interceptor/addons/test_capacity.py": {
        "gemini_capacity.enabled": "test_each_setting_counts",
        "gemini_capacity.fallback_models": "test_then_the_other_models_once_each",
        "gemini_capacity.retry_status_codes": "test_each_setting_counts",
        "gemini_capacity.sticky_retry_attempts": "test_then_the_other_models_once_each",
        "gemini_capacity.sticky_retry_max_delay_seconds": "test_each_setting_counts",
        "gemini_capacity.terminal_delay_threshold_seconds": "test_each_setting_counts",
        "gemini_capacity.total_retry_budget_seconds": (
            "test_the_budget_is_of_the_time_since_the_first_attempt"
        ),
    },
    "interceptor/addons/test_egress.py": {
        "inspector.mitmproxy.ssl_insecure": "test_a_bad_certificate",
        "inspector.mitmproxy.ssl_verify_upstream_trusted_ca": "test_a_bad_certificate",
    },
    "interceptor/config/files/test_load_settings.py": {
        "inspector.mitmproxy.confdir": "test_paths_are_relative_to_the_config_directory",
    },
    "interceptor/mitm/test_malformed_requests.py": {
        "inspector.mitmproxy.body_size_limit": ("test_a_client_that_sends_on_reads_the_refusal"),
    },
    "interceptor/perplexity/test_files.py": {
        "pplx.upload.fetch_timeout_seconds": "test_a_download_has_its_limit",
        "pplx.upload.max_file_size_bytes": "test_the_number_and_the_size_of_files_are_limited",
        "pplx.upload.max_files": "test_the_number_and_the_size_of_files_are_limited",
        "pplx.upload.subscribe_timeout_seconds": "test_processing_that_takes_too_long_only_warns",
        "pplx.upload.upload_timeout_seconds": "test_a_bucket_that_does_not_answer_ends_in_an_error",
    },
    "interceptor/perplexity/test_threads.py": {
        "pplx.search.preflight_timeout_seconds": "test_limits_of_pages_and_of_the_warm_up",
        "pplx.thread.consistency_mode": "test_another_history_in_the_three_modes",
        "pplx.thread.fetch_page_size": "test_limits_of_pages_and_of_the_warm_up",
        "pplx.thread.fetch_timeout_seconds": "test_limits_of_pages_and_of_the_warm_up",
        "pplx.thread.ttl_seconds": "test_limits_of_pages_and_of_the_warm_up",
    },
    "interceptor/perplexity/test_settings.py": {
        "pplx.thread.citation_mode": "test_every_other_setting_reaches_the_provider",
        "pplx.search.always_search_override": "test_each_search_setting_is_sent",
        "pplx.search.is_incognito": "test_each_search_setting_is_sent",
        "pplx.search.is_nav_suggestions_disabled": "test_each_search_setting_is_sent",
        "pplx.search.language": "test_each_search_setting_is_sent",
        "pplx.search.override_no_search": "test_each_search_setting_is_sent",
        "pplx.search.search_focus": "test_each_search_setting_is_sent",
        "pplx.search.search_recency_filter": "test_each_search_setting_is_sent",
        "pplx.search.skip_search_enabled": "test_each_search_setting_is_sent",
        "pplx.search.sources": "test_each_search_setting_is_sent",
        "pplx.search.timezone": "test_each_search_setting_is_sent",
    },
    "interceptor/test_trace_onward.py": {
        "otel.propagate": "test_the_provider_s_parent_is_our_span",
    },
    "interceptor/test_proxy_settings.py": {
        "inspector.mitmproxy.stream_large_bodies": (
            "test_stream_large_bodies_passes_a_large_error_on_in_pieces"
        ),
        "provider_timeout": "test_provider_timeout_limits_a_request_that_is_sent_again",
    },
    "interceptor/wireguard/test_allow_hosts.py": {
        "inspector.mitmproxy.allow_hosts": "test_another_host_passes_unread",
    },
    "interceptor/wireguard/test_connections.py": {
        "inspector.mitmproxy.ignore_hosts": "test_a_host_that_is_passed_on_unread",
    },
    "interceptor/test_forward_setting.py": {
        "inspector.forward_port": "test_a_client_with_a_token_is_let_in",
    },
    "interceptor/wireguard/test_static.py": {
        "inspector.wireguard_port": "test_the_client_gets_a_configuration_that_works",
    },
    "interceptor/shaping/test_active_shapes.py": {
        "shaping.enabled": "test_shaping_that_is_switched_off_shapes_nothing",
    },
    "shapes/test_commands.py": {
        "shaping.shapes_dir": "test_a_version_goes_out_as_a_file_and_comes_back",
    },
    "jail/test_wireshark.py": {
        "inspector.keylog": "test_key_logs_are_for_their_owner_alone",
    },
    "providers/auth/test_proactive.py": {
        "auth.refresh_headroom_seconds": "test_refresh_headroom_is_when_a_request_renews",
        "auth.refresh_timeout_seconds": ("test_refresh_timeout_limits_the_call_to_the_endpoint"),
    },
}
"""File below tests/ → setting → the test that shows what the setting changes."""

SETTINGS = {".".join(leaf.path) for leaf in leaves(ServerSettings)}


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if "config/files" not in path.as_posix() and "migrations" not in path.parts:
                yield path


def chain_of(node: ast.AST) -> Chain:
    """`self.settings.auth.timeout` → ("self", "settings", "auth", "timeout"); others → ()."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return (node.id, *names) if isinstance(node, ast.Name) else ()


def path_below_settings(chain: Chain, aliases: dict[str, Chain]) -> Chain:
    """The setting that a chain leads to: ("self", "settings", "auth", "x") → ("auth", "x")."""
    if chain and chain[0] in aliases:
        return (*aliases[chain[0]], *chain[1:])
    for index, name in enumerate(chain):
        # `django.conf.settings` holds ours as CCPROXY; its own names are not settings of ours.
        if name in SETTINGS_NAMES and chain[index + 1 : index + 2] != ("CCPROXY",):
            return chain[index + 1 :]
    return ()


def reads_in(tree: ast.AST) -> set[Chain]:
    """Every path below the settings that a function reads, also by a local name of a group."""
    found: set[Chain] = set()
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            continue
        aliases = local_groups(function)
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute):
                found.add(path_below_settings(chain_of(node), aliases))
    return found


def local_groups(function: ast.AST) -> dict[str, Chain]:
    """`retention = settings.flows.retention` → {"retention": ("flows", "retention")}."""
    aliases: dict[str, Chain] = {}
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign):
            continue
        for target, value in pairs(node.targets[0], node.value):
            chain = chain_of(value)
            path = path_below_settings(chain, aliases)
            is_whole = bool(chain) and chain[-1] in SETTINGS_NAMES
            if isinstance(target, ast.Name) and (path or is_whole):
                aliases[target.id] = path
    return aliases


def pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


def reads_by_methods() -> dict[str, set[str]]:
    """Methods and properties of ServerSettings, with the settings that they read of `self`."""
    path = ROOT / "interceptor/config/files/server.py"
    classes = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.ClassDef)]
    body = next(c for c in classes if c.name == "ServerSettings").body
    methods = [node for node in body if isinstance(node, ast.FunctionDef)]
    return {
        method.name: {
            ".".join(chain[1:])
            for node in ast.walk(method)
            if (chain := chain_of(node))[:1] == ("self",)
        }
        for method in methods
    }


def all_reads() -> set[str]:
    found: set[Chain] = set()
    for path in sources():
        text = path.read_text()
        # Every read begins at one of these names.
        if any(name in text for name in SETTINGS_NAMES):
            found |= reads_in(ast.parse(text))
    names = {".".join(path) for path in found}
    for method, settings in reads_by_methods().items():
        if method in names:
            names |= settings
    return names


def test_every_setting_is_read_by_the_product():
    assert sorted(SETTINGS - all_reads()) == []


def test_every_setting_has_a_test_of_its_effect():
    shown = [setting for tests in EFFECTS.values() for setting in tests]
    assert sorted(shown) == sorted(SETTINGS)


@pytest.mark.parametrize("path", sorted(EFFECTS))
def test_the_tests_of_effects_exist(path):
    tree = ast.parse((ROOT / "tests" / path).read_text())
    functions = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert set(EFFECTS[path].values()) <= functions


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("def f(settings): return settings.auth.x", ("auth", "x")),
        ("def f(self): return self.settings.port", ("port",)),
        ("def f():\n auth = settings.CCPROXY.auth\n return auth.x", ("auth", "x")),
        ("def f():\n s, d = django_settings.CCPROXY, 1\n return s.port", ("port",)),
    ],
)
def test_reads_are_found(source, path):
    assert path in reads_in(ast.parse(source))


@pytest.mark.parametrize(
    "source", ["def f(other): return other.port", "x = settings.REDIS_URL.port"]
)
def test_other_attributes_are_no_reads(source):
    assert ("port",) not in reads_in(ast.parse(source))
