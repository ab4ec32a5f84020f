"""What the C library does with memory that is given back."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of mallopt(3)


def keep_freed_memory() -> bool:
    """Lets glibc keep large arrays that are freed, for the next ones, in place of giving them to the system.

    PyTorch has no allocator of its own on the CPU: each operation's result is asked of the system anew, page by page,
    which takes up to a third of the time of a network for 243 frames. What a process holds then stays at its peak.

    Returns:
        Whether it had an effect; it has none without glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    return bool(library.mallopt(_MMAP_THRESHOLD, 1 << 30) and library.mallopt(_TRIM_THRESHOLD, (1 << 31) - 1))
