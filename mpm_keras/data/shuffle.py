"""Random numbers that can be reached directly: a shuffled order and per-sample draws by key.

A permutation of 20 million windows would cost 160 MB and seconds per epoch, and step 1,000,000 could
not be reached without the steps before it. A Feistel network on the window number gives the same
at no memory: `permute(i, n, key)` is a bijection of 0..n-1 for each key. All arithmetic is on int64
below 2**63 with operators that NumPy arrays and TensorFlow tensors share, so both compute the same
numbers.
"""

import functools

import numpy as np

MASK_32 = 0xFFFFFFFF
ROUNDS = 4
BLOCK = 4096  # numbers permuted at once: for a batch of 64 alone, calling NumPy costs twenty times the arithmetic


def mix(x, key):
    """32-bit integer hash (the finaliser of MurmurHash3 on x + key), element-wise on int64."""
    x = (x + key) & MASK_32
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = x ^ (x // 2**shift)  # TensorFlow's tensors have no >>
        # The product may wrap around 64 bits; its low 32 bits are right all the same.
        x = (x * factor) & MASK_32
    return x ^ (x // 2**16)


def fold_key(*parts: int) -> int:
    """One 32-bit key of several integers, such as (seed, epoch)."""
    key = 0x9E3779B9
    for part in parts:
        key = mix((part & MASK_32) ^ (key * 31 & MASK_32), 0x7F4A7C15)
    return key


def coin(x, key):
    """Element-wise fair draws of 0 or 1, a function of (x, key)."""
    return mix(x, key) & 1


def half_bits(n: int) -> int:
    """Bits of each half of the Feistel network that covers 0..n-1."""
    return max(1, (max(n - 1, 1).bit_length() + 1) // 2)


def feistel(x, bits: int, key: int):
    """A bijection of 0..4**bits - 1."""
    mask = (1 << bits) - 1
    left, right = x // 2**bits, x & mask
    for r in range(ROUNDS):
        left, right = right, left ^ (mix(right, (key + r * 0x9E3779B1) & MASK_32) & mask)
    return left * 2**bits + right


def permute(x: np.ndarray, n: int, key: int) -> np.ndarray:
    """Element x of the order that `key` gives to 0..n-1; x is an int64 array of numbers below n.

    The network covers the next power of four; numbers that fall outside 0..n-1 walk on until they
    fall inside, less than three extra rounds on average.
    """
    bits = half_bits(n)
    y = feistel(np.asarray(x, np.int64), bits, key)
    while (outside := y >= n).any():
        y = np.where(outside, feistel(y, bits, key), y)
    return y


def permuted_range(start: int, stop: int, n: int, key: int) -> np.ndarray:
    """`permute` of start..stop-1 (one number at least), int64, by blocks that neighbouring ranges share."""
    first, last = start // BLOCK, -(-stop // BLOCK)
    blocks = [_permuted_block(block, n, key) for block in range(first, last)]
    return np.concatenate(blocks)[start - first * BLOCK : stop - first * BLOCK]


@functools.lru_cache(maxsize=64)
def _permuted_block(block: int, n: int, key: int) -> np.ndarray:
    return permute(np.arange(block * BLOCK, min((block + 1) * BLOCK, n), dtype=np.int64), n, key)
