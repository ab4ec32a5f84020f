"""Stage I weights into a stage II network, module by module."""

import math

from mpm_keras.models.lifter import MPMLifter
from mpm_keras.models.pretrainer import MPMPretrainer


def shared_modules(network) -> dict:
    """{module: layer} of what stage I and stage II have in common, 2D side."""
    token = network.joint_token if isinstance(network, MPMLifter) else network.joint_tokens["2d"]
    modules = {"joint_token_2d": token, "encoder_2d": network.backbone.encoders["2d"]}
    modules |= {"spatial_mlp": network.backbone.spatial, "positions": network.backbone.positions}
    return modules | {f"block_{i}": block for i, block in enumerate(network.backbone.blocks)}


def lifter_modules(network: MPMLifter) -> dict:
    """{module: layer} of a whole lifter."""
    return {**shared_modules(network), "decoder": network.decoder, "sequence_head": network.sequence_head}


def decoder_modules(network) -> dict:
    """{module: layer} of the 3D decoder of stage I, where a lifter has that one."""
    if isinstance(network, MPMLifter):
        decoder = network.decoder
        return {"norm": decoder.norm, "positions_3d": decoder.positions, "decoder_3d": decoder.poses}
    return {"norm": network.norm, "positions_3d": network.positions, "decoder_3d": network.decoders["3d"]}


def transfer(source: MPMPretrainer | MPMLifter, target: MPMLifter) -> int:
    """Copies the 2D encoder, v^S and the shared layers, batch norm statistics included; of a lifter everything.

    The decoders of stage I stay behind, as in the released code, unless the lifter has the 3D one
    (`decoder="stage1"`). Returns the number of parameters.

    Raises:
        ValueError: names the first module or tensor that one side lacks or has in another shape;
            nothing is copied then.
    """
    if source.normalization != target.normalization:
        raise ValueError(
            f"normalization: the pre-trained network has {source.normalization!r}, the network to fine-tune "
            f"{target.normalization!r}"
        )
    pairs = []
    modules = lifter_modules if isinstance(source, MPMLifter) else shared_modules
    sources, targets = modules(source), modules(target)
    if target.decoder_of == "stage1" and isinstance(source, MPMPretrainer):
        sources |= decoder_modules(source)
        targets |= decoder_modules(target)
    for name in sources | targets:
        if name not in sources or name not in targets:
            where = "the pre-trained network" if name not in sources else "the network to fine-tune"
            raise ValueError(f"{name}: {where} has no such module; use the same --layers")
        pairs += match_weights(name, sources[name].weights, targets[name].weights)
    for old, new in pairs:
        new.assign(old.value)
    return sum(math.prod(old.shape) for old, _ in pairs)


def match_weights(module, sources, targets) -> list:
    """[(source, target)] variables of one module. Raises `ValueError` naming a tensor that differs."""
    if len(sources) != len(targets):
        raise ValueError(f"{module}: {len(sources)} tensors against {len(targets)}")
    for old, new in zip(sources, targets, strict=True):
        name = f"{module}/{new.path.split(module + '/')[-1]}"
        if old.path.split("/")[-1] != new.path.split("/")[-1]:
            raise ValueError(f"{name}: the pre-trained network has {old.path} in its place")
        if tuple(old.shape) != tuple(new.shape):
            raise ValueError(f"{name}: shape {tuple(old.shape)} in the pre-trained network, {tuple(new.shape)} here")
    return list(zip(sources, targets, strict=True))
