"""Each module alone, forward and backward, against the floor that this machine sets in this run.

The floor of a module is the longer of two times: its operations (counted from the shapes, three times those of the
forward pass) at the rate of a large matrix product, and its tensors (input, output and their gradients, weights and
their gradients) at the rate of a large copy. A module can reach neither where it is many small operations.
"""

import json
import math
import os
import subprocess
import sys
import time

BIG = {"cpu": 1024, "gpu": 8192}
REPEATS = 20


def modules(options) -> dict:
    """{backend: {"matmul_flops", "copy_bytes", "modules": {...}, "training": {...}}} from a process each."""
    found = {}
    for backend in options.backends:
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "KERAS_BACKEND": backend}
        size = (options.frames[-1], options.batch_sizes[-1], options.dtypes[-1])
        command = [sys.executable, __file__, *map(str, size)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        lines = done.stdout.strip().splitlines()
        found[backend] = json.loads(lines[-1]) if lines else {"failed": done.stderr.strip().splitlines()[-1:]}
        print(json.dumps({backend: found[backend]}), flush=True)
    return found


def compiled(function):
    """A function of tensors as the backend runs it in training; it returns when the work is done."""
    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        jitted = jax.jit(function)
        return lambda *args: jax.block_until_ready(jitted(*args))
    if backend == "tensorflow":
        import tensorflow as tf

        graph = tf.function(function)
        return lambda *args: [float(keras.ops.sum(x[..., :1])) for x in keras.tree.flatten(graph(*args))[:1]]
    import torch

    def work(*args):
        found = function(*args)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return found

    return work


def seconds(work) -> float:
    """The median of repeats, after three to warm up."""
    spent = []
    for _ in range(REPEATS + 3):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return sorted(spent[3:])[REPEATS // 2]


def machine_rates(dtype, size) -> tuple[float, float]:
    """(operations a second of a product of matrices (size, size), bytes a second of a copy)."""
    from keras import ops, random

    a, b = (ops.cast(random.normal((size, size)), dtype) for _ in range(2))
    product = compiled(lambda x, y: ops.matmul(x, y))
    large = ops.cast(random.normal((8 * size, size)), "float32")
    copy = compiled(lambda x: x + 1.0)
    return 2 * size**3 / seconds(lambda: product(a, b)), 2 * 4 * 8 * size**2 / seconds(lambda: copy(large))


def gradient_of(layer):
    """(layer's weights, x) -> gradients of the output's sum by x and weights, dropout on."""
    import keras
    from keras import ops

    backend = keras.backend.backend()

    def total(x):
        return ops.sum(ops.cast(layer(x, training=True), "float32"))

    if backend == "jax":
        import jax

        def loss(trainable, x, rest):
            found, _ = layer.stateless_call(trainable, rest, x, training=True)
            return ops.sum(ops.cast(found, "float32"))

        step = compiled(jax.grad(loss, argnums=(0, 1)))
        values = [[v.value for v in group] for group in (layer.trainable_variables, layer.non_trainable_variables)]
        return lambda x: step(values[0], x, values[1])
    if backend == "tensorflow":
        import tensorflow as tf

        def gradients(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = total(x)
            return tape.gradient(loss, [x, *layer.trainable_variables])

        return compiled(gradients)

    import torch

    from mpm_keras.torch_graphs import Graphs

    graphs = Graphs(total, layer.variables, compiled=torch.cuda.is_available())

    def step(x):
        x = x.detach().requires_grad_()
        layer.zero_grad()
        graphs(x).backward()
        return x.grad

    return compiled(step)


def main(frames, batch_size, dtype):
    import keras
    from keras import random

    from mpm_keras.models import MPMLifter
    from mpm_keras.studies.cost import cost

    keras.config.set_dtype_policy(dtype)
    network = MPMLifter(frames=frames)
    backbone = network.backbone
    compute = network.compute_dtype
    gpu = keras.backend.backend() != "tensorflow" and "cpu" not in str(random.normal((1,)).device).lower()
    flops, bandwidth = machine_rates(compute, BIG["gpu" if gpu else "cpu"])
    block, width = backbone.blocks[0], backbone.width
    parts = {
        "encoder": (backbone.encoders["2d"], (frames, 17, 2)),
        "spatial MLP": (backbone.spatial, (frames, backbone.encoder_width)),
        "attention": (block.attention, (frames, width)),
        "block": (block, (frames, width)),
        "strided decoder": (network.decoder, (frames, width)),
        "sequence head": (network.sequence_head, (frames, width)),
    }
    found = {}
    for name, (layer, shape) in parts.items():
        x = keras.ops.cast(random.normal((batch_size, *shape)), compute)
        step = gradient_of(layer)
        taken = seconds(lambda step=step, x=x: step(x))
        operations = 3 * batch_size * cost([layer], frames)["flops"]
        weights = sum(math.prod(v.shape) for v in layer.trainable_variables)
        out = layer.compute_output_shape((batch_size, *shape))
        numbers = 2 * (math.prod(x.shape) + math.prod(out)) + 3 * weights
        floor = max(operations / flops, numbers * (2 if "16" in compute else 4) / bandwidth)
        bound = "compute" if floor == operations / flops else "memory"
        found[name] = {"seconds": taken, "floor_s": floor, "times_floor": taken / floor, "bound": bound}
    window = cost([*_order(network)], frames)["flops"]
    facts = {"matmul_flops": flops, "copy_bytes": bandwidth, "train_flops_per_window": 3 * window, "modules": found}
    print(json.dumps({"frames": frames, "batch_size": batch_size, "dtype": dtype, **facts}))


def _order(network):
    backbone = network.backbone
    return [backbone.encoders["2d"], *backbone.shared, network.decoder, network.sequence_head]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
