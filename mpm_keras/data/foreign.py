"""Checks that all readers of other people's files share."""

import contextlib
import os
import warnings
from pathlib import Path

import numpy as np

from mpm_keras.errors import InputError

# No coordinate of a body is larger, in any unit; squares of larger ones overflow.
LARGEST = 1e9


@contextlib.contextmanager
def named(path, expected="", errors=()):
    """Errors of the block as an `InputError` of one line that begins with the file.

    Args:
        path: the file; a message that begins with it already stays as it is.
        expected: what the file should have been, for `errors`.
        errors: what a library raises on a damaged file.
    """
    try:
        yield
    except InputError as error:
        message = " ".join(str(error).split())  # names in damaged files may hold line breaks
        raise InputError(message if message.startswith(str(path)) else f"{path}: {message}") from None
    except errors as error:
        reason = " ".join(str(error).replace(str(path), "the file").split())[:160] or type(error).__name__
        raise InputError(f"{path}: not readable as {expected} ({reason})") from None


def numbers(value, shape, what, *, finite=True) -> np.ndarray:
    """An array of real numbers as float64.

    Args:
        value: what was found.
        shape: the expected one; None stands for any length but 0.
        what: its name, for messages.
        finite: refuse NaN and infinity too, and numbers larger than `LARGEST`.
    """
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        found = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
        raise InputError(f"{what}: expected numbers, found {found[:80]}")
    fits = value.ndim == len(shape) and all(n and e in (None, n) for n, e in zip(value.shape, shape, strict=True))
    if not fits:
        expected = ", ".join("n" if n is None else str(n) for n in shape)
        raise InputError(f"{what}: expected shape ({expected}), found {value.shape}")
    value = value.astype(np.float64)
    if finite and not (np.abs(value) < LARGEST).all():
        bad = ~(np.abs(value) < LARGEST).reshape(len(value), -1).all(axis=1)
        raise InputError(
            f"{what}: {int(bad.sum())} rows hold NaN, infinity or absurd values, first row {int(bad.argmax())}"
        )
    return value


def positive(value, what, lowest=0.0, highest=np.inf) -> float:
    """A real number (lowest, highest], also from an array of one. Raises `InputError` for anything else."""
    array = np.asarray(value) if isinstance(value, (int, float, np.generic, np.ndarray)) else np.empty(0)
    if array.size != 1 or array.dtype.kind not in "fiu" or not lowest < float(array.reshape(())) <= highest:
        found = str(value)[:40] if array.size == 1 else type(value).__name__
        raise InputError(f"{what}: expected a number over {lowest:g} and up to {highest:g}, found {found}")
    return float(array.reshape(()))


def good_ones(results, *, strict: bool, what: str) -> list:
    """The values among (value, message) pairs; a message stands in the place of a value that is None.

    Raises `InputError` with the first message if `strict`, and where nothing is left. Otherwise issues a
    `UserWarning` for each message and one with their number.
    """
    bad = [message for value, message in results if value is None]
    if bad and strict:
        raise InputError(bad[0])
    if bad and len(bad) == len(results):
        raise InputError(f"{what}: none of the {len(results)} files could be read; the first: {bad[0]}")
    for message in bad:
        warnings.warn(f"left out: {message}", stacklevel=3)
    if bad:
        warnings.warn(f"{len(bad)} of {len(results)} files were left out", stacklevel=3)
    return [value for value, _ in results if value is not None]


def find(paths, suffixes, what) -> tuple[list, bool]:
    """(path, name) of the files at one path or a list of them, and whether a file was named itself.

    Folders are searched. The name is that below the folder, without suffix.

    Args:
        paths: files and folders.
        suffixes: those of the files to take from folders, in lower case.
        what: for messages.

    Raises:
        InputError: a path is missing, a folder has no such file, or two files get one name.
    """
    paths = [Path(p) for p in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    found = {}
    for root in paths:
        if root.is_dir():
            files = sorted(p for p in root.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
            if not files:
                raise InputError(f"{root}: expected {what} ({', '.join(suffixes)}) in the folder, found none")
        elif root.is_file():
            files = [root]
        else:
            raise InputError(f"{root}: no such file or folder; expected {what} ({', '.join(suffixes)})")
        for file in files:
            name = file.relative_to(root if root.is_dir() else root.parent).with_suffix("").as_posix()
            name = f"{root.name}/{name}" if len(paths) > 1 and root.is_dir() else name
            if name in found:
                raise InputError(f"{file}: is named {name}, as {found[name]} is")
            found[name] = file
    return [(file, name) for name, file in found.items()], any(path.is_file() for path in paths)
