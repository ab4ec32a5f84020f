"""How long it takes until anything happens: imports and `--help`, as whole processes in turn."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def startup(backends, rounds: int) -> dict:
    """Seconds of each: {name: {"median_s", "times_s"}}; `python -c pass` is the floor, `import torch` the yardstick."""
    commands = {
        "python alone": (None, ["-c", "pass"]),
        "import torch": (None, ["-c", "import torch"]),
        "import mpm_keras": (None, ["-c", "import mpm_keras"]),
        "pretrain.py --help": (None, [str(ROOT / "experiments/pretrain.py"), "--help"]),
        "lift.py --help": (None, [str(ROOT / "experiments/lift.py"), "--help"]),
    }
    for backend in backends:
        commands[f"first network, {backend}"] = (backend, ["-c", "from mpm_keras import MPMLifter; MPMLifter()"])
    times = {name: [] for name in commands}
    for _ in range(rounds):
        for name, (backend, arguments) in commands.items():
            environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
            if backend:
                environment["KERAS_BACKEND"] = backend
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, check=False)
            times[name].append(time.perf_counter() - start)
    return {name: {"median_s": statistics.median(spent), "times_s": spent} for name, spent in times.items()}
