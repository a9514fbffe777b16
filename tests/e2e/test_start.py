"""What cannot work is said in one line, at once."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.process import PROGRAM, ROOT, Interceptor, running
from tests.environment import need
from tests.patience import PATIENCE_S
from tests.warm.starter import run_script


def refused(process: Interceptor, *, bound_by_permissions: bool = False) -> str:
    """The one line with which it refuses to start."""
    command = [*PROGRAM, "runinterceptor", *process.arguments]
    if bound_by_permissions and os.geteuid() == 0:
        need("setpriv", shutil.which("setpriv") is not None)
        rights = "-dac_override,-dac_read_search"
        command = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", *command]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=process.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
    else:
        done = run_script(command, process.environ, ROOT, timeout_s=PATIENCE_S)
    output = (done.stdout + done.stderr).strip()
    assert done.returncode == 1, output
    assert "Traceback" not in output
    assert len(output.splitlines()) == 1, output
    return output


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_a_port_that_is_taken(tmp_path: Path, taken_port: int) -> None:
    """The last one that is looked at; test_start_checks.py has them all."""
    output = refused(Interceptor(tmp_path, "", CCPROXY_INSPECTOR__PORT=str(taken_port)))
    assert f"port {taken_port} for the console is taken" in output
    # The owner is this very test.
    assert f"(pid {os.getpid()})" in output


def test_an_unknown_kind_of_patches_to_leave_out(tmp_path: Path) -> None:
    output = refused(Interceptor(tmp_path, "", CCPROXY_STOCK="safety"))
    assert output.endswith("CCPROXY_STOCK=safety: the only value is speed")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("port: [", "ccproxy.yaml"),
        ("providers:\n  a: {type: nonsense, host: x.example}\n", "type"),
        ("inspector: {transforms: [{match_path: '(', dest_host: x.example}]}\n", "match_path"),
    ],
)
def test_bad_yaml(tmp_path: Path, config: str, says: str) -> None:
    """One refusal of each step of reading; test_load_settings.py has the others of the first."""
    assert says in refused(Interceptor(tmp_path, config))


def test_an_unreadable_key_file(tmp_path: Path) -> None:
    """test_keyring.py has what else makes it useless."""
    process = Interceptor(tmp_path)
    path = process.config_dir / "secret.key"
    path.write_text("dGhpcyBpcyBhIHRlc3Qga2V5IG9mIDMyIGJ5dGVzISE=\n")
    path.chmod(0o000)
    assert "secret.key" in refused(process, bound_by_permissions=True)


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    process = Interceptor(tmp_path)
    process.config_dir.chmod(0o500)
    assert str(process.config_dir) in refused(process, bound_by_permissions=True)


def test_a_config_directory_that_is_a_file(tmp_path: Path) -> None:
    process = Interceptor(tmp_path)
    process.config_dir.rmdir()
    process.config_dir.write_text("")
    assert str(process.config_dir) in refused(process)


def test_an_open_address_needs_a_client_token(tmp_path: Path) -> None:
    assert "token" in refused(Interceptor(tmp_path, "", CCPROXY_HOST="0.0.0.0"))


def test_it_binds_loopback_and_serves_the_console(interceptor: Interceptor) -> None:
    bound = listening_addresses({interceptor.port, interceptor.console_port})
    assert bound == {("127.0.0.1", interceptor.port), ("127.0.0.1", interceptor.console_port)}
    reply = httpx.get(f"{interceptor.console_url}/flows/", trust_env=False)
    assert reply.status_code == 302
    assert "login" in reply.headers["location"]


def test_without_console(tmp_path: Path) -> None:
    process = Interceptor(tmp_path, "", "--no-console")
    # The start of a new installation, from the interpreter on.
    process.makes_tables = process.starts_cold = True
    with running(process):
        assert process.health()["status"] == "ok"
        assert listening_addresses({process.console_port}) == set()


def listening_addresses(ports: set[int]) -> set[tuple[str, int]]:
    """Who listens on these ports, IPv4 and IPv6."""
    found: set[tuple[str, int]] = set()
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            address, port = local.split(":")
            if state == "0A" and int(port, 16) in ports:
                words = [bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8)]
                found.add((socket.inet_ntop(family, b"".join(words)), int(port, 16)))
    return found


def test_a_readiness_url_that_does_not_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        # The kernel accepts the connection, and nobody answers on it.
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        config = f"inspector: {{readiness: {{url: '{url}', timeout_seconds: 0.2}}}}\n"
        output = refused(Interceptor(tmp_path, config))
    assert f"the readiness probe of {url} failed: ReadTimeout" in output
