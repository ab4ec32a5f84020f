"""One contestant at one case, in a process of its own. `rounds.py` starts it and asks it for round after round.

    python benchmarks/worker.py '{"who": "jax", "case": {"what": "train2", "frames": 27}}'

It prints a line of JSON when it is warm, and one for every line "go" that it reads; an empty line ends it.
"""

import json
import os
import sys
import time
from pathlib import Path

STARTED = time.perf_counter()
MARK = "@bench "
YARDSTICKS = ("eager", "compiled")
BACKENDS = ("tensorflow", "jax", "torch")


class Clock:
    """Time since it was made, on the wall and of all this process's threads.

    The second hardly changes when others use the cores; it counts threads that wait busily, though.
    """

    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict:
        return {"seconds": time.perf_counter() - self.wall, "cpu_seconds": time.process_time() - self.cpu}


class Rounds:
    """The conversation with the parent, and the clock of a round."""

    def __init__(self, seconds: float):
        self.seconds, self.loaded = seconds, time.perf_counter() - STARTED

    def calibrate(self, work) -> int:
        """Calls of `work` that make a round, after two to warm up. Tells the parent what the first cost."""
        spent = []
        for _ in range(3):
            start = time.perf_counter()
            work()
            spent.append(time.perf_counter() - start)
        self.tell(load_s=self.loaded, first_s=spent[0], call_s=spent[-1])
        return max(1, round(self.seconds / max(spent[-1], 1e-6)))

    def run(self, work, units: float):
        """Answers round after round; one call of `work` does so many units (windows, frames)."""
        count = self.calibrate(work)
        while self.wanted():
            clock = Clock()
            for _ in range(count):
                work()
            self.tell(**clock.read(), units=count * units)

    @staticmethod
    def wanted() -> bool:
        return sys.stdin.readline().strip() == "go"

    @staticmethod
    def tell(**facts):
        print(MARK + json.dumps(facts), flush=True)


def peak_memory_mb() -> float:
    """The largest resident memory of this process so far."""
    if Path("/proc/self/status").exists():  # unlike ru_maxrss, not inherited from the parent
        line = next(n for n in Path("/proc/self/status").read_text().splitlines() if n.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def device_memory_mb(who) -> float | None:
    """The most that was in use on the accelerator, where there is one."""
    if who in ("torch", *YARDSTICKS):
        import torch

        return torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else None
    if who == "jax":
        import jax

        stats = jax.local_devices()[0].memory_stats()
        return stats["peak_bytes_in_use"] / 2**20 if stats and "peak_bytes_in_use" in stats else None
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return None
    return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20


def main():
    spec = json.loads(sys.argv[1])
    who = spec["who"].split(":")[0]  # "jax:device": of one backend, with one pipeline
    if who in BACKENDS:
        os.environ["KERAS_BACKEND"] = who
        import ours as side

        if who == "torch":
            from mpm_keras.memory import keep_freed_memory

            keep_freed_memory()  # as our scripts do
    else:
        import theirs as side
    from material import Case

    case = Case(**spec["case"])
    rounds = Rounds(case.seconds)
    side.JOBS[case.what](case, spec["who"], rounds)
    rounds.tell(peak_memory_mb=peak_memory_mb(), device_memory_mb=device_memory_mb(who))


if __name__ == "__main__":
    main()
