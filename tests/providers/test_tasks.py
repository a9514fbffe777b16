from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from providers.tasks import renew_logins
from tests.conftest import ROOT
from tests.fakes.token_endpoint import TokenEndpoint
from tests.rows import make_provider


@pytest.mark.django_db(transaction=True)
def test_it_works(tmp_path: Path) -> None:
    with TokenEndpoint() as endpoint:
        access, refresh = endpoint.issue()
        file = tmp_path / "a.json"
        file.write_text(
            json.dumps({"access_token": access, "refresh_token": refresh, "expires_at": 1})
        )
        config = {"file_path": str(file), "endpoint": endpoint.url}
        make_provider("a", auth_type="anthropic_oauth", auth_config=config)
        make_provider(
            "off",
            enabled=False,
            auth_type="codex_oauth",
            auth_config={"file_path": str(tmp_path / "b")},
        )
        make_provider("none")
        assert renew_logins() == 1
        assert endpoint.is_good(json.loads(file.read_text())["access_token"])


def test_beat_runs_it_where_there_is_a_broker(tmp_path: Path) -> None:
    code = (
        "from ccproxy_site.celery import app; import django; django.setup();"
        " app.loader.import_default_modules();task = app.conf.beat_schedule['renew"
        " logins']['task']; assert task in app.tasks; print(task)"
    )
    environ = {
        **os.environ,
        "CCPROXY_CONFIG_DIR": str(tmp_path),
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert done.stdout == "providers.renew_logins\n", done.stderr
