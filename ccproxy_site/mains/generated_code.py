"""Bytecode of generated text, kept between starts as Python keeps that of modules.

`dataclasses` writes the methods of each class as text, and compiles it in each process anew: 370
texts in a proxy, a fifth of the time that its imports take. Python keeps the bytecode of a module,
but not of such text.

    exec("def __create_fn__(…): …")  →  exec(bytecode with the text's digest, or compile and keep)

The files stand in `__pycache__` beside this module's own bytecode. Who may write there could as
well change that. A file of another version of Python is not read, and a text that is not in the
file is compiled.
"""

from __future__ import annotations

import dataclasses
import marshal
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path
from types import CodeType
from typing import Any, Final

COMMON: Final = "nursery"
"""Kind of the process that imports what all others need as well."""
MAX_FILE_BYTES: Final = 4 * 1024 * 1024
"""A larger file is written anew with the texts of one process alone. A full one has 0.9 MB."""
_DIGEST_BYTES: Final = 16
type Texts = dict[bytes, bytes]
"""Bytecode by the digest of its text."""


@contextmanager
def kept_code(kind: str) -> Iterator[None]:
    """Take the bytecode of dataclasses from a file, and keep there what is new.

    Args:
        kind: kind of this process. Each has a file: they start at the same time.
    """
    generated = GeneratedCode(file_of(kind), file_of(COMMON))
    names = vars(dataclasses)
    # Their call of `exec` finds this name before the one of the language.
    names["exec"] = generated.execute
    try:
        yield
    finally:
        del names["exec"]
        generated.keep()


def file_of(kind: str) -> Path:
    """Return the file of a kind of process."""
    beside = Path(cache_from_source(__file__))
    return beside.with_name(f"{kind}.{sys.implementation.cache_tag}.generated")


class GeneratedCode:
    """Texts that were compiled before, and those that are new.

    Args:
        file: the texts of this kind of process.
        common: those of the nursery. Only a process that it did not fork needs them.
    """

    def __init__(self, file: Path, common: Path) -> None:
        self._file, self._common_file = file, common
        self._known = _read(file)
        self._common: Texts | None = None
        self._used: Texts = {}
        self._has_new = False

    def execute(self, text: str, names: dict[str, Any], found: dict[str, Any]) -> None:
        """Execute a text as `exec` does."""
        exec(self._code(text), names, found)  # noqa: S102  # what dataclasses would execute

    def keep(self) -> None:
        """Write the file, if there are new texts and Python may write bytecode."""
        if not self._has_new or sys.dont_write_bytecode:
            return
        data = _file_data({**self._known, **self._used})
        if len(data) > MAX_FILE_BYTES:
            data = _file_data(self._used)
        # An installation may be read-only.
        with suppress(OSError):
            _replace(self._file, data)

    def _code(self, text: str) -> CodeType:
        digest = blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()
        data = self._known.get(digest)
        if data is not None:
            self._used[digest] = data
        else:
            data = self._in_common(digest)
        if data is not None:
            known: CodeType = marshal.loads(data)  # noqa: S302  # trusted as the bytecode beside it
            return known
        # The text must not be compiled with this module's own __future__ statements.
        code = compile(text, "<string>", "exec", dont_inherit=True)
        self._used[digest] = marshal.dumps(code)
        self._has_new = True
        return code

    def _in_common(self, digest: bytes) -> bytes | None:
        if self._common is None:
            self._common = {} if self._common_file == self._file else _read(self._common_file)
        return self._common.get(digest)


def _read(file: Path) -> Texts:
    """Return what a file holds; nothing if there is none, or another version of Python made it."""
    with suppress(OSError, EOFError, ValueError, TypeError):
        data = file.read_bytes()
        if data.startswith(MAGIC_NUMBER):
            texts = marshal.loads(data[len(MAGIC_NUMBER) :])  # noqa: S302  # as above
            return texts if isinstance(texts, dict) else {}
    return {}


def _file_data(texts: Texts) -> bytes:
    return MAGIC_NUMBER + marshal.dumps(texts)


def _replace(file: Path, data: bytes) -> None:
    """Write a file that others see completely or not at all; they may read it, as bytecode."""
    file.parent.mkdir(exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.write_bytes(data)
    draft.chmod(0o644)
    draft.replace(file)
