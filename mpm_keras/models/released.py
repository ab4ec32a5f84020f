"""Networks of the authors' released PyTorch code: its state dicts into networks of this package.

What each tensor of a file is called there and how it lies stands here, once. The configuration
follows from names and shapes alone, but for the number of heads, which leaves no trace.

Two things are folded on the way. Their layer norm divides by the unbiased deviation of C channels,
so gamma is sqrt((C - 1) / C) of their scale. They add 1e-6 to that deviation; a variance plus
`EPSILON` in its place differs by 1e-6 of the token's deviation at most.
"""

import re

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.layers import strides_for
from mpm_keras.masking import count_hidden_frames
from mpm_keras.models.lifter import MPMLifter
from mpm_keras.models.presets import named_weights
from mpm_keras.models.pretrainer import MPMPretrainer
from mpm_keras.models.refiner import MPMRefiner

HEADS = 8
EPSILON = 1e-12
HIDDEN_SHARE = 0.6  # of the frames, in stage I

# Stored, but read by no computation of theirs.
UNUSED = re.compile(
    r".*\.num_batches_tracked|(shared_layers_temporal|decoder[23]d|Transformer_reduce)\.model\.norm\.[ab]_2"
    r"|Transformer_reduce\.model\.pos_embedding_[123]"  # those beyond the number of strided blocks
)
# P-STMO's stage II is the same network under other names.
P_STMO_NAMES = (
    (re.compile(r"encoder\.(fc_1|bn_1)\."), r"encoder2d.\1."),
    (re.compile(r"encoder\.(layers|fc_2)\."), r"shared_layers_spatial.\1."),
    (re.compile(r"Transformer\."), "shared_layers_temporal."),
)


def network_from_released(state: dict, name="state dict"):
    """The network that a released state dict belongs to, with its weights, for evaluation or training.

    Args:
        state: {name: array}, with or without the `module.` prefix of `DataParallel`; stage I
            (`MPMPretrainer`, one block a decoder), completion (the same with two blocks, and no
            hidden frames), stage II (`MPMLifter`) or the refine module (`MPMRefiner`). P-STMO's
            stage II is taken too.
        name: what messages call it, such as its file.

    Raises:
        InputError: a tensor is missing, left over, of an unexpected shape or not finite; the
            message has its name.
    """
    state = plain_names(state, name)
    kind, config = configuration(state, name)
    try:
        network = kind(**config)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error
    variables = named_weights(network)
    arrays, used = {}, set()
    for path, variable in variables.items():
        keys, convert = tensors_of(path, network)
        for key in keys:
            if key not in state:
                raise InputError(f"{name}: the tensor {key!r} is missing")
        used.update(keys)
        arrays[path] = fitted(convert, [state[key] for key in keys], tuple(variable.shape), keys[:1], name)
    if left := sorted(key for key in set(state) - used if not UNUSED.fullmatch(key)):
        raise InputError(f"{name}: the tensor {left[0]!r} has no place in the network ({len(left)} such tensors)")
    for path, array in arrays.items():
        variables[path].assign(array)
    return network


def plain_names(state, name) -> dict:
    """{name without prefix, as the authors call it: array}. Raises `InputError` for what is no state dict."""
    if not isinstance(state, dict) or not state:
        raise InputError(f"{name}: expected a state dict, tensors by name, found {type(state).__name__}")
    plain = {}
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, np.ndarray):
            raise InputError(f"{name}: expected tensors by name, found {type(value).__name__} under {key!r}")
        short = key.removeprefix("module.")
        if short in plain:
            raise InputError(f"{name}: the tensor {short!r} is there with and without the prefix 'module.'")
        plain[short] = value
    if "encoder.fc_1.weight" in plain:
        for pattern, new in P_STMO_NAMES:
            plain = {pattern.sub(new, key) if pattern.match(key) else key: value for key, value in plain.items()}
    return plain


# --- The configuration ----------------------------------------------------------------------------


def configuration(state: dict, name: str) -> tuple[type, dict]:
    """(class, keywords) of the network that the tensors make. Raises `InputError` where they make none.

    Every size is read off a tensor as large as the layer that it decides, so that a small file cannot
    ask for a large network.
    """
    if "post_refine.0.weight" in state:
        units, inputs = matrix(state, "post_refine.0.weight", name)
        matrix(state, "post_refine.3.weight", name, (inputs // 3, units))
        return MPMRefiner, {"joints": inputs // 6, "units": units}
    if not any(key.startswith("encoder2d.") for key in state):
        raise InputError(f"{name}: not a released network; neither 'encoder2d.*' nor 'post_refine.*' is there")
    encoder_width, inputs = matrix(state, "encoder2d.fc_1.weight", name)
    matrix(state, "shared_layers_spatial.layers.0.w1.weight", name, (encoder_width, encoder_width))
    width, _ = matrix(state, "shared_layers_spatial.fc_2.weight", name, (None, encoder_width))
    if width % HEADS:
        raise InputError(
            f"{name}: 'shared_layers_spatial.fc_2.weight' makes {width} channels, which {HEADS} heads split"
        )
    first_block = "shared_layers_temporal.model.layers.0"
    config = {
        "frames": matrix(state, "shared_layers_temporal.pos_embedding", name, (None, width), drop=0)[0],
        "joints": inputs // 2,
        "layers": count_blocks(state, "shared_layers_temporal", width, name),
        "width": width,
        "encoder_width": encoder_width,
        "heads": HEADS,
        "feed_forward": matrix(state, f"{first_block}.feed_forward.w_1.weight", name, (None, width))[0],
        "epsilon": EPSILON,
    }
    if any(key.startswith("Transformer_reduce.") for key in state):
        try:
            strides = strides_for(config["frames"])
        except ValueError as error:
            raise InputError(f"{name}: 'shared_layers_temporal.pos_embedding': {error}") from error
        if (found := count_blocks(state, "Transformer_reduce", width, name)) != len(strides):
            raise InputError(
                f"{name}: 'Transformer_reduce.model.layers.*' are {found} blocks, "
                f"the strides {strides} of {config['frames']} frames need {len(strides)}"
            )
        return MPMLifter, config
    blocks = count_blocks(state, "decoder2d", width, name)
    hidden = count_hidden_frames(config["frames"], HIDDEN_SHARE) if blocks == 1 else 0
    return MPMPretrainer, {**config, "decoder_blocks": blocks, "hidden_frames": hidden}


def matrix(state, key, name, expected=(None, None), drop=2) -> tuple[int, int]:
    """The two sizes of a tensor, without an axis of length 1 at `drop`. Raises `InputError` for other shapes."""
    if key not in state:
        raise InputError(f"{name}: the tensor {key!r} is missing")
    shape = list(state[key].shape)
    if len(shape) == 3 and shape[drop] == 1:
        del shape[drop]
    fits = len(shape) == 2 and all(n and e in (None, n) for n, e in zip(shape, expected, strict=True))
    if not fits:
        raise InputError(f"{name}: the tensor {key!r} has the unexpected shape {state[key].shape}")
    return tuple(shape)


def count_blocks(state, stack, width, name) -> int:
    """Transformer blocks of a stack. Raises `InputError` where there are none, or of another width."""
    count = 0
    while (key := f"{stack}.model.layers.{count}.self_attn.linears.0.weight") in state:
        matrix(state, key, name, (width, width))
        count += 1
    if not count:
        raise InputError(f"{name}: the tensor {key!r} is missing")
    return count


# --- One weight -----------------------------------------------------------------------------------


def dense(weight):
    """(out, in) or, for a kernel-1 convolution, (out, in, 1) -> (in, out)."""
    return weight[..., 0].T if weight.ndim == 3 and weight.shape[2] == 1 else weight.T


def conv(weight):
    """(out, in, kernel) -> (kernel, in, out)."""
    return weight.transpose(2, 1, 0)


def norm_scale(scale):
    """The scale of a division by the unbiased deviation -> by the biased one."""
    return np.sqrt((scale.size - 1) / scale.size).astype(np.float32) * scale


def as_is(value):
    return value


def first(value):
    """(1, ...) -> (...)."""
    return value[0]


# Our layer -> theirs; {} stands for a number or a modality, which both have.
PLACES = (
    (r"backbone/encoder_(2d|3d)/(dense|norm)", lambda m: f"encoder{m[1]}.{'fc_1' if m[2] == 'dense' else 'bn_1'}"),
    (r"backbone/spatial/project", lambda m: "shared_layers_spatial.fc_2"),
    (
        r"backbone/spatial/block_(\d)/(dense|norm)",
        lambda m: f"shared_layers_spatial.layers.0.{'w' if m[2] == 'dense' else 'batch_norm'}{m[1]}",
    ),
    (r"backbone/block_(\d+)", lambda m: f"shared_layers_temporal.model.layers.{m[1]}"),
    (r"decoder/block_(\d+)", lambda m: f"Transformer_reduce.model.layers.{m[1]}"),
    (r"decoder_(2d|3d)/block_(\d+)", lambda m: f"decoder{m[1]}.model.layers.{m[2]}"),
    (r"decoder/head/(dense|norm)", lambda m: f"fcn.{1 if m[1] == 'dense' else 0}"),
    (r"sequence_head/(dense|norm)", lambda m: f"fcn_1.{1 if m[1] == 'dense' else 0}"),
    (r"decoder_(2d|3d)/head/(dense|norm)", lambda m: f"fcn_dec{m[1]}.{1 if m[2] == 'dense' else 0}"),
    (r"norm", lambda m: "encoder_LN"),
    (r"mlp/(expand|weigh)", lambda m: f"post_refine.{0 if m[1] == 'expand' else 3}"),
)
BATCH_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
LAYER_NORM = {"gamma": ("a_2", norm_scale), "beta": ("b_2", as_is)}
# What stands alone, in no layer of theirs.
TENSORS = {
    "backbone/positions/positions": ("shared_layers_temporal.pos_embedding", first),
    "positions/positions": ("dec_pos_embedding", first),
    "frame_token/token": ("temporal_mask_token", np.ravel),
    "joint_token_2d/token": ("spatial_mask_token2d", np.ravel),
    "joint_token_3d/token": ("spatial_mask_token3d", np.ravel),
}


def tensors_of(path: str, network) -> tuple[tuple[str, ...], callable]:
    """(names of their tensors, function of these tensors) that give the weight at `path` of a network."""
    if path in TENSORS:
        key, convert = TENSORS[path]
        if isinstance(network, MPMLifter) and path == "joint_token_2d/token":
            return (), lambda: np.zeros(2, np.float32)  # theirs hides no joints in stage II
        return (key,), convert
    layer, _, weight = path.rpartition("/")
    if match := re.fullmatch(r"decoder/positions_(\d)", layer):
        rows = network.decoder.positions[int(match[1])].positions.shape[0]
        return (f"Transformer_reduce.model.pos_embedding_{int(match[1]) + 1}",), lambda table: table[0, :rows]
    if match := re.fullmatch(r"(.*block_\d+)/(norm_[12]|attention/.*|expand|contract)", layer):
        return block_tensors(place(match[1]), match[2], weight)
    if layer == "norm":
        name, convert = LAYER_NORM[weight]
        return (f"{place(layer)}.{name}",), convert
    if weight in BATCH_NORM:
        return (f"{place(layer)}.{BATCH_NORM[weight]}",), as_is
    return (f"{place(layer)}.{'weight' if weight == 'kernel' else 'bias'}",), dense if weight == "kernel" else as_is


def place(layer: str) -> str:
    """Their name of one of our layers."""
    for pattern, theirs in PLACES:
        if match := re.fullmatch(pattern, layer):
            return theirs(match)
    raise KeyError(layer)


def block_tensors(block: str, part: str, weight: str) -> tuple[tuple[str, ...], callable]:
    """`tensors_of` for a transformer block that they call `block`, plain or strided."""
    kind = "weight" if weight == "kernel" else "bias"
    if part.startswith("norm_"):
        name, convert = LAYER_NORM[weight]
        return (f"{block}.sublayer.{int(part[-1]) - 1}.norm.{name}",), convert
    if part == "attention/query_key_value":
        keys = tuple(f"{block}.self_attn.linears.{i}.{kind}" for i in range(3))
        return keys, lambda *parts: np.concatenate([p.T for p in parts], axis=-1)
    if part == "attention/output":
        return (f"{block}.self_attn.linears.3.{kind}",), dense if kind == "weight" else as_is
    if kind == "bias":
        convert = as_is
    else:
        convert = conv if part == "contract" and block.startswith("Transformer_reduce") else dense
    return (f"{block}.feed_forward.{'w_1' if part == 'expand' else 'w_2'}.{kind}",), convert


def fitted(convert, values, shape, keys, name) -> np.ndarray:
    """convert(*values) as float32 of a shape. Raises `InputError` that has the tensor's name."""
    found = " and ".join(str(value.shape) for value in values)
    for value in values:
        if value.dtype.kind != "f":
            raise InputError(f"{name}: the tensor {keys[0]!r} holds {value.dtype}, expected floating point")
        if not np.isfinite(value).all():
            raise InputError(f"{name}: the tensor {keys[0]!r} holds NaN or infinity")
    try:
        array = np.asarray(convert(*values), np.float32)
    except (ValueError, IndexError):  # of another rank, or parts that do not go together
        array = None
    if array is None or array.shape != shape:
        raise InputError(f"{name}: the tensor {keys[0]!r} has shape {found}, which does not make the {shape} needed")
    return array
