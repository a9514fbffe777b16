"""Server settings that are not at their defaults, in one running process."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.process import Interceptor, running, wait_until
from tests.patience import PATIENCE_S

PROXY_HOST, CONSOLE_HOST = "127.0.0.3", "127.0.0.2"
CONFIG = """\
host: {proxy_host}
allowed_hosts: [proxy.example]
allowed_origins: ["app://my-editor"]
log_file: logs/mine.log
stream_idle_timeout_seconds: 0.5
auth: {{command_timeout_seconds: 0.2}}
console:
  host: {console_host}
  hosts: [console.example]
  origins: ["https://pages.example"]
inspector:
  cert_dir: authority
  mitmproxy: {{flow_detail: 1, web_open_browser: true}}
providers:
  silent: {{type: anthropic, scheme: http, host: 127.0.0.1, port: {port}, auth: null}}
  slow:
    type: anthropic
    scheme: http
    host: 127.0.0.1
    port: {port}
    auth: {{type: command, command: sleep 600}}
"""
BROWSER = """\
#!{python}
import sys, pathlib
from tests.patience import PATIENCE_S
target = pathlib.Path(sys.argv[0]).with_name("opened")
target.with_suffix(".new").write_text("\\n".join(sys.argv[1:]))
target.with_suffix(".new").rename(target)
"""


class Elsewhere(Interceptor):
    """An interceptor at other addresses than usual."""

    @property
    def url(self) -> str:
        return f"http://{PROXY_HOST}:{self.port}"

    @property
    def console_url(self) -> str:
        return f"http://{CONSOLE_HOST}:{self.console_port}"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    folder = tmp_path_factory.mktemp("settings")
    browser = folder / "browser"
    browser.write_text(BROWSER.format(python=sys.executable))
    browser.chmod(0o700)
    # The kernel accepts connections that nobody will read: a provider that is silent.
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = CONFIG.format(
            proxy_host=PROXY_HOST, console_host=CONSOLE_HOST, port=server.getsockname()[1]
        )
        made = Elsewhere(folder, config, BROWSER=str(browser))
        with running(made):
            yield made


def call(process: Elsewhere, provider: str) -> httpx.Response:
    return httpx.post(
        f"{process.url}/v1/messages",
        json={"model": "demo", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
        headers={"x-api-key": f"sk-ccproxy-{provider}"},
        trust_env=False,
        timeout=PATIENCE_S,
    )


def status(url: str, **headers: str) -> int:
    return httpx.get(url, headers=headers, trust_env=False, timeout=PATIENCE_S).status_code


def is_refused(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) != 0


def test_host_and_port(process: Elsewhere) -> None:
    assert status(f"{process.url}/health") == 200
    assert is_refused("127.0.0.1", process.port)


def test_console_host_and_port(process: Elsewhere) -> None:
    assert status(f"{process.console_url}/admin/login/") == 200
    assert is_refused("127.0.0.1", process.console_port)


def test_allowed_hosts(process: Elsewhere) -> None:
    assert status(f"{process.url}/health", Host="proxy.example") == 200
    assert status(f"{process.url}/health", Host="other.example") == 421


def test_allowed_origins(process: Elsewhere) -> None:
    assert status(f"{process.url}/health", Origin="app://my-editor") == 200
    assert status(f"{process.url}/health", Origin="app://another") == 403


def test_console_hosts(process: Elsewhere) -> None:
    assert status(f"{process.console_url}/admin/login/", Host="console.example") == 200
    assert status(f"{process.console_url}/admin/login/", Host="other.example") == 421


def test_console_origins(process: Elsewhere) -> None:
    url = f"{process.console_url}/admin/login/"
    assert status(url, Origin="https://pages.example") == 200
    assert status(url, Origin="https://others.example") == 403


def test_cert_dir(process: Elsewhere) -> None:
    assert (process.config_dir / "authority" / "mitmproxy-ca-cert.pem").is_file()
    assert not list(process.config_dir.glob("mitmproxy-ca*"))


def test_stream_idle_timeout(process: Elsewhere) -> None:
    answer = call(process, "silent")
    assert answer.status_code == 504
    assert "Provider silent sent nothing for 0.5 s" in answer.text


def test_command_timeout(process: Elsewhere) -> None:
    answer = call(process, "slow")
    assert answer.status_code == 400
    assert "did not finish within 0.2 s" in answer.text


def test_flow_detail_and_log_file(process: Elsewhere) -> None:
    flow_id = call(process, "silent").headers["x-ccproxy-flow"]
    log = process.config_dir / "logs" / "mine.log"
    line = wait_until(
        lambda: next((line for line in log.read_text().splitlines() if flow_id in line), ""),
        "the flow is in the log",
    )
    assert f"ccproxy.flows: POST {process.url}/v1/messages → http://127.0.0.1:" in line


def test_web_open_browser(process: Elsewhere) -> None:
    opened = process.folder / "opened"
    wait_until(opened.exists, "the browser was opened")
    page = process.config_dir / "login-link.html"
    # Everybody can read a process's arguments: the link itself is not among them.
    assert opened.read_text() == page.as_uri()
    assert page.stat().st_mode & 0o777 == 0o600
    found = re.search(r'href="([^"]+)"', page.read_text())
    assert found is not None
    assert found[1].startswith(f"{process.console_url}/login/")
    # As a browser asks that follows the link of a page on the disk.
    link_headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert status(found[1], **link_headers, **{"Sec-Fetch-Dest": "document"}) == 200
