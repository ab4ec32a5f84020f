"""From the camera frame to a scene with an up: what TRC, C3D and BVH hold.

The camera frame has x to the right of the picture, y down and z away from the camera. The scene has
y up, x to the right of the picture and z towards the camera: somebody who faces the camera faces +z,
as programs for animation expect. Both are right-handed. How the camera is tilted cannot be seen in
joints alone, so it is taken to be level unless the direction of gravity is given.
"""

import dataclasses

import numpy as np

from mpm_keras.inference.lifted import LiftedMotion

LEVEL = (0.0, 1.0, 0.0)  # gravity in the frame of a camera that is held level
FLOORS = ("clip", "frame", "none")

# How high above the floor a joint is when its body part rests on it, metres.
_ANKLE_CLEARANCE, _CLEARANCE = 0.08, 0.03


@dataclasses.dataclass(frozen=True)
class Placement:
    """How a lifted person is put into a scene.

    Attributes:
        gravity: the direction of gravity in the camera frame, of any length (`gravity_of_pitch`).
        floor: "clip" puts the floor, y = 0, under the lowest joints of the clip (their 5th percentile,
            so that jumps stay jumps); "frame" puts the lowest joint of every frame on it, which keeps
            feet on the ground where no trajectory says how the hips move; "none" leaves y as it is.

    Raises `ValueError` for another floor, or gravity that is no direction or along the optical axis.
    """

    gravity: tuple[float, float, float] = LEVEL
    floor: str = "clip"

    def __post_init__(self):
        if self.floor not in FLOORS:
            raise ValueError(f"unknown floor {self.floor!r}; known: {', '.join(FLOORS)}")
        scene_rotation(self.gravity)


def gravity_of_pitch(degrees: float) -> tuple[float, float, float]:
    """Gravity in the frame of a camera that looks down by so many degrees, up if negative, without roll."""
    return (0.0, float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees))))


def scene_rotation(gravity=LEVEL) -> np.ndarray:
    """(3, 3) camera frame -> scene; z of the scene is level and points back to the camera.

    Raises `ValueError` where gravity is no direction or the camera looks straight up or down.
    """
    gravity = np.asarray(gravity, np.float64)
    if gravity.shape != (3,) or not np.isfinite(gravity).all() or not np.linalg.norm(gravity) > 0:
        raise ValueError(f"gravity must be a direction (x, y, z) in the camera frame, found {gravity.tolist()}")
    up = -gravity / np.linalg.norm(gravity)
    back = np.array([0.0, 0.0, -1.0])
    back = back - up * (back @ up)
    if np.linalg.norm(back) < 1e-6:
        raise ValueError(f"a camera that looks straight up or down has no level forward: gravity {gravity.tolist()}")
    back /= np.linalg.norm(back)
    return np.stack([np.cross(up, back), up, back])


def scene_positions(motion: LiftedMotion, placement: Placement = Placement()) -> np.ndarray:
    """A lifted person in the scene.

    With a trajectory the camera stands above the origin and the person moves; several people of one
    video then stand as they stood to each other. Without, the root joint stays above the origin.

    Returns:
        (F, J, 3) float64 metres, y up; NaN where the motion has it.
    """
    points = np.asarray(motion.positions_3d, np.float64)
    if moves(motion):
        points = points + np.asarray(motion.trajectory, np.float64)[:, None]
    points = points @ scene_rotation(placement.gravity).T
    if placement.floor == "none":
        return points
    clearance = np.full(points.shape[1], _CLEARANCE)
    clearance[[motion.skeleton.index("LFoot"), motion.skeleton.index("RFoot")]] = _ANKLE_CLEARANCE
    heights = points[..., 1] - clearance
    lowest = np.where(np.isnan(heights), np.inf, heights).min(axis=1)
    seen = np.isfinite(lowest)
    if not seen.any():
        return points
    if placement.floor == "clip":
        lowest = np.full(len(points), np.percentile(lowest[seen], 5))
    points[..., 1] -= np.where(np.isfinite(lowest), lowest, 0.0)[:, None]
    return points


def moves(motion: LiftedMotion) -> bool:
    """Whether the person's way through the scene is known."""
    return motion.trajectory is not None and bool(np.isfinite(motion.trajectory).all())
