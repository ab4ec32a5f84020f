"""Bone lengths of a lifted motion: measured, made constant, scaled to a person's height."""

import numpy as np

from mpm_keras.skeletons import H36M_17, Skeleton

# Stature over the bones from the top of the head down to an ankle: the median of the 37 people of
# the open motion archive (5 and 75 % of them: 1.00 and 1.05). The ankle's height above the floor
# adds to the bones, the bend of the neck takes some off.
STATURE_PER_BONES = 1.03


def bone_lengths(positions_3d, skeleton: Skeleton = H36M_17) -> np.ndarray:
    """The length of each bone: median over the frames, left and right averaged.

    Args:
        positions_3d: (F, J, 3); joints that are NaN do not count.
        skeleton: the J joints.

    Returns:
        (J,) float64 length of the bone that ends in each joint, in the unit of the positions; 0 for
        the root joint and for bones never seen.

    Raises:
        ValueError: for a wrong shape.
    """
    lengths = np.zeros(skeleton.num_joints)
    points = _checked(positions_3d, skeleton)
    for parent, joint in skeleton.bones:
        length = np.linalg.norm(points[:, joint] - points[:, parent], axis=-1)
        length = length[np.isfinite(length)]
        lengths[joint] = np.median(length) if len(length) else 0.0
    return (lengths + lengths[skeleton.flip_order]) / 2


def steady_bones(positions_3d, skeleton: Skeleton = H36M_17, lengths=None) -> np.ndarray:
    """A motion whose bones keep their length and left and right are alike; directions stay.

    Args:
        positions_3d: (F, J, 3).
        skeleton: the J joints.
        lengths: (J,) as `bone_lengths` gives them, which is the default.

    Returns:
        (F, J, 3) of the floating-point type given; the root joint stays where it is. A bone of no
        length in some frame has no direction: it then points where it last did, at first straight
        along the y axis.

    Raises:
        ValueError: for wrong shapes, or lengths that are negative or not finite.
    """
    points = _checked(positions_3d, skeleton)
    lengths = bone_lengths(points, skeleton) if lengths is None else np.asarray(lengths, np.float64)
    if lengths.shape != (skeleton.num_joints,) or not (np.isfinite(lengths) & (lengths >= 0)).all():
        raise ValueError(f"expected {skeleton.num_joints} lengths, none negative, found {lengths}")
    steady = points.copy()
    for joint in _from_the_root(skeleton):
        parent = skeleton.parents[joint]
        steady[:, joint] = steady[:, parent] + lengths[joint] * directions(points[:, joint] - points[:, parent])
    dtype = np.asarray(positions_3d).dtype
    return steady.astype(dtype) if dtype.kind == "f" else steady


def scale_to_height(positions_3d, height_m: float, skeleton: Skeleton = H36M_17) -> tuple[np.ndarray, float]:
    """Scales a motion to a person's height: one view cannot tell a tall person far off from a short one near by.

    Args:
        positions_3d: (F, J, 3).
        height_m: the person's stature without shoes, metres.
        skeleton: the J joints.

    Returns:
        The scaled motion, of the floating-point type given, and the factor.

    Raises:
        ValueError: for a wrong shape, a height out of 0.3 to 3 m, or a skeleton without size.
    """
    if not 0.3 <= height_m <= 3:
        raise ValueError(f"expected a height of 0.3 to 3 m, found {height_m}")
    points = _checked(positions_3d, skeleton)
    bones = stature(points, skeleton)
    if not bones > 0:
        raise ValueError("the bones from head to ankle have no length")
    factor = float(height_m / bones)
    dtype = np.asarray(positions_3d).dtype
    return (points * factor).astype(dtype if dtype.kind == "f" else np.float64), factor


def stature(positions_3d, skeleton: Skeleton = H36M_17) -> float:
    """A person's height by the bones from the top of the head to an ankle, in the unit of the positions.

    Right to some 3 % for adults whose bones are right.
    """
    lengths = bone_lengths(positions_3d, skeleton)
    chain = [*_ancestors(skeleton, "Head"), *_ancestors(skeleton, "LFoot")[:-1]]  # without the half hip width
    return float(STATURE_PER_BONES * lengths[chain].sum())


def directions(vectors) -> np.ndarray:
    """(F, 3) unit vectors; one of no length repeats the one before it, at first the y axis. NaN stays NaN."""
    vectors = np.asarray(vectors, np.float64)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    usable = ~(length[:, 0] <= 1e-9)  # also NaN, which is not to be hidden
    last = np.maximum.accumulate(np.where(usable, np.arange(len(vectors)), -1))
    unit = vectors / np.where(usable[:, None], length, 1.0)
    return np.where(last[:, None] < 0, [0.0, 1.0, 0.0], unit[last])


def _ancestors(skeleton: Skeleton, joint: str) -> list[int]:
    """The joint and those above it, without the root: their bones lead up to the root."""
    chain = [skeleton.index(joint)]
    while skeleton.parents[chain[-1]] != skeleton.root:
        chain.append(skeleton.parents[chain[-1]])
    return chain


def _from_the_root(skeleton: Skeleton) -> list[int]:
    """All joints but the root, each after its parent."""
    order = [skeleton.root]
    for joint in order:
        order.extend(child for parent, child in skeleton.bones if parent == joint)
    return order[1:]


def _checked(positions_3d, skeleton: Skeleton) -> np.ndarray:
    points = np.asarray(positions_3d, np.float64)
    if points.ndim != 3 or points.shape[1:] != (skeleton.num_joints, 3):
        raise ValueError(f"expected positions (F, {skeleton.num_joints}, 3) of {skeleton.name}, found {points.shape}")
    return points
