"""Mark of the sections of `ccproxy.yaml` that were read into the database."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from interceptor.config.files.directory import CONFIG_FILE_NAME
from interceptor.config.files.document import read_document
from interceptor.config.files.load_settings import has_sections

if TYPE_CHECKING:
    from interceptor.config.files.whole_file import Sections

_MARK_FILE = ".imported"
_WITHOUT_MODELS = ", models=None)"


def mark_imported(sections: Sections) -> None:
    """Remember that the sections of the config directory's own file were read into the database."""
    (Path(settings.CONFIG_DIR) / _MARK_FILE).write_text(_digest(sections) + "\n")


def unread_sections() -> tuple[str, ...]:
    """Return a note when the file's sections were edited since they were last imported."""
    path = Path(settings.CONFIG_DIR) / CONFIG_FILE_NAME
    if not path.exists() or not has_sections(read_document(path).data):
        return ()
    # Imported only for files that hold sections: their schemas take 15 ms of each start.
    from interceptor.config.files.whole_file import read_config_file

    sections = read_config_file(path).sections
    mark = Path(settings.CONFIG_DIR) / _MARK_FILE
    if not sections or (mark.exists() and mark.read_text().strip() == _digest(sections)):
        return ()
    return (
        (
            f"the providers, rules, hooks, profiles or models in {path} are not in the database;"
            " apply them with: ccproxy importconfig"
        ),
    )


def _digest(sections: Sections) -> str:
    text = repr(sections)
    if text.endswith(_WITHOUT_MODELS):
        # As earlier versions wrote it, which knew no such section.
        text = text.removesuffix(_WITHOUT_MODELS) + ")"
    return hashlib.sha256(text.encode()).hexdigest()
