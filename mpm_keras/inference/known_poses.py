"""The training poses that a baseline looks up: who has no network takes the most similar known pose."""

import dataclasses

import numpy as np

from mpm_keras.data.baselines import NearestPoses
from mpm_keras.data.sources import SourceOptions, load_splits
from mpm_keras.errors import InputError

NEAREST = "nearest_pose"
_FPS, _CAMERAS = 5.0, 2  # neighbouring frames are alike: few of many clips, each seen from two sides
_SEED = 1  # other cameras than those of the clips that are evaluated


def nearest_poses(data, options: SourceOptions, most: int) -> NearestPoses:
    """A bank of what the training subjects do, as the network's input has it, without a detector's errors.

    Args:
        data: sources, as for training.
        options: of the evaluation: joints, detector and split.
        most: poses, spread evenly over what there is.

    Raises:
        InputError: no training subject has 2D and 3D.
    """
    detector = "none" if options.detector == "none" else "exact"
    options = dataclasses.replace(
        options, fps=_FPS, cameras=_CAMERAS, detector=detector, seed=options.seed + _SEED, weights=(), mixture=""
    )
    views = [v for v in load_splits(data, options, ("train",))["train"] if v.pose_2d is not None]
    views = [v for v in views if v.pose_3d is not None]
    if not views:
        raise InputError(f"{', '.join(map(str, data))}: no training subject has 2D and 3D poses to look up")
    flat, deep = (np.concatenate([getattr(v, f"pose_{m}") for v in views]) for m in ("2d", "3d"))
    chosen = np.unique(np.linspace(0, len(flat) - 1, min(most, len(flat))).round().astype(int))
    return NearestPoses(flat[chosen], deep[chosen])
