"""A virtual camera that follows the person: what is seen, independent of where in the picture.

A person at the edge of a wide picture is seen at an angle, so that the pose in the camera's frame
depends on the framing. Turning the camera about its centre, until it looks at the person, is exact
for all rays and needs no depth; poses are lifted in the turned frame and turned back. Only the focal
length must be known or assumed; an error in it matters less the nearer the person is to the
picture's centre.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

# The camera follows slowly, so that a step or a jump stays motion of the person.
FOLLOW_SECONDS = 0.5


def rays_of(pixels, focal, center) -> np.ndarray:
    """(..., 2) pixels -> (..., 2) float64 ideal image points (X/Z, Y/Z) of a lens without distortion."""
    return (np.asarray(pixels, np.float64) - center) / focal


def follow(rays, seen, fps) -> tuple[np.ndarray, np.ndarray]:
    """Turns the camera, frame by frame, to where the person is, smoothed over time.

    Args:
        rays: (F, J, 2) ideal image points; those of joints that are not seen are not looked at.
        seen: (F, J) bool.
        fps: frames a second.

    Returns:
        rays in the turned frames (F, J, 2) float32, zero where not seen; the turns (F, 3, 3) float64,
        camera frame -> turned frame. Frames that show nothing look where their neighbours look.

    Raises:
        ValueError: for shapes that do not fit.
    """
    rays, seen = np.asarray(rays, np.float64), np.asarray(seen, bool)
    if rays.ndim != 3 or rays.shape[-1] != 2 or seen.shape != rays.shape[:2]:
        raise ValueError(f"expected rays (F, J, 2) and seen (F, J), found {rays.shape} and {seen.shape}")
    rays = np.where(seen[..., None], rays, 0.0)
    turns = turns_to(smooth_path(rays, seen, fps))
    directions = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1)
    turned = np.einsum("fij,fkj->fki", turns, directions)
    turned = turned[..., :2] / np.maximum(turned[..., 2:], 1e-3)
    return np.where(seen[..., None], turned, 0.0).astype(np.float32), turns


def smooth_path(rays, seen, fps) -> np.ndarray:
    """(F, 2) where the person is: the mean of the joints seen, gaps interpolated, smoothed over time."""
    count = seen.sum(axis=1)
    found = np.flatnonzero(count)
    if not len(found):
        return np.zeros((len(rays), 2))
    mean = rays.sum(axis=1)[found] / count[found, None]
    path = np.stack([np.interp(np.arange(len(rays)), found, mean[:, d]) for d in range(2)], axis=1)
    return gaussian_filter1d(path, FOLLOW_SECONDS * fps, axis=0, mode="nearest")


def turns_to(points) -> np.ndarray:
    """(F, 2) image points -> (F, 3, 3) smallest rotations that bring each to the picture's centre.

    The smallest rotation has its axis in the image plane; mirroring the picture mirrors it.
    """
    x, y = np.moveaxis(np.asarray(points, np.float64), -1, 0)
    length = np.sqrt(x * x + y * y + 1)
    x, y, z = x / length, y / length, 1 / length
    k = 1 / (1 + z)  # Rodrigues' formula of the rotation of (x, y, z) to (0, 0, 1)
    rows = [[1 - k * x * x, -k * x * y, -x], [-k * x * y, 1 - k * y * y, -y], [x, y, z]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def turn_poses(poses, turns) -> np.ndarray:
    """(F, J, 3) poses or (F, 3) points in the camera frame -> the turned frames, float32."""
    return np.einsum("fij,f...j->f...i", turns, poses).astype(np.float32)


def turn_back(poses, turns) -> np.ndarray:
    """Inverse of `turn_poses`."""
    return np.einsum("fji,f...j->f...i", turns, poses).astype(np.float32)
