"""`python -m ccproxy_site.mains.recorder_main`: checks what is configured, then records."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ccproxy_site.mains.child_main import begin, end_process, importing
from interceptor.operate.freed_memory import map_large_blocks
from providers.base.errors import CcproxyError

if TYPE_CHECKING:
    from ccproxy_site.mains.recorder import Recorder
    from ccproxy_site.supervise.control import Control

logger = logging.getLogger("ccproxy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the supervisor says stop, or is gone."""
    parser = argparse.ArgumentParser(prog="ccproxy_site.mains.recorder_main", description=__doc__)
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--no-console", action="store_true")
    parser.add_argument(
        "--again", action="store_true", help="another recorder has run before; no first checks"
    )
    parser.add_argument("--flow-lines", action="store_true")
    options = parser.parse_args(arguments)
    control = begin(options.control)
    map_large_blocks()
    os.environ["CCPROXY_ROLE"] = "recorder"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    try:
        recorder = _prepare(options, control)
    except CcproxyError as exc:
        control.say(refused=str(exc))
        return 1
    asyncio.run(recorder.run())
    return 0


def _prepare(options: argparse.Namespace, control: Control) -> Recorder:
    """Check what is configured, and return a recorder that is ready to run.

    Raises:
        CcproxyError: one sentence for the user.
    """
    with importing("recorder"):
        import django

        django.setup()
        from django.conf import settings as django_settings

        from ccproxy_site.mains.open_connections import close_at_the_end
        from ccproxy_site.mains.recorder import Recorder
        from ccproxy_site.process.start_checks import check_addresses, check_start
        from interceptor.operate.stock import stock_from

    close_at_the_end()
    # Before the database is touched: the answer to a typing error should come at once.
    stock = stock_from(os.environ)
    settings, directory = django_settings.CCPROXY, Path(django_settings.CONFIG_DIR)
    console = not options.no_console
    require_token = check_start(settings, directory)
    if not options.again:
        check_addresses(settings, console=console)
    recorder = Recorder(
        settings,
        directory,
        control,
        require_token=require_token,
        console=console,
        stock=stock,
        flow_lines=options.flow_lines,
    )
    recorder.tell_checked()
    # It loads hooks.
    with importing("recorder"):
        recorder.prepare(is_first=not options.again)
    return recorder


if __name__ == "__main__":
    end_process(main())
