"""One scripted upstream and one running interceptor for the tests that leave its configuration
alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.process import Interceptor, running
from tests.e2e.real_clients import installed
from tests.fakes.upstream import Upstream

REAL_KEY = "real-key-0f9e8d7c6b5a4938271605f4e3d2c1b0"


EVERY_FORMAT = "[openai_chat, openai_responses, google_generate]"


def provider_yaml(
    name: str, upstream: Upstream, auth: str, native_formats: str = EVERY_FORMAT
) -> str:
    """A provider on the scripted upstream."""
    lines = [
        f"  {name}:",
        "    type: anthropic",
        "    scheme: http",
        "    host: 127.0.0.1",
        f"    port: {upstream.port}",
        "    path: /v1/messages",
        f"    native_formats: {native_formats}",
        f"    auth: {auth}",
    ]
    return "\n".join(lines) + "\n"


def config_for(upstream: Upstream, folder: Path) -> str:
    """Providers with every kind of source that a file can name, and two that fail."""
    key_file = folder / "key"
    key_file.write_text(f"{REAL_KEY}\n")
    return "providers:\n" + "".join(
        [
            provider_yaml("up", upstream, f"{{type: file, file: {key_file}}}"),
            provider_yaml(
                "cmd", upstream, f"{{type: command, command: 'echo {REAL_KEY}', header: x-api-key}}"
            ),
            provider_yaml("plain", upstream, f"{{file: {key_file}}}", "[]"),
            provider_yaml(
                "failing", upstream, "{type: command, command: 'echo oops-7f3a9c2e; exit 9'}"
            ),
            provider_yaml("missing", upstream, f"{{type: file, file: {folder}/nowhere}}"),
        ]
    )


@pytest.fixture(scope="package")
def upstream() -> Iterator[Upstream]:
    """A scripted upstream that refuses any credential but the real one."""
    with Upstream(key=REAL_KEY) as server:
        yield server


@pytest.fixture(scope="package")
def interceptor(
    upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Interceptor]:
    """The interceptor in front of `upstream`.

    It ends with the last test of this folder: an idle one keeps looking, to the end of a run.
    """
    folder = tmp_path_factory.mktemp("interceptor")
    with running(Interceptor(folder, config_for(upstream, folder))) as process:
        yield process


@pytest.fixture(scope="package")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the vendors' programs."""
    return installed(tmp_path_factory.mktemp("npm"))


@pytest.fixture(autouse=True)
def _fresh_scripts(request: pytest.FixtureRequest) -> None:
    """A test starts with the scripted answers and no requests seen."""
    if "upstream" in request.fixturenames:
        server = request.getfixturevalue("upstream")
        server.scripts.clear()
        server.requests.clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder starts processes."""
    here = str(Path(__file__).parent) + os.sep
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.e2e)
