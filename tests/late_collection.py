"""Workers of `--dist loadfile` import a test module when its turn comes.

xdist lets each worker collect the whole suite, which takes half a minute of CPU time. Here a worker
first collects one stand-in a file, and the file's tests when it runs the stand-in. Runs that choose
tests by name, mark or an earlier result collect everything first, as usual.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

CHOICES = ("keyword", "markexpr", "deselect", "lf", "failedfirst", "newfirst", "stepwise")
"""Options that look at all tests before the first one runs."""
SHARING_FOLDERS = ("browser",)
"""Folders whose files share what takes a worker long to start: a browser, a proxy and its console."""
LATE = "collects_late"
"""Word of the controller to its workers."""


def collects_late(config: pytest.Config) -> bool:
    """Return True if the controller gives whole files to its workers."""
    has_choices = any(getattr(config.option, name, None) for name in CHOICES)
    has_names = any("::" in argument for argument in config.args)
    return config.getoption("dist", "no") == "loadfile" and not has_choices and not has_names


def pytest_configure(config: pytest.Config) -> None:
    if getattr(config, "workerinput", {}).get(LATE):
        config.pluginmanager.register(LateCollection())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput[LATE] = collects_late(node.config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return FileByFile(config, log) if collects_late(config) else None


class FileByFile(LoadFileScheduling):
    """A scheduler whose workers have two files each: the one that runs and the next one.

    The first worker that gets a file of a sharing folder gets the folder's other files, too. When
    no other files are left, any worker takes them: to start anew is better than to wait.

    It is also a plugin of the controller: the terminal shows the share of files that are complete.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._owners: dict[str, Any] = {}
        config.pluginmanager.register(self)

    def _assign_work_unit(self, node: Any) -> None:
        free = (scope for scope in self.workqueue if self._owner_of(scope) in (None, node))
        chosen = next(free, next(iter(self.workqueue)))
        if folder := sharing_folder(chosen):
            self._owners.setdefault(folder, node)
        self.workqueue.move_to_end(chosen, last=False)
        super()._assign_work_unit(node)

    def _owner_of(self, scope: str) -> Any:
        """Return the worker that alone runs the files of this one's folder, if there is one."""
        return self._owners.get(sharing_folder(scope))

    def _reschedule(self, node: Any) -> None:
        if self._pending_of(self.assigned_work[node]) < 2:
            super()._reschedule(node)

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        super().mark_test_complete(node, item_index, duration)
        self._estimate_tests()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self) -> None:
        self._estimate_tests()

    def _estimate_tests(self) -> None:
        """Set the number of tests so that the share of reported ones is that of complete files.

        Example: 300 tests of 20 files are reported, and 100 files were collected → 1,500 tests.
        """
        terminal = self.config.pluginmanager.getplugin("terminalreporter")
        running = sum(self._pending_of(units) for units in self.assigned_work.values())
        count = len(self.collection or ())
        complete = count - len(self.workqueue) - running
        reported = max(terminal.reported_progress, 1)
        terminal._session.testscollected = reported * count // max(complete, 1)


def sharing_folder(scope: str) -> str:
    """Return the sharing folder of a file: `tests/browser/test_a.py` → `browser`; else ""."""
    return next((name for name in PurePath(scope).parts[:-1] if name in SHARING_FOLDERS), "")


class FileTurn(pytest.Item):
    """Stands for the tests of a file until a worker runs them."""

    def runtest(self) -> None:
        raise AssertionError("the tests of the file run in its place")


class UnreadFile(pytest.File):
    """A test module that is not imported yet."""

    def collect(self) -> Iterator[FileTurn]:
        # Its tests have time limits of their own.
        turn: FileTurn = FileTurn.from_parent(self, name="*")
        turn.add_marker(pytest.mark.timeout(0))
        yield turn


class LateCollection:
    """Plugin of a worker that collects the tests of a file when it runs them."""

    def pytest_pycollect_makemodule(
        self, module_path: Path, parent: pytest.Collector
    ) -> pytest.Collector:
        """Collect a stand-in for the module."""
        unread: UnreadFile = UnreadFile.from_parent(parent, path=module_path)
        return unread

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Run all tests of a file in the place of its stand-in."""
        if not isinstance(item, FileTurn):
            return None
        session = item.session
        tests = read_tests(item)
        if not tests:
            # The next file may lie in another folder, whose fixtures are others.
            session._setupstate.teardown_exact(nextitem)
            return True
        place = session.items.index(item)
        for test, following in zip(tests, [*tests[1:], nextitem], strict=True):
            # xdist takes a report for the item at this place alone.
            session.items[place] = test
            item.config.hook.pytest_runtest_protocol(item=test, nextitem=following)
            if session.shouldfail or session.shouldstop:
                break
        session.items[place] = item
        return True


def read_tests(turn: FileTurn) -> list[pytest.Item]:
    """Import the test module and return its tests in their order; a failure is reported."""
    unread, session = turn.parent, turn.session
    assert isinstance(unread, UnreadFile)
    assert unread.parent is not None
    with without_garbage_collection():
        module: pytest.Module = pytest.Module.from_parent(unread.parent, path=unread.path)
        tests = list(session.genitems(module))
        session.config.hook.pytest_collection_modifyitems(
            session=session, config=session.config, items=tests
        )
    return tests


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Keep the collector away from modules and tests while they are made.

    Modules live as long as the run, and each full collection would look at all of them.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
