"""What is changed for a test run."""

from __future__ import annotations

import logging

from _pytest.logging import LogCaptureHandler, catching_logs


def test_a_logger_may_be_made_while_pytest_looks_at_all() -> None:
    class Making(logging.Logger):
        """A logger of an application that makes another one when it is looked at."""

        @property
        def propagate(self) -> bool:
            logging.getLogger(f"{self.name}.{len(logging.Logger.manager.loggerDict)}")
            return True

        @propagate.setter
        def propagate(self, value: bool) -> None:
            pass

    manager = logging.Logger.manager
    before = set(manager.loggerDict)
    manager.loggerDict["made.meanwhile"] = Making("made.meanwhile")
    try:
        with catching_logs(LogCaptureHandler()):
            made = set(manager.loggerDict) - before
            assert len(made) > 1
    finally:
        for name in set(manager.loggerDict) - before:
            del manager.loggerDict[name]
