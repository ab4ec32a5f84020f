"""Parameters and floating point operations of the networks, module by module (paper, Tables 5 and D).

Operations are counted from the shapes of a network's own weights, per window. Two rules:

- `flops`: two for every multiply-add of a matrix product or a convolution, attention's products
  included. What PyTorch's `FlopCounterMode` counts.
- `flops_paper`: the rule that gives the paper's decoders and encoders to the last digit: the same, without
  attention's two products, and eight for every number that a batch norm reads.

Parameters are those that training changes. `parameters_paper` leaves out what the paper's counter does
not see: layer norms, tables of positions and mask tokens.
"""

import math

import keras

from mpm_keras.layers import (
    FramePositions,
    FrameToken,
    JointToken,
    PoseDecoder,
    PoseHead,
    SelfAttention,
    SpatialMLP,
    StridedDecoder,
    StridedTransformerBlock,
    TransformerBlock,
)
from mpm_keras.layers.encoder import DenseBlock
from mpm_keras.models.lifter import MPMLifter
from mpm_keras.models.pretrainer import MPMPretrainer

_COUNTED = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.BatchNormalization)
_UNCOUNTED = (keras.layers.LayerNormalization, FramePositions, FrameToken, JointToken)


def steps(layer, frames: int):
    """What a layer does to a window of so many frames, as (layer with weights or attention, frames it puts out).

    Raises `TypeError` for a layer that is not one of ours.
    """
    if isinstance(layer, (*_COUNTED, *_UNCOUNTED)):
        yield layer, frames
    elif isinstance(layer, SelfAttention):
        yield from ((layer.query_key_value, frames), (layer, frames), (layer.output_dense, frames))
    elif isinstance(layer, StridedDecoder):
        for i, block in enumerate(layer.blocks):
            yield from ((positions, frames) for positions in layer.positions[i : i + 1])
            yield from steps(block, frames)
            frames = -(-frames // block.stride)
        yield from steps(layer.head, frames)
    else:
        for part in _parts(layer):
            after = -(-frames // layer.stride) if _strided(layer, part) else frames
            yield from steps(part, after)


def _parts(layer) -> list:
    """The layers within a layer, in the order in which they run."""
    if isinstance(layer, (DenseBlock, PoseHead)):
        return [layer.dense, layer.norm]
    if isinstance(layer, SpatialMLP):
        return [layer.block_1, layer.block_2, layer.project]
    if isinstance(layer, TransformerBlock):
        return [layer.norm_1, layer.attention, layer.norm_2, layer.expand, layer.contract]
    if isinstance(layer, PoseDecoder):
        return [*layer.blocks, layer.head]
    raise TypeError(f"the operations of {type(layer).__name__} are not known")


def _strided(layer, part) -> bool:
    return isinstance(layer, StridedTransformerBlock) and part is layer.contract


def cost(layers, frames: int) -> dict:
    """Parameters and operations of layers that run one after the other on a window.

    Args:
        layers: built layers, as in a network's modules.
        frames: poses that go in.

    Returns:
        `parameters`, `parameters_paper`, `flops` and `flops_paper`, see above.
    """
    total = dict.fromkeys(("parameters", "parameters_paper", "flops", "flops_paper"), 0)
    for layer, count in (step for module in layers for step in steps(module, frames)):
        if isinstance(layer, SelfAttention):
            total["flops"] += 4 * count**2 * layer.width  # scores, and their product with the values
            continue
        size = sum(math.prod(v.shape) for v in layer.trainable_variables)
        total["parameters"] += size
        if not isinstance(layer, _COUNTED):
            continue
        total["parameters_paper"] += size
        if isinstance(layer, keras.layers.BatchNormalization):
            total["flops_paper"] += 8 * count * layer.gamma.shape[0]
        else:
            total["flops"] += 2 * count * math.prod(layer.kernel.shape)
            total["flops_paper"] += 2 * count * math.prod(layer.kernel.shape)
    return total


def measure(frames=243, joints=16, layers=4, hidden_frames=0, **sizes) -> dict:
    """The cost of every module of the two networks, and of what they do.

    Args:
        frames, joints, layers, sizes: of the networks, as in `MPMPretrainer` and `MPMLifter`.
        hidden_frames: frames that the temporal mask of stage I drops before the transformer.

    Returns:
        {module: see `cost`} with the rows of Table 5, each on whole windows, `head_sequence`, one shared
        `block`, and in all `stage_2` (lifting a window) and, with the mask, `stage_1_2d` and `stage_1_3d`.
    """
    sizes = {"frames": frames, "joints": joints, "layers": layers, **sizes}
    first, second = MPMPretrainer(hidden_frames=hidden_frames, **sizes), MPMLifter(**sizes)
    spatial, *temporal = first.backbone.shared
    modules = {f"encoder_{m}": [first.backbone.encoders[m]] for m in ("2d", "3d")}
    modules |= {"shared": first.backbone.shared}
    modules |= {f"decoder_{m}": [first.decoders[m]] for m in ("2d", "3d")}
    modules |= {"decoder_stage_2": [second.decoder], "head_sequence": [second.sequence_head]}
    found = {name: cost(module, frames) for name, module in modules.items()}
    parts = [found[name] for name in ("encoder_2d", "shared", "decoder_stage_2", "head_sequence")]
    found["stage_2"], found["block"] = _sum(parts), cost(temporal[-1:], frames)
    for m in ("2d", "3d"):
        tokens = [first.joint_tokens[m], first.norm, first.frame_token, first.positions]
        unmasked = [found[f"encoder_{m}"], cost([spatial, *tokens], frames), found[f"decoder_{m}"]]
        found[f"stage_1_{m}"] = _sum([*unmasked, cost(temporal, frames - hidden_frames)])
    return found


def _sum(costs) -> dict:
    return {name: sum(cost[name] for cost in costs) for name in costs[0]}
