"""Plain rows cross to a process without Django, which builds what this one would have loaded."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from interceptor.access.client_token import create_client_token
from interceptor.config.snapshot.build import ConfigRows, build_snapshot
from interceptor.config.snapshot.load import load_snapshot, read_rows
from interceptor.models import HookSetting
from providers.base.errors import ConfigError, RuleError
from providers.fields import Ciphertext
from tests.interceptor.config.snapshot.contents import contents
from tests.rows import make_provider, make_rule

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[4]
GOOGLE = {"client_id": "id-1", "file_path": "~/creds.json"}


def fill() -> None:
    """One row of every kind, with every kind of credential."""
    make_provider("keyed", auth_type="key", secret="s3cret-value", headers={"x-a": "1"})
    make_provider("asked", auth_type="command", auth_config={"command": "echo key"}, port=8443)
    make_provider("filed", auth_type="file", auth_config={"file": "~/key"}, model_names=["m"])
    make_provider("login", auth_type="google_oauth", auth_config=GOOGLE, secret="client-s3cret")
    own = make_provider("own", type="openai", native_formats=["openai_responses"])
    make_provider("off", enabled=False)
    make_rule(action="redirect", dest_provider=own, match_model="^Claude", match_path="/v1/.*")
    make_rule(name="", match_host="a|b", dest_model="gpt-5")
    HookSetting.objects.create(stage="inbound", name="inject_auth", position=1)
    HookSetting.objects.create(stage="outbound", name="gone.hook", enabled=False)
    create_client_token("laptop", providers=["own", "keyed"])


def built_elsewhere(rows: ConfigRows) -> dict[str, Any]:
    """Return what a process without Django builds of the pickled rows."""
    process = subprocess.run(
        [sys.executable, "-m", "tests.interceptor.config.snapshot.built_elsewhere"],
        input=pickle.dumps(rows),
        capture_output=True,
        check=True,
        cwd=ROOT,
    )
    found: dict[str, Any] = json.loads(process.stdout)
    return found


def test_pickled_rows_are_equal() -> None:
    fill()
    rows = read_rows()
    assert pickle.loads(pickle.dumps(rows)) == rows
    assert len(rows.providers) >= 5 and len(rows.rules) == 2 and rows.client_tokens


def test_pickled_rows_hold_ciphertext_alone_and_name_no_class_of_the_database() -> None:
    fill()
    pickled = pickle.dumps(read_rows())
    assert b"s3cret" not in pickled
    assert b"django" not in pickled and Ciphertext.__name__.encode() not in pickled


def test_another_process_builds_what_this_one_loads() -> None:
    fill()
    loaded = load_snapshot()
    assert loaded.providers["keyed"].auth is not None and loaded.rules[0].match_model is not None
    assert built_elsewhere(read_rows()) == {"built": contents(loaded), "django": False}


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda: make_rule(name="bad", match_path="a(b"), "rule ‹bad›, match_path"),
        (lambda: HookSetting.objects.create(stage="inbound", name="gone.hook"), "gone"),
    ],
)
def test_another_process_refuses_with_the_same_sentence(change: Any, refusal: str) -> None:
    change()
    with pytest.raises(ConfigError) as refused:
        load_snapshot()
    assert refusal in str(refused.value)
    there = built_elsewhere(read_rows())
    assert there["built"] == f"{type(refused.value).__name__}: {refused.value}"


def test_a_wrong_expression_is_an_error_of_its_rule() -> None:
    make_rule(name="bad", match_host="(")
    with pytest.raises(RuleError):
        build_snapshot(read_rows())


def test_a_wrong_login_is_refused_before_the_rows_leave() -> None:
    make_provider("login", auth_type="google_oauth", auth_config={"nonsense": "1"})
    with pytest.raises(ConfigError, match="login"):
        read_rows()
