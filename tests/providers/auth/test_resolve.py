from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from providers.auth import sources
from providers.auth.base import AuthConf, CommandAuth, FileAuth, KeyAuth
from providers.auth.registry import SecretRegistry
from providers.auth.resolve import Credential, CredentialResolver
from providers.base.errors import AuthConfigError
from providers.base.keyring import Keyring
from tests.environment import ROOT
from tests.patience import PATIENCE_S

TOKEN = "tok-0123456789abcdef"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A resolver with its registry, clock and key file."""

    def __init__(self, folder: Path) -> None:
        self.secrets = SecretRegistry()
        self.clock = Clock()
        self.keyring = Keyring.open(folder / "secret.key")
        self.resolver = CredentialResolver(
            open_keyring=lambda: self.keyring, secrets=self.secrets, clock=self.clock
        )

    async def resolve(self, auth: AuthConf, provider: str = "zai") -> Credential:
        return await self.resolver.resolve(provider, auth)

    async def failure(self, auth: AuthConf, status: int = 502) -> str:
        with pytest.raises(AuthConfigError) as caught:
            await self.resolve(auth)
        assert caught.value.status_code == status
        assert "zai" in str(caught.value)
        return str(caught.value)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def counting(log: Path, output: str = TOKEN) -> CommandAuth:
    return CommandAuth(command=f"echo run >> {log}; echo {output}")


def runs(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


async def test_it_works(bench: Bench) -> None:
    credential = await bench.resolve(
        CommandAuth(command=f"echo; printf '  {TOKEN} \\n'; echo noise >&2")
    )
    assert credential == Credential("authorization", f"Bearer {TOKEN}", TOKEN, "command")
    assert TOKEN in bench.secrets.values
    assert TOKEN not in repr(credential)


async def test_another_header_carries_the_token_alone(bench: Bench) -> None:
    credential = await bench.resolve(CommandAuth(command=f"echo {TOKEN}", header="X-API-Key"))
    assert (credential.header, credential.value) == ("x-api-key", TOKEN)


async def test_a_file_is_read_and_home_expanded(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key").write_text(f"\n{TOKEN}\n")
    assert (await bench.resolve(FileAuth(file="~/key"))).token == TOKEN


async def test_a_stored_key_is_decrypted(bench: Bench) -> None:
    assert (await bench.resolve(KeyAuth(ciphertext=bench.keyring.encrypt(TOKEN)))).token == TOKEN


async def test_a_key_of_another_key_file_is_refused(bench: Bench, tmp_path: Path) -> None:
    foreign = Keyring.open(tmp_path / "other.key").encrypt(TOKEN)
    assert "paste it again" in await bench.failure(KeyAuth(ciphertext=foreign))


async def test_a_key_that_was_never_entered_says_where_to_enter_it(bench: Bench) -> None:
    message = await bench.failure(KeyAuth(ciphertext=""), status=401)
    assert "ccproxy setkey zai" in message


async def test_a_command_gets_the_users_environment_without_ours(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = str(ROOT)
    monkeypatch.setenv("DATABASE_URL", "postgres://u:p@h/d")
    monkeypatch.setenv("CCPROXY_SECRET_KEY", "ours")
    monkeypatch.setenv("PYTHONPATH", f"{packages}:/theirs")
    monkeypatch.setenv("MY_KEY", TOKEN)
    assert (await bench.resolve(CommandAuth(command="printenv MY_KEY"))).token == TOKEN
    for name in ("DATABASE_URL", "CCPROXY_SECRET_KEY"):
        assert "status 1" in await bench.failure(CommandAuth(command=f"printenv {name}"))
    shown = await bench.resolve(CommandAuth(command="printenv PYTHONPATH"))
    assert shown.token == "/theirs"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (f"echo {TOKEN}; echo {TOKEN} >&2; exit 3", "status 3"),
        ("true", "is empty"),
        ("echo; echo ' '", "is empty"),
        (f"no-such-program {TOKEN}", "status 127"),
        (f"printf '{TOKEN}\\nX-Evil: 1'", "one line"),
        (f"printf '{TOKEN}\\rx'", "one line"),
        (f"printf '{TOKEN}\\000x'", "one line"),
        (f"printf '{TOKEN}\\303\\244'", "ASCII"),
        ("head -c 20000 /dev/zero | tr '\\0' a", "more than 16384"),
        ("yes", "64 KB"),
    ],
)
async def test_a_failing_command_says_why_and_shows_nothing(
    bench: Bench, command: str, says: str
) -> None:
    message = await bench.failure(CommandAuth(command=command))
    assert says in message
    assert TOKEN not in message
    assert command not in message


@pytest.mark.parametrize(
    ("make", "says", "status"),
    [
        (lambda path: None, "No such file", 401),
        (lambda path: path.mkdir(), "Is a directory", 502),
        (lambda path: path.touch(), "is empty", 502),
        (lambda path: os.mkfifo(path), "is empty", 502),
        (lambda path: path.write_bytes(b"a" * 70_000), "64 KB", 502),
        (lambda path: path.write_text("a\nb"), "one line", 502),
    ],
)
async def test_a_bad_file_says_why(
    bench: Bench, tmp_path: Path, make: Callable[[Path], None], says: str, status: int
) -> None:
    make(tmp_path / "key")
    assert says in await bench.failure(FileAuth(file=str(tmp_path / "key")), status)


def runs_still(pid: int) -> bool:
    """False once a process has ended, reaped by its parent or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def is_in_process_table(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def until_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while runs_still(pid):
        assert time.monotonic() < deadline, "the process still runs"
        time.sleep(0.01)


async def test_a_slow_command_is_ended_with_its_children(bench: Bench, tmp_path: Path) -> None:
    bench.resolver.command_timeout_s = 0.4
    pids = tmp_path / "pids"
    message = await bench.failure(CommandAuth(command=f"sleep 60 & echo $! $$ > {pids}; wait"))
    assert "within 0.4 s" in message
    child, shell = map(int, pids.read_text().split())
    assert not is_in_process_table(shell), "ended, but left as a zombie"
    await asyncio.to_thread(until_gone, child)


async def test_concurrent_callers_share_one_run(bench: Bench, tmp_path: Path) -> None:
    auth = counting(tmp_path / "log")
    credentials = await asyncio.gather(*(bench.resolve(auth) for _ in range(20)))
    assert len(set(credentials)) == 1
    assert runs(tmp_path / "log") == 1


async def test_a_caller_who_leaves_does_not_end_the_run_for_the_others(
    bench: Bench, tmp_path: Path
) -> None:
    auth = CommandAuth(command=f"cat {tmp_path}/gate; echo {TOKEN}")
    os.mkfifo(tmp_path / "gate")
    first, second = (asyncio.create_task(bench.resolve(auth)) for _ in range(2))
    await asyncio.sleep(0.05)
    first.cancel()
    (await asyncio.to_thread(open, tmp_path / "gate", "w")).close()
    assert (await second).token == TOKEN


async def test_the_cache_is_brief_and_per_provider_and_source(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "log"
    auth = counting(log)
    await bench.resolve(auth)
    bench.clock.now += 4.9
    await bench.resolve(auth)
    assert runs(log) == 1
    bench.clock.now += 0.2
    await bench.resolve(auth)
    assert runs(log) == 2
    await bench.resolve(auth, provider="other")
    await bench.resolve(counting(log, "another-token-of-this"))
    assert runs(log) == 4


async def test_forget_reads_anew_for_that_provider_alone(bench: Bench, tmp_path: Path) -> None:
    auth = counting(tmp_path / "log")
    await bench.resolve(auth)
    await bench.resolve(auth, provider="other")
    bench.resolver.forget("zai")
    await bench.resolve(auth)
    await bench.resolve(auth, provider="other")
    assert runs(tmp_path / "log") == 3


async def test_a_failure_is_remembered_for_a_second(bench: Bench, tmp_path: Path) -> None:
    auth = CommandAuth(command=f"echo run >> {tmp_path}/log; false")
    await bench.failure(auth)
    await bench.failure(auth)
    assert runs(tmp_path / "log") == 1
    bench.clock.now += 1.1
    await bench.failure(auth)
    assert runs(tmp_path / "log") == 2


async def test_an_unforeseen_error_of_a_source_is_a_clear_answer_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> str:
        raise RuntimeError(TOKEN)

    monkeypatch.setitem(sources.SOURCES, "command", broken)
    message = await bench.failure(CommandAuth(command="x"))
    assert "RuntimeError" in message
    assert TOKEN not in message


async def test_nothing_is_reported_lost_when_every_caller_has_gone(bench: Bench) -> None:
    reports: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    task = asyncio.create_task(bench.resolve(CommandAuth(command="sleep 0.1; false")))
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.sleep(0.3)
    gc.collect()
    assert reports == []
