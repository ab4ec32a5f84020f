"""What a preset says of its network beside the weights, checked."""

from types import SimpleNamespace

import numpy as np

from mpm_keras.data.detector import DETECTOR_NOISE
from mpm_keras.errors import InputError
from mpm_keras.models.presets import network_folder, read_preset
from mpm_keras.skeletons import get_skeleton

LARGEST = 1000  # frames a second, and frames between the poses of a window


def network_facts(path, network) -> SimpleNamespace:
    """The facts of a trained network's preset.

    Args:
        path: run folder or preset folder.
        network: what was loaded from it; its joints must be those of the skeleton.

    Returns:
        `skeleton` (name), `stride`, `fps`, `detector` ("none" where the preset has no such fact),
        `confidence_threshold` (0) and `mean_pose_3d` ((J, 3) or None).

    Raises:
        InputError: names the fact that is missing or does not fit.
    """
    file = network_folder(path) / "preset.json"
    facts = read_preset(network_folder(path))["facts"]
    for name, kinds in {"skeleton": str, "stride": int, "fps": (int, float)}.items():
        if not isinstance(facts.get(name), kinds):
            raise InputError(f"{file}: the fact {name!r} is missing or no {name}, found {repr(facts.get(name))[:80]}")
    try:
        joints = get_skeleton(facts["skeleton"]).num_joints
        mean = facts.get("mean_pose_3d")
        mean = None if mean is None else np.array(mean, np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{file}: {error}") from error
    if joints != network.joints or (mean is not None and mean.shape != (joints, 3)):
        raise InputError(f"{file}: skeleton {facts['skeleton']} does not fit a network of {network.joints} joints")
    if not (1 <= facts["stride"] <= LARGEST and 1 <= facts["fps"] <= LARGEST):
        found = f"{facts['stride']} and {facts['fps']}"[:80]
        raise InputError(f"{file}: stride and fps must be at least 1 and at most {LARGEST}, found {found}")
    optional = {"detector": "none", "confidence_threshold": 0.0}
    optional = {name: facts.get(name, default) for name, default in optional.items()}
    threshold = optional["confidence_threshold"]
    sound = isinstance(threshold, (int, float)) and 0 <= threshold <= 1
    if optional["detector"] not in ("none", *DETECTOR_NOISE) or not sound:
        raise InputError(f"{file}: detector and confidence_threshold make no sense, found {str(optional)[:80]}")
    needed = {name: facts[name] for name in ("skeleton", "stride", "fps")}
    return SimpleNamespace(**needed, **optional, mean_pose_3d=mean)
