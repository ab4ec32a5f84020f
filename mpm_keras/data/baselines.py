"""What anybody can predict without a network: hidden joints by interpolation, 3D by the most similar known pose."""

import numpy as np

_LEAST_JOINTS = 3  # two joints look like those of any pose, once moved and enlarged
_ROWS = 128  # poses that are compared with all known ones at a time


def interpolate_hidden(poses: np.ndarray, hidden: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    """Fills hidden joints by linear interpolation in time between the frames that show them.

    Before the first and after the last frame that shows a joint its value is held; a joint that no
    frame shows takes the fallback.

    Args:
        poses: (B, F, J, D).
        hidden: (B, F, J) bool.
        fallback: (J, D), such as the mean pose of the training data.

    Returns:
        (B, F, J, D).
    """
    filled = np.array(poses)
    time = np.arange(poses.shape[1])
    for b, j in np.ndindex(poses.shape[0], poses.shape[2]):
        seen = ~hidden[b, :, j]
        if not seen.any():
            filled[b, :, j] = fallback[j]
            continue
        for d in range(poses.shape[3]):
            filled[b, ~seen, j, d] = np.interp(time[~seen], time[seen], poses[b, seen, j, d])
    return filled


class NearestPoses:
    """Known poses, of which the one that looks most like a 2D pose answers for its 3D.

    Alike is what lies on each other once it is moved and enlarged to fit best, by the sum of squared
    distances of the joints that are seen. So neither framing nor missing joints decide.

    Args:
        poses_2d: (M, J, 2), all joints known.
        poses_3d: (M, J, 3) what is answered.

    Raises:
        ValueError: for shapes that do not fit, or no pose.
    """

    def __init__(self, poses_2d, poses_3d):
        poses_2d, self.poses_3d = np.asarray(poses_2d, np.float32), np.asarray(poses_3d, np.float32)
        if not len(poses_2d) or poses_2d.shape[2:] != (2,) or self.poses_3d.shape != (*poses_2d.shape[:2], 3):
            raise ValueError(f"expected (M, J, 2) and (M, J, 3), found {poses_2d.shape} and {self.poses_3d.shape}")
        poses_2d = poses_2d - poses_2d.mean(axis=1, keepdims=True)
        size = np.sqrt(np.square(poses_2d).sum(axis=(1, 2), keepdims=True))
        self._known = np.moveaxis(poses_2d / np.maximum(size, 1e-9), 0, -1).copy()  # (J, 2, M)
        self._squares = np.square(self._known).sum(axis=1)

    def find(self, pose_2d, hidden=None) -> np.ndarray:
        """(N, J, 3) answers to (N, J, 2) poses whose joints `hidden` (N, J) are not looked at.

        A pose with fewer than three joints seen takes the answer of the nearest one in time that
        shows more; where none does, the mean of all known poses.
        """
        pose_2d = np.asarray(pose_2d, np.float32)
        seen = np.ones(pose_2d.shape[:2], np.float32) if hidden is None else 1 - np.asarray(hidden, np.float32)
        enough = np.flatnonzero(seen.sum(axis=1) >= _LEAST_JOINTS)
        if not len(enough):
            return np.repeat(self.poses_3d.mean(axis=0, keepdims=True), len(pose_2d), axis=0)
        chosen = np.concatenate(
            [self._nearest(pose_2d[rows], seen[rows]) for rows in np.split(enough, range(_ROWS, len(enough), _ROWS))]
        )
        nearest = np.abs(np.arange(len(pose_2d))[:, None] - enough).argmin(axis=1)
        return self.poses_3d[chosen[nearest]]

    def _nearest(self, pose_2d, seen):
        """(n,) the known pose with the highest correlation to each of n poses, over the joints seen."""
        count = seen.sum(axis=1, keepdims=True)
        pose_2d = np.where(seen[..., None] > 0, pose_2d, 0.0)
        pose_2d = (pose_2d - (pose_2d.sum(axis=1) / count)[:, None]) * seen[..., None]
        joints, axes, known = self._known.shape
        along = pose_2d.reshape(len(pose_2d), joints * axes) @ self._known.reshape(joints * axes, known)
        moved = sum(np.square(seen @ self._known[:, axis]) for axis in range(axes)) / count
        return (along / np.sqrt(np.maximum(seen @ self._squares - moved, 1e-6))).argmax(axis=1)
