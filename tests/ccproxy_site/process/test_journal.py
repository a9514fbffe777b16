"""The journal's wire format, against a real datagram socket."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

from ccproxy_site.process import logging as product_logging
from ccproxy_site.process.journal import JournalHandler
from tests.patience import PATIENCE_S


def test_entries_arrive_with_priority_and_whole_messages(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(path))
        server.settimeout(PATIENCE_S)
        handler = JournalHandler("ccproxy-x", path)
        handler.emit(logging.LogRecord("a", logging.WARNING, "f", 1, "two\nlines", None, None))
        handler.close()
        head = b"PRIORITY=4\nSYSLOG_IDENTIFIER=ccproxy-x\nMESSAGE\n"
        assert server.recv(4096) == head + b"\x09\0\0\0\0\0\0\0" + b"two\nlines\n"


def test_without_a_journal_standard_error_takes_its_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(product_logging, "SOCKET", tmp_path / "none")
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    root.handlers = []
    try:
        product_logging.configure_logging(None, "INFO", to_stderr=False, journal="ccproxy")
        assert "no systemd journal" in capsys.readouterr().err
    finally:
        root.handlers, root.level = before, level
        logging.captureWarnings(False)
