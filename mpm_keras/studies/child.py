"""Becomes a command that must not outlive the process that asked for it: `child.py PARENT COMMAND...` (Linux).

A process that is killed cannot end its children, and an orphan would train on in a folder that the next start
needs. The kernel can: it sends SIGTERM, which lets a training save. Run as a file, so that it starts at once.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h; outlives exec


def become(parent: int, command: list[str]):
    """Replaces this process by the command, tied to its parent's life."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the kernel was told
        sys.exit(75)
    os.execv(command[0], command)


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
