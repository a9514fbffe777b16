"""Uploads by a real Celery worker on a real Redis: done, killed, and without a broker."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from providers.base.errors import RefuseRequest
from tests.calls import call_elsewhere
from tests.e2e.process import wait_until
from tests.environment import ROOT
from tests.fakes.perplexity import TOKEN, PerplexityUpstream
from tests.fakes.redis import redis
from tests.fakes.upstream import Script, Seen
from tests.patience import PATIENCE_S
from tests.ports import free_port
from tests.warm.starter import WarmProcess, start_script

URIS = [f"data:image/png;base64,{base64.b64encode(bytes([n]) * 9).decode()}" for n in range(3)]


def upload(port: int, silence_s: float) -> tuple[list[str], str]:
    """(addresses, refusal) of an upload, as a proxy with Celery's workers makes it."""
    from interceptor.hooks.perplexity_accounts import PerplexityAccounts
    from interceptor.library import upload_workers
    from interceptor.pipeline.provider_clients import ProviderClients
    from providers.auth.resolve import Credential
    from providers.wire.perplexity.ask_conf import SESSION_COOKIE, UploadConf
    from tests.interceptor.perplexity.conftest import account

    credential = Credential("cookie", f"{SESSION_COOKIE}={TOKEN}", TOKEN, "key")
    # A worker on a busy machine needs longer to say that it is there.
    setattr(upload_workers, "WORKER_TIMEOUT_S", PATIENCE_S)  # noqa: B010  # it is final

    async def run() -> list[str]:
        workers = upload_workers.CeleryUploads()
        accounts = PerplexityAccounts(ProviderClients(), workers=workers, silence_s=silence_s)
        site = accounts.site(account(port), credential)
        return await accounts.upload("flow", site, URIS, UploadConf())

    try:
        return asyncio.run(run()), ""
    except RefuseRequest as exc:
        return [], str(exc)


def environ_of(folder: Path, url: str) -> dict[str, str]:
    return {
        **os.environ,
        "CCPROXY_CONFIG_DIR": str(folder / "config"),
        "REDIS_URL": url,
        "DJANGO_SETTINGS_MODULE": "ccproxy_site.settings",
    }


def start_worker(environ: dict[str, str], log: Path) -> subprocess.Popen[bytes] | WarmProcess:
    command = ["-m", "celery", "-A", "ccproxy_site.celery", "worker", "--pool", "solo"]
    with log.open("wb") as output, Path(os.devnull).open("rb") as nothing:
        return start_script(
            [sys.executable, *command, "--loglevel", "INFO"],
            cwd=ROOT,
            env=environ,
            files=(nothing.fileno(), output.fileno(), output.fileno()),
        )


def test_a_worker_uploads_and_a_killed_one_ends_in_an_error(
    tmp_path: Path, site: PerplexityUpstream
) -> None:
    log, stored = tmp_path / "worker.log", threading.Event()
    with redis(free_port()) as url:
        environ = environ_of(tmp_path, url)
        worker = start_worker(environ, log)
        try:
            wait_until(lambda: "ready." in log.read_text(), "the worker is ready")
            urls, refusal = call_elsewhere(upload, environ, site.port, PATIENCE_S)
            assert refusal == "", log.read_text()
            assert len(urls) == len(set(urls)) == 3
            wait_until(lambda: "succeeded in" in log.read_text(), "the worker did it")
            assert TOKEN not in log.read_text()

            usual = site.scripted_answer

            def slow(seen: Seen) -> Script:
                if seen.path.startswith("/bucket/"):
                    stored.set()
                    return Script(pieces=(b"x", b"y"), pause_s=60.0, framing="chunked")
                return usual(seen)

            site.scripted_answer = slow  # type: ignore[method-assign]

            def kill() -> None:
                stored.wait(PATIENCE_S)
                worker.send_signal(signal.SIGKILL)

            killer = threading.Thread(target=kill)
            killer.start()
            urls, refusal = call_elsewhere(upload, environ, site.port, 3.0)
            killer.join()
            site.scripted_answer = usual  # type: ignore[method-assign]
            assert urls == [] and "was silent for 3 s" in refusal
        finally:
            worker.kill()
            worker.wait(PATIENCE_S)


def test_without_a_broker_the_proxy_uploads(tmp_path: Path, site: PerplexityUpstream) -> None:
    environ = environ_of(tmp_path, f"redis://127.0.0.1:{free_port()}/0")
    urls, refusal = call_elsewhere(upload, environ, site.port, PATIENCE_S)
    assert refusal == "" and len(urls) == 3


async def test_a_task_that_ends_while_it_is_looked_up_is_one_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import celery

    from interceptor.library.upload_workers import CeleryUploads
    from providers.tasks import UPLOADING

    app = celery.Celery(backend="cache+memory://", set_as_current=False)
    monkeypatch.setattr(celery, "current_app", app)
    app.backend.store_result("task", {"done": 1, "total": 3, "beat": 1}, UPLOADING)
    # Each thread has a backend of its own; they share what is stored.
    kind = type(app.backend)
    look = kind.get_task_meta

    def look_and_end(backend: Any, task: str, **options: Any) -> Any:
        found = look(backend, task, **options)
        backend.store_result("task", {"failed": "Too large.", "status": 413}, "SUCCESS")
        return found

    monkeypatch.setattr(kind, "get_task_meta", look_and_end)
    workers = CeleryUploads()
    assert await workers.state("task") == {"done": 1, "total": 3, "beat": 1}
    assert await workers.state("task") == {"failed": "Too large.", "status": 413}


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ([{"failed": "The file is bad.", "status": 400}], "The file is bad."),
        ([{"done": 1, "total": 3, "beat": 1}, {}, {}], "was silent"),
    ],
)
async def test_what_a_worker_says_is_the_client_s(states: list[dict[str, Any]], words: str) -> None:
    from interceptor.hooks.perplexity_accounts import PerplexityAccounts
    from interceptor.pipeline.provider_clients import ProviderClients
    from providers.auth.resolve import Credential
    from providers.wire.perplexity.ask_conf import UploadConf
    from tests.interceptor.perplexity.conftest import account

    class Workers:
        async def start(self, job: dict[str, Any]) -> str:
            return "task"

        async def state(self, task: str) -> dict[str, Any]:
            return states.pop(0) if states else {}

    accounts = PerplexityAccounts(ProviderClients(), workers=Workers(), silence_s=0.5)
    site = accounts.site(account(1), Credential("cookie", "c=t", "t", "key"))
    with pytest.raises(RefuseRequest, match=words):
        await accounts.upload("flow", site, URIS, UploadConf())
