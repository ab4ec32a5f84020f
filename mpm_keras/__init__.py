"""Masked Pose Modeling on Keras 3: one transformer for 2D and 3D human motion.

Names are imported when they are first used, so that `import mpm_keras` starts no backend.
"""

import importlib

__version__ = "0.1.0"

_WHERE = {
    "InputError": "mpm_keras.errors",
    "H36M_16": "mpm_keras.skeletons",
    "H36M_17": "mpm_keras.skeletons",
    "Skeleton": "mpm_keras.skeletons",
    "get_skeleton": "mpm_keras.skeletons",
    "Motion": "mpm_keras.data.motion",
    "Views": "mpm_keras.data.views",
    "film": "mpm_keras.data.cameras",
    "read_motion": "mpm_keras.data.readers",
    "synthetic_motion": "mpm_keras.data.synthetic",
    "PartMasking": "mpm_keras.masking",
    "PoseMasking": "mpm_keras.masking",
    "MPMBackbone": "mpm_keras.models",
    "MPMLifter": "mpm_keras.models",
    "MPMPretrainer": "mpm_keras.models",
    "MPMRefiner": "mpm_keras.models",
    "load_preset": "mpm_keras.models",
    "save_preset": "mpm_keras.models",
    "LiftedMotion": "mpm_keras.inference.lifted",
    "PoseLifter": "mpm_keras.inference.pose_lifter",
    "StreamingLifter": "mpm_keras.inference.streaming",
    "export_preset": "mpm_keras.export",
    "complete_clip": "mpm_keras.inference.clips",
    "lift_clip": "mpm_keras.inference.clips",
}

__all__ = [*_WHERE, "__version__"]


def __getattr__(name):
    if name not in _WHERE:
        raise AttributeError(f"module 'mpm_keras' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__():
    return sorted(__all__)
