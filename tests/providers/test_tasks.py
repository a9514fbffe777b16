from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ccproxy_site.celery import app
from providers.tasks import renew_logins
from tests.calls import call_elsewhere
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


def scheduled_task() -> str:
    """Return the name of a task that is both scheduled and registered."""
    app.loader.import_default_modules()
    name: str = app.conf.beat_schedule["renew logins"]["task"]
    assert name in app.tasks
    return name


def test_beat_runs_it_where_there_is_a_broker(tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "CCPROXY_CONFIG_DIR": str(tmp_path),
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    assert call_elsewhere(scheduled_task, environ) == "providers.renew_logins"
