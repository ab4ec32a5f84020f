"""A progress bar in plain text."""

import sys
import time


def track(items, total, label, show=None):
    """Yields the items and draws how many of `total` have passed, on stderr.

    Args:
        items: what to yield.
        total: how many there are.
        label: stands before the bar.
        show: None for wherever stderr is a terminal.
    """
    show = sys.stderr.isatty() if show is None else show
    drawn, start = 0.0, time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if show and (now - drawn > 0.2 or done == total):
            drawn = now
            bar = "=" * (30 * done // total)
            left = (now - start) / done * (total - done)
            end = "\n" if done == total else ""
            print(f"\r{label} [{bar:30}] {done}/{total}, {left:.0f} s left ", end=end, file=sys.stderr, flush=True)
