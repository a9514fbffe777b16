"""Bytecode of the test modules with pytest's own assertions, written before a run's workers start.

Each worker of a fresh checkout would make it of every module, at the same time as the others.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from _pytest.assertion import rewrite


def write_bytecode(path: Path) -> Path:
    """Write what pytest loads in place of the module, unless it is there; return its path."""
    made = rewrite.get_cache_dir(path) / (path.stem + rewrite.PYC_TAIL)
    if rewrite._read_pyc(path, made) is None:
        made.parent.mkdir(exist_ok=True)
        # The configuration would only tell of a hook that sees passing assertions, which none here is.
        source_hash, code = rewrite._rewrite_test(path, None)  # type: ignore[arg-type]
        unfinished = made.with_suffix(f".{os.getpid()}")
        with unfinished.open("wb") as file:
            rewrite._write_pyc_fp(file, source_hash, code)
        unfinished.replace(made)
    return made


def main() -> None:
    """Write the bytecode of all modules whose assertions pytest rewrites."""
    folder = Path(__file__).parent
    paths = [*folder.rglob("test_*.py"), *folder.rglob("conftest.py")]
    with ProcessPoolExecutor() as pool:
        list(pool.map(write_bytecode, paths, chunksize=16))


if __name__ == "__main__":
    main()
