"""`upstream_proxy` in the file and in the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from interceptor.config.files.load_settings import load_server_settings
from providers.base.errors import ConfigError

GOOD = "http://me:hidden-0123@corp.test:3128"
BAD = "socks5://me:hidden-0123@corp.test:1080"


def _load(folder: Path, text: str, **environ: str) -> str | None:
    (folder / "ccproxy.yaml").write_text(text)
    settings = load_server_settings(folder, environ)
    assert "hidden" not in repr(settings)
    return settings.upstream_proxy


def test_file_and_variable(tmp_path: Path) -> None:
    assert _load(tmp_path, f"upstream_proxy: {GOOD}\n") == GOOD
    assert _load(tmp_path, "", CCPROXY_UPSTREAM_PROXY=GOOD) == GOOD
    assert _load(tmp_path, "upstream_proxy: direct\n") == "direct"
    assert _load(tmp_path, "") is None


def test_a_value_that_is_refused_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ccproxy.yaml:1: upstream_proxy: .*not supp") as refused:
        _load(tmp_path, f"upstream_proxy: {BAD}\n")
    assert "hidden" not in str(refused.value)
    with pytest.raises(ConfigError, match=r"CCPROXY_UPSTREAM_PROXY: .*not supp") as refused:
        _load(tmp_path, "", CCPROXY_UPSTREAM_PROXY=BAD)
    assert "hidden" not in str(refused.value)
