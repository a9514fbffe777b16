"""What is decided before anything starts: options, tools, files, environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jail import state
from jail.ca_bundle import VARIABLES, write_bundle
from jail.command import main
from jail.environment import covered_folders, emptied_files, jail_environment
from jail.launcher import choose_backend, make_plan
from jail.network.rules import host_ports
from jail.options import Options, UsageError, parse
from jail.stages.listeners import loopback_listeners
from jail.tools import distribution, install_hint
from providers.base.errors import ConfigError
from tests.environment import ROOT


def test_options_end_where_the_command_begins():
    options = parse(
        [
            "--egress",
            "a.example,*.b.example",
            "--egress=c.example",
            "--allow-host-port",
            "5432",
            "ls",
            "--json",
        ]
    )
    assert options.egress == ["a.example", "*.b.example", "c.example"]
    assert (options.host_ports, options.command, options.as_json) == (
        [5432],
        ["ls", "--json"],
        False,
    )
    assert parse(["--", "--status"]).command == ["--status"]
    assert parse(["--label", "a", "git", "-h", "--", "f"]).command == ["git", "-h", "--", "f"]
    assert parse(["--", "git", "--", "f"]).command == ["git", "--", "f"]
    assert parse(["--", "--", "f"]).command == ["--", "f"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--egress"], "--egress: expected one argument"),
        (["--egress", " "], "--egress: give a host"),
        (["--allow-host-port", "x"], "give a port number"),
        (["--allow-host-port", "70000"], "give a port number"),
        (["--wireguard", "openvpn"], "invalid choice: 'openvpn'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["--json=yes"], "--json: ignored explicit argument"),
        (["--stat"], "unrecognized arguments: --stat"),
        (["--doctor", "true"], "--doctor runs no command"),
    ],
)
def test_mistakes_in_the_options(words, message, capsys):
    with pytest.raises(UsageError, match=message):
        parse(words)
    assert main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_not_linux_and_a_jail_within_a_jail_are_told(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ConfigError, match="the jail needs Linux"):
        make_plan(Options(command=["true"]))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("CCPROXY_JAIL", "abc")
    with pytest.raises(ConfigError, match=r"a jail already \(run abc\)"):
        make_plan(Options(command=["true"]))


def test_the_way_is_chosen_by_what_is_there(monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: True)
    both = {"slirp4netns": "/s", "iptables-restore": "/i"}
    assert choose_backend("auto", both) == "auto"
    assert choose_backend("auto", {"slirp4netns": "/s"}) == "python"
    assert choose_backend("python", {}) == "python"
    with pytest.raises(ConfigError, match="--wireguard kernel needs slirp4netns, iptables-restore"):
        choose_backend("kernel", {})
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match="modprobe tun; chmod 666"):
        choose_backend("auto", both)


@pytest.mark.parametrize(
    ("release", "family", "hint"),
    [
        ("ID=debian\n", "debian", "sudo apt install slirp4netns iptables"),
        ('ID=ubuntu\nID_LIKE="debian"\n', "debian", "sudo apt install slirp4netns iptables"),
        (
            'ID="rocky"\nID_LIKE="rhel centos fedora"\n',
            "fedora",
            "sudo dnf install slirp4netns iptables-nft",
        ),
        ("ID=nixos\n", "nixos", "nix-shell -p slirp4netns iptables"),
        ("ID=haiku\n", None, "install slirp4netns, iptables-restore, ip6tables-restore"),
    ],
)
def test_packages_by_distribution(tmp_path, release, family, hint):
    (tmp_path / "os-release").write_text(release)
    assert distribution(tmp_path / "os-release") == family
    assert install_hint(["slirp4netns", "iptables-restore", "ip6tables-restore"], family) == hint


def test_the_bundle_holds_ours_and_what_was_trusted_before(tmp_path):
    with pytest.raises(ConfigError, match="ccproxy start"):
        write_bundle(tmp_path, tmp_path, {})
    (tmp_path / "mitmproxy-ca-cert.pem").write_text("ours")
    (tmp_path / "company.pem").write_text("company's\n")
    bundle = write_bundle(tmp_path, tmp_path, {"SSL_CERT_FILE": str(tmp_path / "company.pem")})
    again = write_bundle(tmp_path, tmp_path, {"SSL_CERT_FILE": str(bundle)})
    assert again.read_text().startswith("ours\n")
    assert "company's" not in again.read_text()
    assert again.stat().st_mode & 0o777 == 0o644
    assert not list(tmp_path.glob(".ca-bundle*"))


def test_the_environment_has_certificates_and_no_proxies_and_no_secrets(tmp_path):
    before = {
        "HTTPS_PROXY": "http://p",
        "no_proxy": "x",
        "CCPROXY_SECRET_KEY": "s",
        "HOME": "/h",
        "PIP_CERT": "/mine",
    }
    after = jail_environment(before, tmp_path / "b.pem", "abc")
    assert after == {
        "HOME": "/h",
        "CCPROXY_JAIL": "abc",
        **dict.fromkeys(VARIABLES, str(tmp_path / "b.pem")),
    }
    assert {f"`{name}`" for name in VARIABLES} <= set(
        Path(ROOT, "docs/jail.md").read_text().replace(",", " ").replace(".", " ").split()
    )


def test_the_config_directory_is_hidden_unless_one_works_in_it(tmp_path):
    config, certificates = tmp_path / "config", tmp_path / "certificates"
    certificates.mkdir()
    (config / "run").mkdir(parents=True)
    outside = covered_folders(config, certificates, tmp_path)
    assert {str(config), str(certificates)} <= set(outside)
    inside = covered_folders(config, config, config / "project")
    assert str(config) not in inside
    assert str(config / "run") in inside


def test_folders_of_dead_launchers_are_swept_and_those_of_living_ones_not(tmp_path):
    living = state.State.create(tmp_path)
    living.write_info(command=["x"])
    command = [sys.executable, "-m", "tests.jail.killed_launcher", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    dead = Path(done.stdout.strip())
    assert dead.is_dir()
    (dead.parent / "unlocked").mkdir()
    newest = state.State.create(tmp_path)
    assert sorted(dead.parent.iterdir()) == sorted([living.folder, newest.folder])
    assert [facts["command"] for facts in state.running(tmp_path)] == [["x"]]
    living.close()
    newest.close()
    assert not list(dead.parent.iterdir())


def test_ports_are_translated_in_one_replacement():
    lines = host_ports({5432: 5432, 4000: 4100}).splitlines()
    assert lines[:2] == ["*nat", ":HOSTLO - [0:0]"]
    assert lines[2] == "-A HOSTLO -p tcp --dport 4000 -j DNAT --to-destination 10.0.2.2:4100"
    assert lines[-1] == "COMMIT"


def test_listeners_are_read_from_both_tables(tmp_path):
    head = "  sl  local_address rem_address   st\n"
    (tmp_path / "tcp").write_text(
        head + "   0: 0100007F:0BB8 00000000:0000 0A 0\n   1: 00000000:0BB9 00000000:0000 0A 0\n"
        "   2: 0202000A:0BBA 00000000:0000 0A 0\n   3: 0100007F:0BBB 00000000:0000 01 0\n"
    )
    (tmp_path / "tcp6").write_text(
        head + "   0: 00000000000000000000000001000000:0BBC 0:0 0A 0\n"
        "   1: 00000000000000000000000000000000:0BBD 0:0 0A 0\n"
        "   2: 00000000000000000000000001000000:0BB8 0:0 0A 0\n"
    )
    assert loopback_listeners(str(tmp_path)) == {
        3000: "127.0.0.1", 3001: "127.0.0.1", 3004: "::1", 3005: "127.0.0.1",
    }  # fmt: skip


SECRETS = {
    "CCPROXY_MCP__HTTP__TOKEN": "t",
    "CCPROXY_SECRET_KEY": "s",
    "DATABASE_URL": "postgresql://u:p@db/x",
    "REDIS_URL": "redis://:p@r",
    "CELERY_BROKER_URL": "redis://:p@r",
    "PGPASSWORD": "p",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer t",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "authorization=Bearer t",
}
OWN = {"PATH": "/bin", "HOME": "/h", "ANTHROPIC_API_KEY": "k", "EDITOR": "vi", "LC_ALL": "C"}


def test_the_command_gets_the_callers_variables_without_the_proxys():
    found = jail_environment(SECRETS | OWN, Path("/bundle"), "lease")
    assert {name: value for name, value in found.items() if name in OWN} == OWN
    assert not SECRETS.keys() & found.keys()


def test_listed_variables_are_the_only_ones_besides_the_basic():
    environ = SECRETS | OWN | {"AWS_REGION": "r", "AWS_PROFILE": "p"}
    allowed = parse(["--env", "AWS_*", "--env", "PGPASSWORD", "true"]).env
    found = jail_environment(environ, Path("/bundle"), "lease", allowed)
    ours = {"CCPROXY_JAIL", *VARIABLES}
    assert found.keys() - ours == {"PATH", "HOME", "LC_ALL", "AWS_REGION", "AWS_PROFILE"}


def test_a_database_elsewhere_is_an_empty_file(tmp_path):
    config, elsewhere = tmp_path / "config", tmp_path / "elsewhere"
    for folder in (config, elsewhere):
        folder.mkdir()
        for name in ("a b.sqlite3", "a b.sqlite3-wal", "key"):
            (folder / name).touch()
    covered = [str(config)]
    environ = {
        "DATABASE_URL": f"sqlite:///{elsewhere}/a%20b.sqlite3",
        "CCPROXY_SECRET_KEY_FILE": str(elsewhere / "key"),
    }
    assert emptied_files(environ, covered) == [
        str(elsewhere / name) for name in ("key", "a b.sqlite3", "a b.sqlite3-wal")
    ]
    environ = {name: value.replace("elsewhere", "config") for name, value in environ.items()}
    assert emptied_files(environ, covered) == []
    assert emptied_files({"DATABASE_URL": "postgresql://u@h/db"}, covered) == []
