"""What is done of a long clip, on disk, so that the same call goes on after a crash."""

import hashlib
import json
import time
from pathlib import Path

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.files import atomic_write
from mpm_keras.npz import read_npz

SECONDS = 30.0  # between writes; what takes less leaves no file


class Unfinished:
    """The sums of a half-blended clip in a file of their own.

    Args:
        path: `.npz` file; its folder is made on the first write.
        key: of the work, see `key_of`; the file of other work is not used, and replaced.
        seconds: between writes.
    """

    def __init__(self, path, key: str, seconds=SECONDS):
        self.path, self.key, self.seconds, self.last = Path(path), key, seconds, time.monotonic()

    def load(self, total, weight) -> int:
        """Fills the sums with those of the file. Returns the window to go on from, 0 where there is nothing to use."""
        try:
            found = read_npz(self.path)
            if str(found["key"]) != self.key:
                return 0
            start = int(found["start"])
            total[...], weight[...] = found["total"], found["weight"]
        except (InputError, KeyError, ValueError, TypeError):  # missing, damaged or not ours: begin anew
            total[...], weight[...] = 0, 0
            return 0
        return start

    def save(self, start: int, total, weight):
        """Writes the sums of all windows before `start`, if it is time to."""
        if time.monotonic() - self.last < self.seconds:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {"key": np.array(self.key), "start": np.array(start), "total": total, "weight": weight}
        atomic_write(self.path, lambda file: np.savez(file, **arrays))
        self.last = time.monotonic()

    def remove(self):
        self.path.unlink(missing_ok=True)


def key_of(network, arrays, **options) -> str:
    """sha256 of a network's weights, the arrays that go in (or None) and the options."""
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for array in (*network.get_weights(), *arrays):
        digest.update(b"none" if array is None else f"{array.dtype} {array.shape}".encode())
        digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
