"""CCPROXY_* variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from interceptor.config.files.environment import OTHER_VARIABLES, override, variable
from interceptor.config.files.leaves import leaves
from interceptor.config.files.load_settings import load_server_settings
from interceptor.config.files.server import ServerSettings
from providers.base.errors import ConfigError

NOWHERE = Path("/nonexistent")


def load(**environ: str) -> ServerSettings:
    return load_server_settings(NOWHERE, environ)


def test_it_works():
    settings = load(CCPROXY_PORT="4001", CCPROXY_INSPECTOR__PORT="8084", CCPROXY_USE_JOURNAL="true")
    assert (settings.port, settings.inspector.port, settings.use_journal) == (4001, 8084, True)


def test_a_variable_wins_over_the_file(tmp_path):
    (tmp_path / "ccproxy.yaml").write_text("port: 1\nhost: 127.0.0.2\n")
    settings = load_server_settings(tmp_path, {"CCPROXY_PORT": "2"})
    assert (settings.port, settings.host) == (2, "127.0.0.2")


def test_every_setting_has_a_variable_of_its_own():
    names = [variable(leaf.path) for leaf in leaves(ServerSettings)]
    assert len(names) == len(set(names)) > 50
    assert not set(names) & set(OTHER_VARIABLES)


@pytest.mark.parametrize("empty", ["", "null", "None"])
def test_nothing_is_null_where_null_is_allowed(empty):
    assert load(CCPROXY_LOG_FILE=empty).log_file is None
    assert load(CCPROXY_FLOWS__RETENTION__MAX_FLOWS=empty).flows.retention.max_flows is None


def test_lists_and_mappings():
    settings = load(
        CCPROXY_CONSOLE_HOSTS="a.example, b.example",
        CCPROXY_INSPECTOR__MITMPROXY__IGNORE_HOSTS="['x{1,2}', y]",
        CCPROXY_INSPECTOR__PROVIDER_MAP="{a.example: a}",
    )
    assert settings.console.hosts == ("a.example", "b.example")
    assert settings.inspector.mitmproxy.ignore_hosts == ("x{1,2}", "y")
    assert settings.inspector.provider_map == {"a.example": "a"}


def test_text_stays_text():
    assert load(CCPROXY_JOURNAL_IDENTIFIER="007").journal_identifier == "007"


@pytest.mark.parametrize(
    ("environ", "level"),
    [
        ({"LOG_LEVEL": "debug"}, "DEBUG"),
        ({"LOG_LEVEL": "trace"}, "INFO"),
        ({"LOG_LEVEL": "debug", "CCPROXY_LOG_LEVEL": "error"}, "ERROR"),
    ],
)
def test_both_names_of_the_log_level(environ, level):
    assert load(**environ).log_level == level


def test_mitmproxy_s_own_names_of_the_console():
    settings = load(
        CCPROXY_INSPECTOR__MITMPROXY__WEB_HOST="127.0.0.9",
        CCPROXY_INSPECTOR__MITMPROXY__WEB_PASSWORD="1234",
    )
    assert settings.console.host == "127.0.0.9"


def test_older_switches_of_the_probe():
    assert (
        load(CCPROXY_VERIFY_READINESS_ON_STARTUP="1").inspector.readiness.url == "https://1.1.1.1/"
    )
    assert load(CCPROXY_READINESS_PROBE_URL="https://a/").inspector.readiness.url == "https://a/"
    off = load(CCPROXY_READINESS_PROBE_URL="https://a/", CCPROXY_VERIFY_READINESS_ON_STARTUP="0")
    assert off.inspector.readiness.url is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("CCPROXY_PORT", "x", "CCPROXY_PORT: should be a valid integer"),
        ("CCPROXY_PROT", "1", "unknown variable CCPROXY_PROT: did you mean CCPROXY_PORT?"),
        (
            "CCPROXY_INSPECTOR__PROT",
            "1",
            "unknown variable CCPROXY_INSPECTOR__PROT: did you mean CCPROXY_INSPECTOR__PORT",
        ),
        (
            "CCPROXY_INSPECTOR__PROVIDER_MAP",
            "{",
            "CCPROXY_INSPECTOR__PROVIDER_MAP: write it as YAML",
        ),
        ("CCPROXY_CONSOLE_HOSTS", "[1, {}]", "CCPROXY_CONSOLE_HOSTS: should be a valid string"),
    ],
)
def test_refusals_name_the_variable(name, value, message):
    with pytest.raises(ConfigError) as caught:
        load(**{name: value})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", [*OTHER_VARIABLES, "CCPROXY_TEST_REQUIRE", "CCPROXY_TEST_CORPUS"])
def test_variables_of_others_are_left_alone(name):
    assert override(ServerSettings(), {name: "1"}) == ServerSettings()
