"""Converts a checkpoint of the authors' PyTorch code into a preset of this package.

    python experiments/convert_checkpoint.py MPM_243.pth --out=presets/mpm_243
    python experiments/convert_checkpoint.py MPM_243.safetensors --out=presets/mpm_243     # needs no PyTorch

Takes stage I, completion, stage II and refine files, with and without the prefix `module.`; frames,
joints, layers and widths are read off the tensors. A tensor that is missing or left over ends the
conversion. Nothing in the file is run.
"""

from pathlib import Path

from absl import flags

from mpm_keras import command_line, flag_sets

flag_sets.define_config_flag()
flags.DEFINE_string("out", None, "Folder of the preset; made if need be.")
flags.DEFINE_string("skeleton", None, "Joints that it was trained with; by default h36m17 or h36m16, by their number.")
flags.DEFINE_float("fps", 50.0, "Frames a second of its training data.", 1.0, 1000.0)
flags.DEFINE_integer(
    "stride", 2, "Distance of a window's poses in its training, in frames; 2 for Human3.6M, else 1.", 1, 1000
)

STAGES = {"MPMPretrainer": "pretrain", "MPMLifter": "finetune", "MPMRefiner": "refine"}
SKELETONS = {17: "h36m17", 16: "h36m16"}
LICENSE = "unknown: the authors' repository names none"


def main(words):
    config = command_line.settings()
    if len(words) > 1:
        command_line.fail(f"expected one checkpoint, found {len(words)}")
    if not config["out"]:
        command_line.fail("--out is needed: the folder of the preset")
    from mpm_keras.errors import InputError  # after the flags: --help needs no backend
    from mpm_keras.models.presets import save_preset, sha256
    from mpm_keras.models.released import network_from_released
    from mpm_keras.models.state_dicts import read_state_dict

    path, out = Path(words[0]), Path(config["out"])
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: expected a folder for --out, found a file")
    network = network_from_released(read_state_dict(path), path)
    facts = {"stage": STAGES[type(network).__name__], "skeleton": skeleton_of(config["skeleton"], network.joints, path)}
    facts |= {"stride": config["stride"], "fps": config["fps"], "normalization": "screen", "license": LICENSE}
    save_preset(network, out, **facts, converted_from=path.name, converted_from_sha256=sha256(path))
    size = {key: value for key, value in network.get_config().items() if key in ("frames", "joints", "layers")}
    print(f"{out}: {type(network).__name__} {size}, {network.module_parameters()['total']:,} parameters")


def skeleton_of(name, joints, path) -> str:
    """The skeleton that was named or that has so many joints. Raises `InputError` where it does not fit."""
    from mpm_keras.errors import InputError
    from mpm_keras.skeletons import get_skeleton

    name = name or SKELETONS.get(joints)
    if name is None:
        raise InputError(f"{path}: has {joints} joints; name their --skeleton")
    try:
        skeleton = get_skeleton(name)
    except ValueError as error:
        raise InputError(f"--skeleton: {error}") from error
    if skeleton.num_joints != joints:
        raise InputError(f"{path}: has {joints} joints, {name} has {skeleton.num_joints}; name another --skeleton")
    return name


if __name__ == "__main__":
    command_line.run(main, positional="CHECKPOINT")
