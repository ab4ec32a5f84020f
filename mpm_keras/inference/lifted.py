"""The result of lifting one person: what writers, viewer and users get."""

import dataclasses

import numpy as np

from mpm_keras.skeletons import H36M_17, Skeleton


@dataclasses.dataclass(frozen=True, eq=False)
class LiftedMotion:
    """3D motion of one person, one row per frame of the input.

    Attributes:
        name: of the person, such as "person1".
        positions_3d: (F, J, 3) float32 metres, camera frame (x right, y down, z forward), relative
            to the root joint.
        filled: (F, J) bool, joints that the detector did not give and the network filled in.
        fps: frames a second.
        keypoints_2d: (F, J, 2) float32 pixels, NaN where not seen.
        confidence: (F, J) float32 in [0, 1], 0 where not seen.
        image_size: (width, height) in pixels.
        trajectory: (F, 3) float32 the root joint in the camera frame, metres, approximate; None
            where it was not asked for or cannot be known.
        assumptions: JSON values that say what was taken for granted.
        skeleton: the J joints.
    """

    name: str
    positions_3d: np.ndarray
    filled: np.ndarray
    fps: float
    keypoints_2d: np.ndarray
    confidence: np.ndarray
    image_size: tuple[int, int]
    trajectory: np.ndarray | None = None
    assumptions: dict = dataclasses.field(default_factory=dict)
    skeleton: Skeleton = H36M_17
