"""Server settings from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interceptor.config.files.directory import config_dir
from interceptor.config.files.load_settings import load_server_settings
from interceptor.config.files.server import ServerSettings
from providers.base.errors import ConfigError
from providers.base.loopback import url_host


def load(directory: Path, text: str, **environ: str) -> ServerSettings:
    (directory / "ccproxy.yaml").write_text(text)
    return load_server_settings(directory, environ)


def refusal(directory: Path, text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(directory, text, **environ)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{directory}/", "")


def test_it_works(tmp_path):
    settings = load(tmp_path, "port: 4001\ninspector:\n  port: 8084\n")
    assert (settings.port, settings.inspector.port, settings.host) == (4001, 8084, "127.0.0.1")


def test_a_missing_file_means_the_defaults(tmp_path):
    assert load_server_settings(tmp_path, {}) == ServerSettings()


@pytest.mark.parametrize(
    "text", ["", "# only a comment\n", "ccproxy:\n", "ccproxy: {}\n", "inspector:\nflows:\n"]
)
def test_an_empty_file_means_the_defaults(tmp_path, text):
    assert load(tmp_path, text).model_dump() == ServerSettings().model_dump()


def test_the_root_key_is_optional(tmp_path):
    inside = "port: 1\ninspector:\n  mitmproxy:\n    flow_detail: 2\n"
    indented = "ccproxy:\n" + "".join(f"  {line}\n" for line in inside.splitlines())
    assert load(tmp_path, inside) == load(tmp_path, indented) != ServerSettings()


def test_the_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        ServerSettings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "ccproxy:\n  inspectr: {}\n",
            "ccproxy.yaml:2: unknown key ccproxy.inspectr: did you mean inspector?",
        ),
        ("inspectr: {}\n", "ccproxy.yaml:1: unknown key inspectr: did you mean inspector?"),
        (
            "flows:\n  retention:\n    max_age: 1\n",
            "ccproxy.yaml:3: unknown key flows.retention.max_age: did you mean",
        ),
        ("provider_map: {}\n", "unknown key provider_map: did you mean inspector.provider_map?"),
        ("qqqqqqqq: 1\n", "ccproxy.yaml:1: unknown key qqqqqqqq"),
        ("port: abc\n", "ccproxy.yaml:1: port: should be a whole number, not 'abc'"),
        ("port: 70000\n", "ccproxy.yaml:1: port: should be less than or equal to 65535, not 70000"),
        ("inspector: 5\n", "ccproxy.yaml:1: inspector: should be a mapping (key: value), not 5"),
        ("log_level: LOUD\n", "ccproxy.yaml:1: log_level: should be 'DEBUG', 'INFO'"),
        ("ccproxy: {}\nport: 3\n", "ccproxy.yaml:2: port stands beside the root key ccproxy"),
        ("ccproxy: 5\n", "ccproxy.yaml:1: ccproxy holds settings (key: value), not a single value"),
        ("- a\n", "ccproxy.yaml:1: expected settings (key: value), found a list"),
        ("port: 1\nport: 2\n", "ccproxy.yaml:2: port is given twice"),
        ("on: 2\n", "ccproxy.yaml:1: on is not a text key"),
        ("a: [\n b: c\n", "ccproxy.yaml:3: not valid YAML: expected"),
        ("port: 1\n\tx: 2\n", "ccproxy.yaml:2: not valid YAML: found character"),
        ("a: 1\n---\nb: 1\n", "ccproxy.yaml:2: not valid YAML"),
        (
            "a: !!python/object:os.system 1\n",
            "ccproxy.yaml:1: not valid YAML: could not determine a constructor",
        ),
        ("[" * 5000, "ccproxy.yaml: not valid YAML"),
        ("config_dir: /tmp\n", "unknown key config_dir"),
        ("prot: 4001\n", "ccproxy.yaml:1: unknown key prot: did you mean port?"),
        ("\x00", "ccproxy.yaml: not valid YAML"),
    ],
)
def test_refusals_are_one_sentence_with_the_line(tmp_path, text, message):
    assert message in refusal(tmp_path, text)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "ccproxy.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a text file in UTF-8"):
        load_server_settings(tmp_path, {})


def test_a_directory_in_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "ccproxy.yaml").mkdir()
    with pytest.raises(ConfigError, match="cannot read"):
        load_server_settings(tmp_path, {})


def test_a_refused_value_that_may_be_secret_is_not_shown(tmp_path):
    message = refusal(tmp_path, "mcp: {http: {auth: [hunter2]}}\n")
    assert "mcp.http.auth" in message
    assert "hunter2" not in message


def test_the_database_s_sections_are_checked_too(tmp_path):
    message = refusal(tmp_path, "providers:\n  a:\n    host: h\n    type: antropic\n")
    assert message.startswith("ccproxy.yaml:4: providers.a.type: should be one of anthropic")


@pytest.mark.parametrize(
    ("text", "url", "seconds"),
    [
        ("port: 1\n", None, 5),
        ("verify_readiness_on_startup: true\n", "https://1.1.1.1/", 5),
        ("verify_readiness_on_startup: false\nreadiness_probe_url: https://a/\n", None, 5),
        ("readiness_probe_url: https://a/\nreadiness_probe_timeout_seconds: 2\n", "https://a/", 2),
        ("inspector: {readiness: {url: https://b/, timeout_seconds: 3}}\n", "https://b/", 3),
        (
            "verify_readiness_on_startup: true\ninspector: {readiness: {url: https://b/}}\n",
            "https://b/",
            5,
        ),
    ],
)
def test_both_spellings_of_the_readiness_probe(tmp_path, text, url, seconds):
    readiness = load(tmp_path, text).inspector.readiness
    assert (readiness.url, readiness.timeout_seconds) == (url, seconds)


def test_two_spellings_that_differ_are_refused(tmp_path):
    text = "readiness_probe_url: https://a/\ninspector: {readiness: {url: https://b/}}\n"
    assert "say different things" in refusal(tmp_path, text)


def test_web_password_is_accepted_and_means_nothing(tmp_path):
    text = "inspector: {mitmproxy: {web_password: {command: printenv X}}}\n"
    assert load(tmp_path, text) == ServerSettings()


def test_web_host_is_the_console_s_host(tmp_path):
    assert (
        load(tmp_path, "inspector: {mitmproxy: {web_host: 127.0.0.9}}\n").console.host
        == "127.0.0.9"
    )


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"CCPROXY_CONFIG_DIR": "/a", "XDG_CONFIG_HOME": "/b"}, "/a"),
        ({"XDG_CONFIG_HOME": "/b"}, "/b/ccproxy"),
        ({}, str(Path("~/.config/ccproxy").expanduser())),
    ],
)
def test_where_the_config_directory_is(environ, expected):
    assert str(config_dir(environ)) == expected


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("/home/me/work/.ccproxy", "ccproxy-work"),
        ("/home/me/.config/ccproxy", "ccproxy"),
        ("/srv/dev", "ccproxy-dev"),
    ],
)
def test_the_journal_s_identifier_is_derived(directory, name):
    assert ServerSettings().journal_name(Path(directory)) == name


def test_paths_are_relative_to_the_config_directory():
    directory = Path("/c")
    settings = ServerSettings.model_validate(
        {"log_file": "a/b.log", "inspector": {"cert_dir": "ca"}}
    )
    assert settings.log_path(directory) == Path("/c/a/b.log")
    assert settings.cert_dir(directory) == Path("/c/ca")
    older = ServerSettings.model_validate({"inspector": {"mitmproxy": {"confdir": "older"}}})
    assert older.cert_dir(directory) == Path("/c/older")
    assert ServerSettings(log_file=None).log_path(directory) is None
    assert ServerSettings(log_file="/x.log").log_path(directory) == Path("/x.log")


@pytest.mark.parametrize(
    ("bind", "host"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("a.b", "a.b")]
)
def test_a_bind_address_as_a_url(bind: Any, host: str):
    assert url_host(bind) == host
