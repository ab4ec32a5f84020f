"""Rotations for inverse kinematics: from a direction to another, and Euler angles that do not jump."""

import numpy as np

# Of the angles' middle axis, where the two others turn about the same line: cosines smaller than this.
_LOCKED = 1e-4


def swing(rest, directions) -> np.ndarray:
    """(F, 3, 3) the smallest rotations that turn one unit vector (3,) into each of (F, 3) unit vectors."""
    rest, directions = np.asarray(rest, np.float64), np.asarray(directions, np.float64)
    x, y, z = np.cross(rest, directions).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    together = 1 + directions @ rest
    opposite = together < 1e-10
    turned = np.eye(3) + cross + cross @ cross / np.where(opposite, 1.0, together)[:, None, None]
    # Opposite vectors leave the axis open: half a turn about an axis across.
    across = np.eye(3)[np.argmin(np.abs(rest))]
    across = across - rest * (across @ rest)
    across /= np.linalg.norm(across)
    return np.where(opposite[:, None, None], 2 * np.outer(across, across) - np.eye(3), turned)


def upright_frames(up, left) -> np.ndarray:
    """(F, 3, 3) rotations with the y axis `up`, (F, 3) unit vectors, and the x axis as near to `left` as it can be."""
    frames = swing([0.0, 1.0, 0.0], up)
    x, _, z = np.einsum("fji,fj->fi", frames, left).T
    angle = np.arctan2(-z, x)  # 0 where left is along up
    cosine, sine, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    twist = np.stack([cosine, zero, sine, zero, one, zero, -sine, zero, cosine], axis=-1).reshape(-1, 3, 3)
    return frames @ twist


def euler_angles(matrices, order: str) -> np.ndarray:
    """Rotations as three angles that run on from frame to frame.

    `Z X Y` stands for R = R_z R_x R_y, as channels of a BVH file do. Of the two triples that make the
    same rotation, and their full turns, each frame takes the nearest to the frame before.

    Args:
        matrices: (F, 3, 3).
        order: such as "ZXY".

    Returns:
        (F, 3) float64 radians, in the order given; the first frame's middle angle is within 90 degrees.

    Raises:
        ValueError: for an order that is not the three axes.
    """
    if sorted(order) != ["X", "Y", "Z"]:
        raise ValueError(f"expected an order of the axes X, Y and Z, found {order!r}")
    i, j, k = ("XYZ".index(axis) for axis in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    matrices = np.asarray(matrices, np.float64)
    first = np.arctan2(-sign * matrices[:, j, k], matrices[:, k, k])
    free = np.hypot(matrices[:, j, k], matrices[:, k, k]) > _LOCKED
    # Where the first and the last axis coincide the first angle is arbitrary: it stays as it was.
    last = np.maximum.accumulate(np.where(free, np.arange(len(matrices)), -1))
    first = np.where(last < 0, 0.0, first[last])
    rows = np.cos(first)[:, None], sign * np.sin(first)[:, None]
    # What is left when the first rotation is undone: R_j R_k.
    row_j = rows[0] * matrices[:, j] + rows[1] * matrices[:, k]
    row_k = rows[0] * matrices[:, k] - rows[1] * matrices[:, j]
    middle = np.arctan2(sign * matrices[:, i, k], row_k[:, k])
    final = np.arctan2(sign * row_j[:, i], row_j[:, j])
    return _continued(np.stack([first, middle, final], axis=-1))


def _continued(angles) -> np.ndarray:
    """Takes for each frame, of the equal triples of angles, the one nearest to the frame before."""
    other = np.stack([angles[:, 0] + np.pi, np.pi - angles[:, 1], angles[:, 2] + np.pi], axis=-1)
    both = np.stack([angles, other], axis=1)  # (F, 2, 3)
    last = angles[0]
    for i in range(1, len(angles)):
        near = last + np.remainder(both[i] - last + np.pi, 2 * np.pi) - np.pi
        angles[i] = last = near[np.argmin(np.abs(near - last).sum(axis=-1))]
    return angles
