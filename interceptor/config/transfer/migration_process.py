"""Process that migrates the database for one that has only some of the applications.

`python -m interceptor.config.transfer.migration_process` prints a `DatabaseState` as JSON, or one
sentence on stderr.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

from interceptor.config.transfer.database_state import (
    DatabaseState,
    database_name,
    told_in_one_sentence,
)
from providers.base.errors import CcproxyError, ConfigError

_MODULE: Final = "interceptor.config.transfer.migration_process"


def migrate_in_process() -> DatabaseState:
    """Migrate the database in a process of its own, and return its result.

    The caller holds the lock of the database.

    Raises:
        ConfigError: as the process says.
    """
    if sys.stderr.isatty():
        # It takes seconds, in which nothing else would be seen.
        sys.stderr.write("Bringing the database up to date …\n")
    child = subprocess.run(  # noqa: S603  # our own module
        [sys.executable, "-m", _MODULE], capture_output=True, text=True, check=False
    )
    if child.returncode:
        last_line = child.stderr.strip().rpartition("\n")[2]
        raise ConfigError(last_line or f"cannot migrate the database {database_name()}")
    found = json.loads(child.stdout)
    return DatabaseState(found["created"], found["migrated"], tuple(found["notes"]))


def _main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    # The name of a role, which this app may not import from the site.
    os.environ["CCPROXY_ROLE"] = "migration"
    import django
    from django.conf import settings

    django.setup()
    from interceptor.config.transfer.migration import migrate

    os.umask(0o077)
    directory = Path(settings.CONFIG_DIR)
    try:
        with told_in_one_sentence(directory):
            state = migrate()
    except CcproxyError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    sys.stdout.write(json.dumps(asdict(state)))
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
