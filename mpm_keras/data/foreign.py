"""Checks that all readers of other people's files share."""

import contextlib

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
