"""Writing files whole or not at all."""

import json
import os
import zipfile
import zlib
from pathlib import Path

# All that reading a damaged or foreign .npz can raise.
UNREADABLE = (
    OSError, EOFError, ValueError, KeyError, TypeError, OverflowError, MemoryError, NotImplementedError, RuntimeError,
    SyntaxError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def atomic_write(path, write):
    """Calls write(file) on a temporary binary file beside path, flushes it and renames it into place."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path, value):
    """Writes a value as indented JSON."""
    atomic_write(path, lambda file: file.write((json.dumps(value, indent=2) + "\n").encode()))
