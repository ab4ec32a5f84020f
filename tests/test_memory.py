import json
import subprocess
import sys

import pytest

from mpm_keras.memory import keep_freed_memory

pytestmark = pytest.mark.numpy_only

TOUCH = """
import json, resource
import numpy as np
from mpm_keras.memory import keep_freed_memory
keep = {keep}
kept = keep and keep_freed_memory()
for _ in range(4):  # the first ones grow the heap
    np.ones(50 << 17)  # 50 MiB
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(50 << 17)
print(json.dumps([kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before]))
"""


def faults(keep: bool) -> tuple[bool, int]:
    code = TOUCH.format(keep=keep)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return tuple(json.loads(done.stdout))


def test_freed_memory_is_used_again():
    if not keep_freed_memory():
        pytest.skip("not glibc")
    kept, few = faults(keep=True)
    _, many = faults(keep=False)
    assert kept and few < 100 < many, "pages of 4 KiB or 2 MiB, asked for again each time"


def test_elsewhere_it_does_nothing(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
