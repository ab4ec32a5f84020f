"""Damages files and hands them to a reader: only `InputError` may come out, in one line.

The environment variable FUZZ_CASES asks for more cases, or fewer.
"""

import os
import random
import time

from mpm_keras.errors import InputError

CASES = int(os.environ.get("FUZZ_CASES", "2000"))
SLOWEST = 5.0  # seconds for one damaged file


def damaged(good: bytes, cases: int, seed=0):
    """Truncations at every kilobyte and at the ends of the file, then files with bytes, runs and blocks changed."""
    cuts = sorted({*range(0, len(good), 1024), *range(min(len(good), 40)), *(len(good) - n for n in (1, 2, 8, 22, 60))})
    for cut in cuts:
        yield good[: max(cut, 0)]
    rng = random.Random(seed)
    for _ in range(max(0, cases - len(cuts))):
        data, kind = bytearray(good), rng.randrange(6)
        # Headers are short: half of the changes go to the first and the last parts of the file.
        spot = rng.choice((256, 2048, len(data)))
        place = rng.randrange(min(spot, len(data)))
        place = len(data) - 1 - place if rng.random() < 0.3 else place
        if kind <= 2:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 3:
            data[place : place + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80"))
        elif kind == 4:
            for _ in range(20):
                data[rng.randrange(len(data))] = rng.randrange(256)
        else:
            del data[place : place + rng.choice((1, 7, 100))]
        yield bytes(data)


def fuzz(read, path, cases=CASES, seed=0) -> int:
    """Calls read(path) with damaged contents of the file at path. Returns how many were refused.

    Fails for any exception but `InputError`, a message of more than one line or without the file's
    name, and a file that takes too long.
    """
    good, refused = path.read_bytes(), 0
    read(path)
    for data in damaged(good, cases, seed):
        path.write_bytes(data)
        start = time.perf_counter()
        try:
            read(path)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and path.name in str(error), error
        assert time.perf_counter() - start < SLOWEST
    path.write_bytes(good)
    return refused
