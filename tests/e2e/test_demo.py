"""`demo` shows the product without any key."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.e2e.process import ROOT, Interceptor, running, wait_until
from tests.e2e.test_sdks import HELLO, openai_client
from tests.patience import PATIENCE_S


def test_it_works(interceptor: Interceptor) -> None:
    done = interceptor.command("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 7 + 14
    every = interceptor.wait_for_flows(7 + 13, "provider='demo'")
    flows, turns, cut = every[:7], every[7:19], every[19]
    assert [flow["status_code"] for flow in flows] == [200] * 6 + [529]
    assert len({turn["session_id"] for turn in turns} | {cut["session_id"]}) == 1
    assert f"/flows/session/{cut['session_id']}/" in done.stdout
    assert all(turn["cost_usd"] for turn in turns)
    assert [turn["cache_read_tokens"] for turn in turns].count(0) == 2
    assert (cut["status_code"], cut["state"]) == (200, "error")
    [lossy] = interceptor.wait_for_flows(1, "provider='demo-openai'")
    assert lossy["is_lossy"]
    assert all(flow["credential_injected"] for flow in flows)
    assert sum(flow["is_stream"] for flow in flows) == 3
    assert interceptor.console_url in done.stdout
    assert flows[0]["id"] in done.stdout
    assert interceptor.rows("select enabled from providers_provider where name='demo'") == [
        {"enabled": 0}
    ]


def test_a_perplexity_account_is_asked(interceptor: Interceptor) -> None:
    done = interceptor.command("demo", "--perplexity")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 5
    flows = interceptor.wait_for_flows(5, "provider='demo-perplexity'")
    assert [flow["status_code"] for flow in flows] == [200] * 4 + [400]
    assert all(flow["input_tokens"] is None and flow["output_tokens"] is None for flow in flows)


def test_a_provider_goes_down(interceptor: Interceptor) -> None:
    told: list[dict[str, Any]] = []

    def is_told() -> bool:
        told[:] = _cooldowns(interceptor)
        return bool(told) or demo.done()

    with ThreadPoolExecutor(1) as pool:
        demo = pool.submit(interceptor.command, "demo", "--down")
        wait_until(is_told, "the heartbeat tells a cooldown")
        done = demo.result(PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 5
    assert "1: demo/demo 529; 2: demo-backup/demo 503" in done.stdout
    assert ("demo", "demo", "529") in [
        (row["provider"], row["model"], row["cause"]) for row in told
    ]
    ids = re.findall(r"/flows/([0-9a-f-]{36})/", done.stdout)
    names = ", ".join(f"'{flow_id}'" for flow_id in ids)
    flows = interceptor.wait_for_flows(5, f"id in ({names})")
    providers = {flow["id"]: flow["provider"] for flow in flows}
    assert [providers[flow_id] for flow_id in ids] == [
        "demo", "demo-backup", "demo-backup", "demo", "demo-backup"
    ]  # fmt: skip


def _cooldowns(interceptor: Interceptor) -> list[dict[str, Any]]:
    """The first cooldowns that a heartbeat tells."""
    rows = interceptor.rows("select cooldowns from interceptor_interceptorstatus")
    return [each for row in rows for each in json.loads(row["cooldowns"])]


def test_it_can_be_repeated_and_counted(interceptor: Interceptor) -> None:
    done = interceptor.command("demo", "--count", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 1


def test_kept_it_serves_until_it_is_interrupted(interceptor: Interceptor) -> None:
    command = [sys.executable, "manage.py", "demo", "--keep", "--count", "1"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=interceptor.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            printed = ""
            while "until Ctrl-C" not in printed:
                line = process.stdout.readline()
                assert line, printed
                printed += line
            chat = openai_client(interceptor, "sk-ccproxy-demo").chat.completions
            assert chat.create(model="demo", messages=HELLO).choices[0].message.content
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
    assert interceptor.rows("select enabled from providers_provider where name='demo'") == [
        {"enabled": 0}
    ]


def test_without_an_interceptor_it_says_how_to_start_one(tmp_path: Path) -> None:
    done = Interceptor(tmp_path).manage("demo")
    assert done.returncode == 1
    assert "ccproxy start" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_provider_of_the_users_own_is_left_alone(tmp_path: Path) -> None:
    config = "providers:\n  demo: {type: anthropic, host: api.example.com, path: /v1/messages}\n"
    with running(Interceptor(tmp_path, config, "--no-console")) as process:
        done = process.manage("demo")
        assert done.returncode == 1
        assert "api.example.com" in done.stderr
        assert process.rows("select host from providers_provider where name='demo'") == [
            {"host": "api.example.com"}
        ]
