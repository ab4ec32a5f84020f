"""Writing files whole or not at all, and reading those of strangers with care."""

import contextlib
import json
import math
import os
import zipfile
import zlib
from pathlib import Path

from mpm_keras.errors import InputError

MAX_JSON = 8 << 20  # bytes of a configuration or a file of results; Python takes some 20 times as much for its values

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
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder):
    """Flushes the names in a folder to the disk: a rename may else be undone by a loss of power."""
    if os.name == "nt":  # folders cannot be opened there
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network disks know no such thing, and the file is in place
            os.fsync(number)
    finally:
        os.close(number)


def write_json(path, value):
    """Writes a value as indented JSON."""
    atomic_write(path, lambda file: file.write((json.dumps(value, indent=2) + "\n").encode()))


def check_plain_file(path):
    """Raises `InputError` for what is missing or is no plain file: reading a pipe or a device may never end."""
    if not os.path.exists(path):
        raise InputError("no such file")
    if not os.path.isfile(path):
        raise InputError("expected a file, found a folder or a device")


def read_json(path, what: str, finite: bool = True):
    """The value of a JSON file.

    Args:
        path: the file.
        what: what it should be, for the message.
        finite: refuse NaN and infinity anywhere.

    Raises:
        InputError: the file is missing, larger than `MAX_JSON`, no JSON, or nested too deeply; one line
            that names the file.
    """
    try:
        check_plain_file(path)
        with open(path, "rb") as file:
            data = file.read(MAX_JSON + 1)
        if len(data) > MAX_JSON:
            raise InputError(f"larger than {MAX_JSON >> 20} MiB")
        number = _finite if finite else float
        return json.loads(data.decode(), parse_float=number, parse_constant=number)
    except RecursionError:
        reason = "nested too deeply"
    except OSError as error:
        reason = error.strerror
    except ValueError as error:
        reason = " ".join(str(error).split())[:160]
    raise InputError(f"{path}: expected {what} ({reason})")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no number")
    return number
