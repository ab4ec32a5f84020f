"""A trained network as a preset to ship: smaller weights, with the difference measured."""

from pathlib import Path

import numpy as np

from mpm_keras.data.cameras import film
from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.errors import InputError
from mpm_keras.inference.clips import complete_clip, lift_clip
from mpm_keras.inference.facts import network_facts
from mpm_keras.inference.pose_lifter import COMPLETION
from mpm_keras.models.lifter import MPMLifter
from mpm_keras.models.presets import load_network, load_preset, network_folder, read_preset, save_preset
from mpm_keras.models.pretrainer import MPMPretrainer
from mpm_keras.skeletons import get_skeleton


def pack(network, out, completion=None, storage="float32") -> dict:
    """Writes a preset.

    Args:
        network: run or preset folder of an `MPMLifter`.
        out: folder to write.
        completion: run or preset folder of an `MPMPretrainer` that completes 3D, or None.
        storage: "float32" or "float16".

    Returns:
        The facts of the lifter's preset, with `stored_as` and `stored_difference_mm`: the largest
        distance of a joint between predictions before and after, on synthetic motion.

    Raises:
        InputError: what is named holds no such network, the two do not fit, or `out` holds a preset.
    """
    out = Path(out)
    if (out / "preset.json").exists() or (out.exists() and not out.is_dir()):
        raise InputError(f"{out}: holds a preset already, or is a file; choose another folder")
    lifter = load_network(network, MPMLifter)
    facts = network_facts(network, lifter)
    completer = None if completion is None else load_network(completion, MPMPretrainer, hidden_frames=0)
    if completer is not None and (completer.joints, completer.frames) != (lifter.joints, lifter.frames):
        raise InputError(f"{completion}: its frames and joints are not those of {network}")
    found = _pack_one(lifter, network, out, storage, lambda net: _lifted(net, facts))
    if completer is not None:
        _pack_one(completer, completion, out / COMPLETION, storage, lambda net: _completed(net, facts))
    return found


def _pack_one(network, source, folder, storage, predict) -> dict:
    facts = {k: v for k, v in read_preset(network_folder(source))["facts"].items() if not k.startswith("stored")}
    half = None if storage == "float32" else storage
    save_preset(network, folder, storage=half, **facts)
    before, after = predict(network), predict(load_preset(folder))
    difference = float(1000 * np.linalg.norm(after - before, axis=-1).max())
    facts |= {"stored_as": storage, "stored_difference_mm": difference}
    save_preset(network, folder, storage=half, **facts)
    return facts


def _clip(facts):
    motion = synthetic_motion(clips=1, seconds=8.0, fps=facts.fps, seed=0)
    return film(motion, 1).to_skeleton(get_skeleton(facts.skeleton))


def _lifted(network, facts) -> np.ndarray:
    return lift_clip(
        network, _clip(facts).pose_2d, get_skeleton(facts.skeleton), stride=facts.stride, mode="center", step=5
    )


def _completed(network, facts) -> np.ndarray:
    skeleton, poses = get_skeleton(facts.skeleton), _clip(facts).pose_3d
    hidden = np.zeros(poses.shape[:2], bool)
    hidden[:, skeleton.limb("left_arm", "right_leg")] = True
    return complete_clip(network, poses, hidden, skeleton, stride=facts.stride)
