"""Process that migrates the database for one that has only some of the applications.

`python -m interceptor.config.transfer.migration_process` prints its steps, a line each, and at the
end a `DatabaseState` as JSON, or one sentence on stderr.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Final

from interceptor.config.transfer.database_state import (
    DatabaseState,
    database_name,
    told_in_one_sentence,
)
from interceptor.config.transfer.migration_steps import step_line
from providers.base.errors import CcproxyError, ConfigError

_MODULE: Final = "interceptor.config.transfer.migration_process"


def migrate_in_process() -> DatabaseState:
    """Migrate the database in a process of its own, and return its result.

    The caller holds the lock of the database.

    Raises:
        ConfigError: as the process says.
    """
    last_line = ""
    with tempfile.TemporaryFile("w+") as errors, step_line() as show:
        with subprocess.Popen(  # noqa: S603  # our own module
            [sys.executable, "-m", _MODULE], stdout=subprocess.PIPE, stderr=errors, text=True
        ) as child:
            for line in child.stdout or ():
                last_line = line.strip()
                if not last_line.startswith("{"):
                    show(last_line)
        errors.seek(0)
        problem = errors.read().strip().rpartition("\n")[2]
    if child.returncode:
        raise ConfigError(problem or f"cannot migrate the database {database_name()}")
    found = json.loads(last_line)
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
            state = migrate(lambda step: print(step, flush=True))
    except CcproxyError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    sys.stdout.write(json.dumps(asdict(state)))
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
