"""What a preset may ask for, checked against the weights beside it before a network is made of it.

A few bytes of `preset.json` could ask for more memory than there is. Every size is compared with the
shape of a tensor in the file that is as large as the layers that it decides.
"""

import inspect

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.layers.framing import NORMALIZATIONS
from mpm_keras.models.lifter import DECODERS
from mpm_keras.models.refiner import MPMRefiner

SIZES = {"frames", "joints", "layers", "width", "encoder_width", "heads", "feed_forward", "decoder_blocks", "units"}
RATES = {"dropout", "encoder_dropout"}


def check_configuration(kind, config: dict):
    """Raises `ValueError` unless every entry is a keyword of the network and a value that it may have."""
    known = defaults(kind)
    for name, value in config.items():
        if name not in known:
            raise ValueError(f"unknown entry {str(name)[:40]!r}")
        if name in SIZES or name == "hidden_frames":
            sound = type(value) is int and value >= (name in SIZES)
        elif name == "decoder":
            sound = value in DECODERS if isinstance(value, str) else False
        elif name == "normalization":
            sound = value in NORMALIZATIONS if isinstance(value, str) else False
        else:  # rates, and the epsilon of divisions
            sound = type(value) in (int, float) and (0 if name in RATES else 1e-15) <= value < 1
        if not sound:
            raise ValueError(f"{name} cannot be {repr(value)[:40]}")


def defaults(kind) -> dict:
    """{keyword of a network: its default}."""
    parameters = inspect.signature(kind.__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def check_sizes(kind, config: dict, arrays: dict):
    """Raises `ValueError` where the weights are not those of the configuration; a few weights decide it."""
    for name, shape in deciding_weights(kind, {**defaults(kind), **config}):
        if name not in arrays:
            raise ValueError(f"it needs {name}, which the weights do not hold")
        if arrays[name].shape != shape:
            raise ValueError(f"it needs {name} of shape {shape}, the weights hold {arrays[name].shape}")


def deciding_weights(kind, config: dict):
    """Yields (name, shape) of weights which no layer of the network exceeds by much."""
    if kind is MPMRefiner:
        inputs, units = 6 * config["joints"], config["units"]
        yield "mlp/expand/kernel", (inputs, units)
        return
    width, inside, hidden = config["width"], config["encoder_width"], config["feed_forward"]
    yield "backbone/positions/positions", (config["frames"], width)
    yield "backbone/encoder_2d/dense/kernel", (2 * config["joints"], inside)
    yield "backbone/spatial/block_1/dense/kernel", (inside, inside)
    stacks = {"backbone": config["layers"], "decoder_2d": config.get("decoder_blocks", 0)}
    for stack, blocks in stacks.items():
        for i in range(blocks):
            yield f"{stack}/block_{i}/attention/query_key_value/kernel", (width, 3 * width)
            yield f"{stack}/block_{i}/expand/kernel", (width, hidden)


def check_finite(arrays: dict):
    """Raises `InputError` that names the first weight with NaN or infinity."""
    for name, value in arrays.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise InputError(f"{name[:80]!r} holds NaN or infinity")
