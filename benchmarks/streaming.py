"""Latency of streaming: the time that one `push` of a frame takes on this machine.

    python benchmarks/streaming.py --preset=runs/finetune
    KERAS_BACKEND=jax python benchmarks/streaming.py

Without --preset a network of the paper's size for 27 frames with random weights. Prints the median and
the 95th percentile over --frames calls after --warmup calls; nothing is averaged over repeats.
"""

import argparse
import json
import tempfile
import time

from mpm_keras import command_line


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", help="Name or folder of a preset.")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--warmup", type=int, default=30)
    return parser.parse_args()


def lifter_of(preset):
    from mpm_keras import MPMLifter, PoseLifter, save_preset

    if preset:
        return PoseLifter.from_preset(preset)
    with tempfile.TemporaryDirectory() as folder:
        facts = {"skeleton": "h36m17", "stride": 2, "fps": 50.0, "detector": "noisy", "confidence_threshold": 0.3}
        save_preset(MPMLifter(normalization="window"), folder, **facts)
        return PoseLifter.from_preset(folder)


def measure(lifter, flip, frames, warmup) -> dict:
    """Milliseconds per push."""
    import numpy as np

    from mpm_keras.inference.streaming import StreamingLifter

    stream = StreamingLifter(lifter, image_size=(1280, 720), fps=30.0, flip=flip)
    rng = np.random.default_rng(0)
    body = rng.uniform(300, 600, (17, 2))
    spent = []
    for _ in range(warmup + frames):
        points = body + rng.normal(scale=3, size=(17, 2))
        start = time.perf_counter()
        stream.push(points)
        spent.append(1000 * (time.perf_counter() - start))
    median, late = np.percentile(spent[warmup:], [50, 95])
    return {"flip": flip, "median_ms": round(median, 2), "p95_ms": round(late, 2)}


def main():
    arguments = parse()
    command_line.check_backend()
    import keras

    lifter = lifter_of(arguments.preset)
    for flip in (False, True):
        found = measure(lifter, flip, arguments.frames, arguments.warmup)
        print(json.dumps({"backend": keras.backend.backend(), **found}))


if __name__ == "__main__":
    main()
