"""Lifted poses made to agree with the keypoints that they were lifted from, and bones with themselves.

A network knows bodies, but not exactly where the rays of this picture run, nor that this person's bones
keep their length. Both are certain. What it says is therefore taken as a guess with an error, keypoints
as another, and the most likely poses are sought: least squares, frame by frame (Gauss and Newton).
"""

import numpy as np

from mpm_keras.skeletons import Skeleton

# Metres between joints, of adults as detectors see them: medians of the training subjects of the open motion
# protocol. Where a network is unsure it makes bones too short, and the median of a clip with them.
ADULT = {
    ("Hip", "RHip"): 0.088, ("RHip", "RKnee"): 0.421, ("RKnee", "RFoot"): 0.425, ("Hip", "LHip"): 0.088,
    ("LHip", "LKnee"): 0.421, ("LKnee", "LFoot"): 0.425, ("Hip", "Spine"): 0.236, ("Spine", "Thorax"): 0.236,
    ("Thorax", "Neck/Nose"): 0.213, ("Neck/Nose", "Head"): 0.149, ("Thorax", "LShoulder"): 0.185,
    ("LShoulder", "LElbow"): 0.282, ("LElbow", "LWrist"): 0.245, ("Thorax", "RShoulder"): 0.185,
    ("RShoulder", "RElbow"): 0.282, ("RElbow", "RWrist"): 0.245, ("LHip", "RHip"): 0.176,
    ("LShoulder", "RShoulder"): 0.369,
}  # fmt: skip
# Standard deviations, metres at the person's distance. Chosen on validation subjects (docs/lifting.md).
RAY, ACROSS, DEPTH, BONE = 0.03, 0.05, 0.06, 0.02
_STEPS, _ROUNDS = 2, 2  # of Gauss-Newton, with bone lengths taken anew in between
_LEAST_JOINTS = 6  # that place a person
_NEAREST = 0.3  # metres: nobody is closer to the camera
_ROWS = 512  # poses that are fitted at a time, to bound the memory


def fit_to_rays(poses, rays, seen, skeleton: Skeleton) -> np.ndarray:
    """The most likely poses, given those that a network lifted and the rays of the joints seen.

    Args:
        poses: (N, J, 3) metres, relative to the root, in the frame of the camera.
        rays: (N, J, 2) image points (X/Z, Y/Z) in that frame; those of joints not seen are not looked at.
        seen: (N, J) bool.
        skeleton: the J joints.

    Returns:
        (N, J, 3) float32, relative to the root. Unchanged where no frame shows six joints.

    Raises:
        ValueError: for shapes that do not fit.
    """
    poses, seen = np.asarray(poses, np.float64), np.asarray(seen, bool)
    if poses.shape != (*seen.shape, 3) or rays.shape != (*seen.shape, 2) or poses.shape[1] != skeleton.num_joints:
        raise ValueError(f"expected (N, J, 3), (N, J, 2) and (N, J), found {poses.shape}, {rays.shape}, {seen.shape}")
    rays = np.where(seen[..., None], np.asarray(rays, np.float64), 0.0)
    roots = root_path(poses, rays, seen)
    if roots is None:
        return poses.astype(np.float32)
    pairs, root = _pairs(skeleton), skeleton.root
    placed = poses + roots[:, None]
    for _ in range(_ROUNDS):
        lengths = _lengths(placed, skeleton, pairs)
        parts = [slice(start, start + _ROWS) for start in range(0, len(poses), _ROWS)]
        fits = [_fit(placed[p], poses[p], rays[p], seen[p], pairs, lengths, root) for p in parts]
        placed = np.concatenate(fits)
    return (placed - placed[:, root, None]).astype(np.float32)


def root_path(poses, rays, seen) -> np.ndarray | None:
    """(N, 3) where the root must be for poses to project onto their rays, by least squares; None if nowhere.

    Frames that show too little stand between their neighbours.
    """
    weight = seen.astype(np.float64)
    x, y, z = np.moveaxis(poses, -1, 0)
    u, v = np.moveaxis(rays, -1, 0)
    across, down = u * z - x, v * z - y

    def total(values):
        return (weight * values).sum(axis=1)

    one, none = total(np.ones_like(u)), np.zeros(len(poses))
    rows = [[one, none, -total(u)], [none, one, -total(v)], [-total(u), -total(v), total(u * u + v * v)]]
    normal = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    right = np.stack([total(across), total(down), -total(u * across + v * down)], axis=-1)
    enough = seen.sum(axis=1) >= _LEAST_JOINTS
    normal[~enough] = np.eye(3)
    found = np.linalg.solve(normal + 1e-9 * np.eye(3), right[..., None])[..., 0]
    known = np.flatnonzero(enough & (found[:, 2] > _NEAREST))
    if not len(known):
        return None
    return np.stack([np.interp(np.arange(len(poses)), known, found[known, axis]) for axis in range(3)], axis=-1)


def _pairs(skeleton) -> np.ndarray:
    """(P, 2) joints whose distance is fixed: those of `ADULT` that are bones here, or go across the body."""
    bones = {(skeleton.joints[a], skeleton.joints[b]) for a, b in skeleton.bones}
    across = {(a, b) for a, b in ADULT if a[1:] == b[1:]}
    return np.array([(skeleton.index(a), skeleton.index(b)) for a, b in ADULT if (a, b) in bones | across])


def _lengths(poses, skeleton, pairs) -> np.ndarray:
    """Length of each pair: half way between the clip's median, left and right alike, and an adult's."""
    own = np.median(np.linalg.norm(poses[:, pairs[:, 1]] - poses[:, pairs[:, 0]], axis=-1), axis=0)
    place = {frozenset(pair): k for k, pair in enumerate(pairs.tolist())}
    mirrored = [place[frozenset(skeleton.flip_order[pair].tolist())] for pair in pairs]
    usual = [ADULT[skeleton.joints[a], skeleton.joints[b]] for a, b in pairs]
    return np.sqrt(np.maximum((own + own[mirrored]) / 2, 1e-3) * usual)


def _fit(placed, poses, rays, seen, pairs, lengths, root) -> np.ndarray:
    """(n, J, 3) in the camera frame after some steps of Gauss-Newton."""
    count, joints, _ = placed.shape
    certain = np.array([ACROSS, ACROSS, DEPTH]) ** -2.0
    relative = np.eye(joints)
    relative[:, root] -= 1.0  # rows: a joint against the root
    prior = np.einsum("ij,ik,a,ab->jakb", relative, relative, certain, np.eye(3))
    down = np.zeros((count, joints, 2, 3))  # of a joint's place to its distance from the ray
    down[..., 0, 0] = down[..., 1, 1] = 1.0
    down[..., 2] = -rays
    weighted = down * (seen / RAY**2)[..., None, None]
    own = np.einsum("njra,njrb->njab", weighted, down)
    for _ in range(_STEPS):
        normal = np.repeat(prior[None], count, axis=0)
        slope = np.einsum("njra,njrb,njb->nja", weighted, down, placed, optimize=True)
        slope += np.einsum("ij,nia->nja", relative, (placed - placed[:, root, None] - poses) * certain)
        for j in range(joints):
            normal[:, j, :, j] += own[:, j]
        for (a, b), length in zip(pairs, lengths, strict=True):
            bone = placed[:, b] - placed[:, a]
            size = np.maximum(np.linalg.norm(bone, axis=-1, keepdims=True), 1e-6)
            pull, along = bone * (1 - length / size) / BONE**2, bone / size
            slope[:, b] += pull
            slope[:, a] -= pull
            stiff = along[:, :, None] * along[:, None] / BONE**2
            for one, other, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
                normal[:, one, :, other] += sign * stiff
        normal = normal.reshape(count, 3 * joints, 3 * joints) + np.eye(3 * joints)
        placed = placed - np.linalg.solve(normal, slope.reshape(count, -1, 1)).reshape(placed.shape)
    return placed
