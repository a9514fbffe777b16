"""The wheel, installed outside of the checkout: start, demo, console and commands work from there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.console import Console
from tests.e2e.process import ROOT, Interceptor
from tests.patience import PATIENCE_S

PACKAGES = ("ccproxy_site", "interceptor", "providers", "shapes", "flows", "jail")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of what git would give out."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "manage.py"):
        shutil.copy(ROOT / name, source)
    for name in (*PACKAGES, "templates"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel; the packages it depends on are the ones of this run."""
    folder = tmp_path_factory.mktemp("installed")
    _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(folder))
    _run(*pip, "install", "-q", "--no-deps", "--no-index", str(wheel))
    (packages,) = folder.glob("lib/python*/site-packages")
    # A line of a .pth file adds a folder, but reads no .pth file in it: the checkout, which this
    # run's environment knows by one, stays unknown.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


@pytest.fixture(scope="module")
def interceptor(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interceptor]:
    folder = tmp_path_factory.mktemp("user")
    interceptor = Interceptor(folder)
    interceptor.program = (str(installed / "bin" / "ccproxy"),)
    interceptor.start_word = "start"
    interceptor.cwd = folder
    interceptor.makes_tables = True
    try:
        yield interceptor.start()
        interceptor.stop()
    finally:
        interceptor.kill()


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_file_of_the_packages_is_inside(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", *PACKAGES, "templates"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    wanted = {re.sub("^templates/", "ccproxy_site/templates/", name) for name in tracked if name}
    assert len(wanted) > 900
    assert wanted - inside == set()
    assert not [name for name in inside if name.startswith(("tests/", "templates/"))]


def test_it_runs_from_there(interceptor: Interceptor, installed: Path) -> None:
    code = "import flows, jail.run, ccproxy_site; print(flows.__file__, jail.__file__)"
    places = _run(str(installed / "bin" / "python"), "-c", code, cwd=interceptor.cwd).split()
    assert all(Path(place).is_relative_to(installed) for place in places)
    (migrations,) = interceptor.rows(
        "select count(*) as n from django_migrations where app='flows'"
    )
    assert migrations["n"] >= len(list((ROOT / "flows/migrations").glob("0*.py")))


def test_the_demo_works(interceptor: Interceptor) -> None:
    done = interceptor.manage("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") >= 7
    assert len(interceptor.wait_for_flows(7, "provider='demo'")) >= 7


def test_the_console_serves_its_pages_and_files(interceptor: Interceptor) -> None:
    # The link of the command opens a form, which a prefetch does not send.
    made = interceptor.manage("login")
    link = re.search(r"http://\S+", made.stdout)
    assert link, made.stdout + made.stderr
    assert httpx.get(link[0], trust_env=False, timeout=PATIENCE_S).status_code == 200
    with Console(interceptor) as console:
        files: set[str] = set()
        for path in ("/flows/", "/admin/", "/admin/providers/provider/", "/shapes/", "/models/"):
            page = console.pages.get(path)
            assert page.status_code == 200, path
            files |= set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text))
        assert any("/flows/" in file for file in files)
        for file in files:
            assert console.pages.get(file).status_code == 200, file
