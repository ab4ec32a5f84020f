"""Converts a checkpoint of the authors' PyTorch code into a preset of this package.

    python experiments/convert_checkpoint.py MPM_243.pth --out=presets/mpm_243
    python experiments/convert_checkpoint.py MPM_243.safetensors --out=presets/mpm_243     # needs no PyTorch

Takes stage I, completion, stage II and refine files, with and without the prefix `module.`; frames,
joints, layers and widths are read off the tensors. A tensor that is missing or left over ends the
conversion. Nothing in the file is run.
"""

import argparse
from pathlib import Path

import common

STAGES = {"MPMPretrainer": "pretrain", "MPMLifter": "finetune", "MPMRefiner": "refine"}
SKELETONS = {17: "h36m17", 16: "h36m16"}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="File that torch.save wrote, or .safetensors.")
    parser.add_argument("--out", required=True, help="Folder of the preset; made if need be.")
    parser.add_argument("--skeleton", help="Joints that it was trained with; by default h36m17 or h36m16, by number.")
    parser.add_argument("--fps", type=float, default=50.0, help="Frames a second of its training data.")
    parser.add_argument("--stride", type=int, default=2, help="Distance of a window's poses; 2 for Human3.6M, else 1.")
    return parser.parse_args()


def convert(arguments):
    from mpm_keras.errors import InputError
    from mpm_keras.models.presets import save_preset, sha256
    from mpm_keras.models.released import network_from_released
    from mpm_keras.models.state_dicts import read_state_dict
    from mpm_keras.skeletons import get_skeleton

    path, out = Path(arguments.checkpoint), Path(arguments.out)
    if not (arguments.fps >= 1 and arguments.stride >= 1):
        raise InputError(f"--fps and --stride must be at least 1, found {arguments.fps:g} and {arguments.stride}")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: expected a folder for --out, found a file")
    network = network_from_released(read_state_dict(path), path)
    name = arguments.skeleton or SKELETONS.get(network.joints)
    if name is None:
        raise InputError(f"{path}: has {network.joints} joints; name their --skeleton")
    try:
        skeleton = get_skeleton(name)
    except ValueError as error:
        raise InputError(f"--skeleton: {error}") from error
    if skeleton.num_joints != network.joints:
        raise InputError(
            f"{path}: has {network.joints} joints, {name} has {skeleton.num_joints}; name another --skeleton"
        )
    facts = {"skeleton": name, "stride": arguments.stride, "fps": arguments.fps, "normalization": "screen"}
    facts |= {"converted_from": path.name, "converted_from_sha256": sha256(path)}
    facts["license"] = "unknown: the authors' repository names none"
    save_preset(network, out, stage=STAGES[type(network).__name__], **facts)
    size = {key: value for key, value in network.get_config().items() if key in ("frames", "joints", "layers")}
    print(f"{out}: {type(network).__name__} {size}, {network.module_parameters()['total']:,} parameters")


def main():
    arguments = parse()
    common.check_backend()
    from mpm_keras.errors import InputError  # after the flags: --help needs no backend

    try:
        convert(arguments)
    except InputError as error:
        common.fail(error)


if __name__ == "__main__":
    main()
