"""Machines with half of the tools, and machines that forbid namespaces."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jail.network.namespace_limits import SYSCTLS, forbidding, refusal
from tests.calls import CCPROXY
from tests.jail import user
from tests.patience import PATIENCE_S


def hide_clients(words: list[str]) -> list[str]:
    """Cover wireguard-go and wg: the launcher looks into /usr/sbin on its own."""
    script = (
        "for name in wireguard-go wg; do for at in /usr/bin /usr/sbin /usr/local/bin; do"
        ' [ -e "$at/$name" ] && mount --bind /dev/null "$at/$name"; done; done; exec "$@"'
    )
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *words]


@pytest.mark.skipif(os.getuid() != 0, reason="only root may hide programs")
def test_slirp_without_a_client_of_wireguard(world) -> None:
    """The fall-back has no tap0, leaves no slirp4netns behind, and the doctor says that it works."""
    words = hide_clients([*user.prefix(), *CCPROXY, "namespace", "doctor", "--json"])
    done = subprocess.run(
        words,
        cwd=world.folder,
        env=world.environ(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    report = json.loads(done.stdout)
    assert report["wireguard"] == "python" and report["tools"]["slirp4netns"]["present"]
    assert (done.returncode, report["failures"]) == (0, []), done.stderr
    look = "import socket; print([name for _, name in socket.if_nameindex()])"
    jailed = hide_clients(world.command("sh", "-c", f"ps -eo comm; python3 -c '{look}'"))
    done = subprocess.run(
        jailed,
        cwd=world.folder,
        env=world.environ(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert "wg0" in done.stdout and "tap0" not in done.stdout, done.stderr


def written(folder: Path, values: dict[str, str]) -> Path:
    for name, value in values.items():
        path = folder.joinpath(*name.split("."))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return folder


@given(values=st.dictionaries(st.sampled_from(sorted(SYSCTLS)), st.sampled_from("01")))
def test_every_setting_that_forbids_is_named_with_its_fix(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]
) -> None:
    root = written(tmp_path_factory.mktemp("sys"), values)
    wrong = {
        name for name, value in values.items() if (value == "0") is (SYSCTLS[name][0] in ("+", "1"))
    }
    found = forbidding(root)
    assert {line.split()[0] for line in found} == wrong
    text = refusal("[Errno 28] No space left on device", errno.ENOSPC, root)
    assert "No space left" not in text and "sudo sysctl " in text
    for name in wrong:
        assert SYSCTLS[name][1] in text
    assert "does not allow user namespaces" in text and "jail --doctor" in text


def test_an_unknown_cause_is_quoted(tmp_path: Path) -> None:
    text = refusal("[Errno 5] Input/output error", errno.EIO, tmp_path)
    assert text.endswith("([Errno 5] Input/output error)")


def test_where_user_namespaces_are_forbidden(world) -> None:
    limited = [*user.prefix(), "unshare", "--user", "--map-root-user", "sh", "-c"]
    script = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    for words in (["jail", "--", "true"], ["namespace", "doctor"]):
        command = [*limited, script, "sh", *CCPROXY, *words]
        done = subprocess.run(
            command,
            cwd=world.folder,
            env=world.environ(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 1 and "No space left" not in said
        assert "user.max_user_namespaces is 0: sudo sysctl user.max_user_namespaces=15000" in said
