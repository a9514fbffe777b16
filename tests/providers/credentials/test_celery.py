"""The renewal of logins as a Celery task: a real broker, a real worker with its beat, a token
endpoint that counts.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from ccproxy_site.celery import app
from tests.calls import call_elsewhere
from tests.e2e.process import wait_until
from tests.environment import ROOT
from tests.fakes.redis import redis
from tests.fakes.token_endpoint import TokenEndpoint
from tests.new_database import put_tables
from tests.patience import PATIENCE_S
from tests.ports import free_port
from tests.rows import make_provider
from tests.warm.starter import start_script


def prepare(config: dict[str, str]) -> None:
    make_provider("claude", host="x.test", auth_type="anthropic_oauth", auth_config=config)


def order_twice() -> None:
    app.send_task("providers.renew_logins")
    app.send_task("providers.renew_logins")


def test_a_worker_renews_an_expired_login_once(tmp_path: Path) -> None:
    directory = tmp_path / "config"
    directory.mkdir(mode=0o700)
    put_tables(directory)
    with redis(free_port()) as url, TokenEndpoint() as endpoint:
        access, refresh = endpoint.issue()
        file = tmp_path / "login.json"
        file.write_text(
            json.dumps({"access_token": access, "refresh_token": refresh, "expires_at": 1})
        )
        environ = {
            **os.environ,
            "CCPROXY_CONFIG_DIR": str(directory),
            "REDIS_URL": url,
            "DJANGO_SETTINGS_MODULE": "ccproxy_site.settings",
        }
        call_elsewhere(prepare, environ, {"file_path": str(file), "endpoint": endpoint.url})
        command = [
            "-m",
            "celery",
            "-A",
            "ccproxy_site.celery",
            "worker",
            "--concurrency",
            "2",
            "--pool",
            "prefork",
        ]
        log = tmp_path / "worker.log"
        with log.open("wb") as output, Path(os.devnull).open("rb") as nothing:
            worker = start_script(
                [sys.executable, *command, "--loglevel", "INFO"],
                cwd=ROOT,
                env=environ,
                files=(nothing.fileno(), output.fileno(), output.fileno()),
            )
            try:
                call_elsewhere(order_twice, environ)
                text = "succeeded in"
                wait_until(
                    lambda: log.read_text().count(text) >= 2 or worker.poll() is not None,
                    "both tasks ran",
                )
            finally:
                worker.terminate()
                worker.wait(PATIENCE_S)
        said = log.read_text()
        assert said.count(text) == 2, said
        assert len(endpoint.requests) == 1, "two workers, one renewal"
        assert endpoint.is_good(json.loads(file.read_text())["access_token"])
        assert access not in said and refresh not in said and file.read_text()[17:40] not in said
