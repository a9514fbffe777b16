"""Workers import the test modules that they run, and no others; nothing that a run says is lost by it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import ROOT
from tests.patience import PATIENCE_S

MODULE = """
import os, pathlib
import pytest
with open("imports", "a") as file:
    file.write(__name__ + "\\n")

@pytest.fixture(scope="module", autouse=True)
def ended():
    yield
    pathlib.Path(__name__ + ".ended").touch()

@pytest.mark.parametrize("number", range(3))
def test_{name}(number):
    assert number < {limit}
"""
# A worker has the file that runs and the next one, so each has some.
NAMES = ("a", "b", "c", "d", "e", "f")


def run(folder: Path, *arguments: str) -> str:
    """Return what pytest prints of the modules in the folder, with two workers."""
    (folder / "pytest.ini").touch()
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    plugins = ("xdist", "pytest_timeout", "tests.late_collection", "tests.report_batches")
    named = [word for name in (*plugins, "no:cacheprovider") for word in ("-p", name)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *named, "-n", "2", "--dist", "loadfile", *arguments],
        cwd=folder,
        # Importing the other plugins takes longer than the run.
        env=kept | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A suite of six modules, of which one fails once, and of one that cannot be imported."""
    for name in NAMES:
        text = MODULE.replace("{name}", name).replace("{limit}", "2" if name == "c" else "3")
        (tmp_path / f"test_{name}.py").write_text(text)
    (tmp_path / "test_broken.py").write_text("import no_such_module\n")
    return tmp_path


SHARING = """
import os, time
{wait}
def test_it():
    with open("workers", "a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + " ")
"""
# The others are not through before the last file of the folder has begun.
WAIT = f"""
deadline = time.monotonic() + {PATIENCE_S}
while not (os.path.exists("workers") and open("workers").read().count(" ") >= 3):
    assert time.monotonic() < deadline
    time.sleep(0.01)
"""


def add_sharing(folder: Path) -> None:
    """Add three modules that share a browser, and three that wait for those."""
    shared = folder / "browser"
    shared.mkdir()
    for name in "pqr":
        (shared / f"test_{name}.py").write_text(SHARING.format(wait=""))
    for name in "xyz":
        (folder / f"test_{name}.py").write_text(SHARING.format(wait=WAIT))


def imports(folder: Path) -> list[str]:
    return sorted((folder / "imports").read_text().split())


def test_each_module_is_imported_by_the_worker_that_runs_it(folder: Path) -> None:
    """And one worker runs the files that share a browser: one run answers both."""
    add_sharing(folder)
    said = run(folder, "--no-loadscope-reorder")
    workers = (folder / "workers").read_text().split()
    assert len(set(workers[:3])) == 1 and set(workers[3:]) != set(workers[:3])
    assert imports(folder) == [f"test_{name}" for name in NAMES]
    assert "1 failed, 23 passed, 1 error" in said
    assert "FAILED test_c.py::test_c[2]" in said
    assert "ERROR test_broken.py" in said
    assert "[100%]" in said
    assert {path.stem for path in folder.glob("*.ended")} == {f"test_{name}" for name in NAMES}


def test_a_choice_of_tests_looks_at_all_of_them_first(folder: Path) -> None:
    (folder / "test_broken.py").unlink()
    said = run(folder, "-k", "test_c")
    assert imports(folder) == sorted([f"test_{name}" for name in NAMES] * 2)
    assert "1 failed, 2 passed" in said


def test_a_worker_that_has_nothing_else_helps(tmp_path: Path) -> None:
    shared = tmp_path / "browser"
    shared.mkdir()
    for name in "ab":
        # Each waits for the other, so both have to run at once.
        (shared / f"test_{name}.py").write_text(f"""
import os, pathlib, time
def test_it():
    pathlib.Path("{name}").touch()
    deadline = time.monotonic() + {PATIENCE_S}
    while not (os.path.exists("a") and os.path.exists("b")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
""")
    assert "2 passed" in run(tmp_path)
