"""From pixels to what a network takes and back, in `keras.ops`, so that it can stand in an exported graph."""

import numpy as np
from keras import ops
from scipy.ndimage import gaussian_filter1d

from mpm_keras.following import FOLLOW_SECONDS
from mpm_keras.inference.pose_lifter import ASSUMED_FOCAL

CAMERA = "metres relative to the root joint, camera frame (x right, y down, z forward)"

# Weight of all other frames of a window, so that a long gap looks where the rest of the window looks.
ELSEWHERE = 1e-6


class ScreenPixels:
    """The normalised screen, see `geometry.normalize_screen`.

    Attributes:
        meaning: of the 2D that the network takes.
        frame: that poses are in when this 2D is given directly.
    """

    meaning = "normalised screen: X / w * 2 - [1, h / w], x to the right, y down"
    frame = CAMERA

    def enter(self, keypoints, image_size, hidden=None):
        """(B, F, J, 2) pixels and (B, 2) width and height -> what the network takes, and what `leave` needs."""
        size = image_size[:, None, None, :]
        return (2.0 * keypoints - size) / size[..., :1], None

    def leave(self, poses, view):
        """(B, F', J, 3) of the network -> in the camera frame."""
        return poses


class FollowedPixels:
    """Rays of a virtual camera that follows the person, see `mpm_keras.following`.

    The camera looks where `follow` looks in a clip that consists of the window alone; only where
    frames show nothing it takes the smoothed neighbours instead of a straight line between them. The
    focal length is assumed, `ASSUMED_FOCAL` times the longer side of the picture.

    Args:
        frames: F.
        rate: poses a second in a window.

    Attributes as `ScreenPixels`.
    """

    meaning = (
        "image points (X / Z, Y / Z) of a camera that is turned, frame by frame, to the mean of the joints seen, "
        f"smoothed over time ({FOLLOW_SECONDS:g} s); signatures that take pixels do it themselves"
    )
    frame = f"{CAMERA}; the camera is the turned one"

    def __init__(self, frames, rate):
        weights = gaussian_filter1d(np.eye(frames), FOLLOW_SECONDS * rate, axis=0, mode="nearest") + ELSEWHERE
        self.weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)

    def enter(self, keypoints, image_size, hidden=None):
        size = image_size[:, None, None, :]
        rays = (keypoints - size / 2) / (ASSUMED_FOCAL * ops.max(size, axis=-1, keepdims=True))
        seen = ops.ones_like(rays[..., :1]) if hidden is None else 1.0 - ops.cast(hidden, "float32")[..., None]
        view = _axes(self._path(rays, seen))
        x, y, z, k = (v[:, :, None] for v in view)  # (B, F, 1)
        u, v = rays[..., 0], rays[..., 1]
        bent = k * (x * u + y * v) + 1.0
        depth = ops.maximum(x * u + y * v + z, 1e-3)
        turned = ops.stack([(u - x * bent) / depth, (v - y * bent) / depth], axis=-1)
        return turned * seen, view

    def leave(self, poses, view):
        if poses.shape[1] == 1:
            middle = self.weights.shape[0] // 2
            view = [v[:, middle : middle + 1] for v in view]
        x, y, z, k = (v[:, :, None] for v in view)
        u, v, w = (poses[..., d] for d in range(3))
        bent = k * (x * u + y * v) - w
        return ops.stack([u - x * bent, v - y * bent, z * w - x * u - y * v], axis=-1)

    def _path(self, rays, seen):
        """(B, F, 2) where the person is: the mean of the joints seen, smoothed over time."""
        count = ops.sum(seen, axis=2)  # (B, F, 1)
        found = ops.cast(count > 0, "float32")
        mean = ops.sum(rays * seen, axis=2) / ops.maximum(count, 1.0)
        share = ops.matmul(self.weights, found)
        return ops.matmul(self.weights, mean) / ops.maximum(share, ELSEWHERE * ELSEWHERE)


def _axes(path):
    """(B, F, 2) image points -> x, y, z of their unit vectors and k = 1 / (1 + z), each (B, F), see `turns_to`."""
    length = ops.sqrt(ops.sum(ops.square(path), axis=-1) + 1.0)
    z = 1.0 / length
    return [path[..., 0] * z, path[..., 1] * z, z, 1.0 / (1.0 + z)]


def pixels_for(network, facts):
    """How pixels enter a network, by its preset's facts: `detector`, and `fps` and `stride` of its windows."""
    if facts.get("detector", "none") == "none":
        return ScreenPixels()
    return FollowedPixels(network.frames, facts["fps"] / facts["stride"])
