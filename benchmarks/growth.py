"""What grows with what: time and memory of training over frames, batch, layers; of opening over the data set."""

import dataclasses
import json
import statistics
import subprocess
import sys
from pathlib import Path

import report
from material import Case
from rounds import race

FRAMES, BATCHES, LAYERS = (27, 81, 243, 729), (8, 16, 32, 64), (2, 4, 8, 16)
DATA = (10_000, 100_000, 1_000_000)
MOST_WINDOWS = 20_000_000

OPENING = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
import numpy as np
from material import views
from mpm_keras.data.windows import WindowBatches, WindowIndex
from worker import peak_memory_mb
frames, weight = int(sys.argv[2]), float(sys.argv[3])
seen = views(frames, weight)
before, start = peak_memory_mb(), time.perf_counter()
index = WindowIndex(seen.offsets, 243, weights=seen.weights)
batches = WindowBatches(seen, index, 64, flip=True)
batches.batch(0, 0)
print(json.dumps({"windows": index.num_windows, "seconds": time.perf_counter() - start,
                  "memory_mb": peak_memory_mb(), "more_mb": peak_memory_mb() - before}))
"""


def growth(options) -> dict:
    """{"curves": [{"name", "sizes", "seconds" (a step or an opening), "memory_mb", exponents}], "most": {...}}."""
    backend = options.backends[0]
    base = Case("train2", 27, 4 if options.quick else 8, seconds=options.seconds, data_frames=10_000)
    plans = {"frames": FRAMES, "batch_size": BATCHES, "layers": LAYERS}
    if options.quick:
        plans = {name: sizes[:3] for name, sizes in plans.items()}
    curves = [curve(backend, base, name, sizes, options.rounds) for name, sizes in plans.items()]
    opened = [opening(frames, 1) for frames in DATA]
    curves.append(
        {"name": "windows", "sizes": [o["windows"] for o in opened], "seconds": [o["seconds"] for o in opened],
         "memory_mb": [o["memory_mb"] for o in opened]}
    )  # fmt: skip
    for found in curves:
        found["exponents"] = {k: report.exponent(found["sizes"], found[k]) for k in ("seconds", "memory_mb")}
        print(json.dumps(found), flush=True)
    most = opening(DATA[-1], MOST_WINDOWS / DATA[-1])
    print(json.dumps(most), flush=True)
    return {"backend": backend, "curves": curves, "most": most}


def curve(backend, base, name, sizes, rounds) -> dict:
    """A step of training at each size, other things equal."""
    found = {"name": name, "sizes": [], "seconds": [], "memory_mb": []}
    for size in sizes:
        case = dataclasses.replace(base, **{name: size})
        for result in race([backend], case, rounds):
            found["sizes"].append(size)
            found["seconds"].append(case.batch_size / statistics.median(result["rates"]))
            found["memory_mb"].append(result["peak_memory_mb"])
    return found


def opening(frames, weight) -> dict:
    """Windows over so many frames, opened in a fresh process up to the first batch of 64 x 243 frames."""
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", OPENING, here, str(frames), str(weight)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
