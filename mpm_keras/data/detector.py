"""What a 2D detector makes of filmed motion: its joints, its errors, its gaps.

A detector's joints are not those of motion capture: its thorax is the middle of the shoulders, the
hips stand where annotators saw them, and the head is known by nose and ears. Here 17 mocap joints
become the COCO joints of a detector, in 3D; 2D and 3D then come of them by the one table
`FROM_DETECTOR`, as they do for a real detector's keypoints. What differs between detectors and
people (hips, shoulders, face, errors) is drawn anew for every view.
"""

import dataclasses

import numpy as np
from scipy.ndimage import gaussian_filter1d

from mpm_keras.data.cameras import CameraRanges, camera_rng
from mpm_keras.data.views import Views
from mpm_keras.following import follow, rays_of, turn_poses
from mpm_keras.geometry import project
from mpm_keras.skeletons import COCO_17, H36M_17, from_detector, joint_weights

# Cameras as people hold them: from the floor to above the head, tilted, near and far, wide and long lenses.
WIDE_RANGES = CameraRanges(
    focal=(1.2, 4.0), distance=(1.5, 7.0), height=(0.0, 3.5), target_jitter=0.5, roll=20.0, nearest=0.7, border=-1.0
)

_COPIED = {
    "left_shoulder": "LShoulder", "right_shoulder": "RShoulder", "left_elbow": "LElbow", "right_elbow": "RElbow",
    "left_wrist": "LWrist", "right_wrist": "RWrist", "left_hip": "LHip", "right_hip": "RHip", "left_knee": "LKnee",
    "right_knee": "RKnee", "left_ankle": "LFoot", "right_ankle": "RFoot",
}  # fmt: skip
_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
SIDES = {
    "legs": ("hip", "knee", "ankle"),
    "arms": ("shoulder", "elbow", "wrist"),
    "body": ("hip", "knee", "ankle", "shoulder", "elbow", "wrist", "eye", "ear"),
}
_FEET = [i for i, joint in enumerate(COCO_17.joints) if joint.endswith("ankle")]
_SHINS = [i for i, joint in enumerate(COCO_17.joints) if joint.endswith(("knee", "ankle"))]
# What a film may never show: limbs behind something, or what lies below the picture's edge.
_UNSEEN = [
    *COCO_17.limbs.values(), COCO_17.limb("left_leg", "right_leg"), COCO_17.limb("left_arm", "right_arm"),
    COCO_17.limb("left_arm", "left_leg"), COCO_17.limb("right_arm", "right_leg"), _SHINS, _FEET,
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class DetectorNoise:
    """How a detector errs. Lengths are shares of the person's height in the picture.

    Attributes:
        level: (low, high) factor on bias, drift and jitter, drawn log-uniformly per view.
        bias: standard deviation of a joint's constant offset.
        drift: of its slow error; it changes over `drift_seconds`.
        jitter: of its error frame by frame.
        outliers: probability that a joint is somewhere near, not where it should be.
        outlier: how far off it is then.
        occlusions: expected number of body parts hidden per second.
        seconds: (low, high) of a gap, log-uniform.
        guessed: share of hidden joints that the detector places all the same, badly, with a good score.
        lost: expected number of gaps per second in which the person is not found.
        exchanged: share of views in which left and right change places now and then.
        slow: share of views filmed at one of `rates` frames a second and interpolated.
        focal: standard deviation of the logarithm of the assumed over the true focal length.
        unseen: share of views in which a limb or more is never found.
    """

    level: tuple[float, float] = (0.3, 2.0)
    bias: float = 0.008
    drift: float = 0.010
    drift_seconds: float = 0.2
    jitter: float = 0.004
    outliers: float = 0.002
    outlier: float = 0.1
    occlusions: float = 0.12
    seconds: tuple[float, float] = (0.1, 2.0)
    guessed: float = 0.3
    lost: float = 0.02
    exchanged: float = 0.15
    slow: float = 0.3
    rates: tuple[float, ...] = (15.0, 24.0, 30.0)
    focal: float = 0.15
    unseen: float = 0.0


EXACT = DetectorNoise(
    level=(1e-9, 1e-9), outliers=0.0, occlusions=0.0, lost=0.0, exchanged=0.0, slow=0.0, focal=0.0
)  # fmt: skip
# By the names of `--detector`.
DETECTOR_NOISE = {"exact": EXACT, "noisy": DetectorNoise(), "occluded": DetectorNoise(unseen=0.25)}


def detect(views: Views, noise: DetectorNoise | None = None, seed: int = 0) -> Views:
    """Views as a detector and a following camera give them.

    Args:
        views: of H36M_17 motion capture with 3D, root paths and known intrinsics, without distortion.
        noise: how the detector errs; `EXACT` for its joints without errors.
        seed: a view's errors are a function of this and its name.

    Returns:
        Views with the joints of `FROM_DETECTOR`; `pose_2d` are image points (X/Z, Y/Z) of the camera
        that follows the person (see `follow`), zero where not found, with `confidence`; `pose_3d` and
        `root_3d` stand in its frame, and `intrinsics` are its own.

    Raises:
        ValueError: for another skeleton, or views without 3D, root paths or intrinsics.
    """
    noise = noise or DetectorNoise()
    if views.skeleton.name != H36M_17.name or views.root_3d is None or np.isnan(views.intrinsics).any():
        raise ValueError(f"a detector needs {H36M_17.name} views with 3D, root paths and intrinsics")
    joints = views.skeleton.num_joints
    pose_2d, confidence = (
        np.empty((views.num_frames, joints, 2), np.float32),
        np.empty((views.num_frames, joints), np.float32),
    )
    pose_3d, root_3d = np.empty((views.num_frames, joints, 3), np.float32), np.empty((views.num_frames, 3), np.float32)
    weights = joint_weights(COCO_17)
    for i in range(views.num_views):
        frames, fps = slice(views.offsets[i], views.offsets[i + 1]), float(views.fps[i])
        rng, camera = camera_rng(seed, views.names[i] + " detected", 0), views.camera(i)
        body = coco_joints(views.pose_3d[frames] + views.root_3d[frames, None], fps, rng)
        pixels, scores = observe(project(np.maximum(body, [-np.inf, -np.inf, 0.1]), camera), fps, noise, rng)
        points, sure = from_detector(pixels, scores, COCO_17)
        focal = camera.focal * np.exp(noise.focal * rng.standard_normal())
        seen = sure > 0
        pose_2d[frames], turns = follow(
            rays_of(np.where(seen[..., None], points, 0.0), focal, camera.center), seen, fps
        )
        derived = np.einsum("jk,fkd->fjd", weights, body)
        root_3d[frames] = turn_poses(derived[:, 0], turns)
        pose_3d[frames] = turn_poses(derived - derived[:, :1], turns)
        confidence[frames] = sure
    size = views.image_size.astype(np.float32)
    intrinsics = np.zeros_like(views.intrinsics)
    intrinsics[:, 0] = intrinsics[:, 1] = intrinsics[:, 2] = size[:, 0] / 2  # normalised screen = X/Z, Y/Z
    intrinsics[:, 3] = size[:, 1] / 2
    return dataclasses.replace(
        views, pose_2d=pose_2d, confidence=confidence, pose_3d=pose_3d, root_3d=root_3d, intrinsics=intrinsics
    )  # fmt: skip


def coco_joints(body, fps, rng) -> np.ndarray:
    """(F, 17, 3) mocap joints in the camera frame -> (F, 17, 3) COCO joints of one person and one detector."""
    joint = {name: body[:, H36M_17.index(name)] for name in H36M_17.joints}
    found = {coco: joint[name] for coco, name in _COPIED.items()}
    trunk = unit(joint["Thorax"] - joint["Hip"])
    for part, width, lift in (("hip", rng.uniform(0.75, 1.15), rng.uniform(-0.03, 0.04)),
                              ("shoulder", rng.uniform(0.9, 1.05), rng.uniform(-0.03, 0.01))):  # fmt: skip
        left, right = found[f"left_{part}"], found[f"right_{part}"]
        middle, half = (left + right) / 2 + lift * trunk, width * (left - right) / 2
        found[f"left_{part}"], found[f"right_{part}"] = middle + half, middle - half
    up = unit(joint["Head"] - joint["Thorax"])
    right = unit(found["right_shoulder"] - found["left_shoulder"])
    right = unit(right - up * (right * up).sum(axis=-1, keepdims=True))
    ahead = np.cross(up, right)
    yaw = 0.4 * wander(len(body), 1, 0.7 * fps, rng)  # mocap joints do not tell where the face looks
    ahead, right = np.cos(yaw) * ahead + np.sin(yaw) * right, np.cos(yaw) * right - np.sin(yaw) * ahead
    # Sources disagree about neck and head; an adult's ears are some 0.4 of the trunk above the shoulders.
    chest = (found["left_shoulder"] + found["right_shoulder"]) / 2
    trunk_length = np.median(np.linalg.norm(chest - joint["Hip"], axis=-1))
    ears = chest + rng.uniform(0.36, 0.43) * trunk_length * unit(joint["Head"] - chest)
    ears = ears + rng.uniform(0.0, 0.03) * ahead
    nose = ears + rng.uniform(0.08, 0.12) * ahead - rng.uniform(-0.01, 0.04) * up
    eyes = nose - 0.02 * ahead + 0.035 * up
    for name, place, side in zip(_FACE, (nose, eyes, eyes, ears, ears), (0, -0.03, 0.03, -0.07, 0.07), strict=True):
        found[name] = place + side * right
    return np.stack([found[name] for name in COCO_17.joints], axis=1)


def observe(pixels, fps, noise, rng) -> tuple[np.ndarray, np.ndarray]:
    """Exact (F, K, 2) pixels -> what the detector says, NaN where not found, and its scores (F, K)."""
    frames, joints, _ = pixels.shape
    height = np.median(np.ptp(pixels, axis=1).max(axis=-1))
    level = np.exp(rng.uniform(*np.log(noise.level)))
    error = noise.bias * rng.standard_normal((1, joints, 2))
    error = error + noise.drift * wander(frames, joints * 2, noise.drift_seconds * fps, rng).reshape(frames, joints, 2)
    error = level * (error + noise.jitter * rng.standard_normal((frames, joints, 2)))
    jumps = rng.random((frames, joints, 1)) < noise.outliers
    error = error + jumps * noise.outlier * rng.standard_normal((frames, joints, 2))
    scores = np.clip(0.9 - 0.1 * np.abs(rng.standard_normal((frames, joints))), 0.35, 1.0)
    for joint_set, gap in gaps(frames, fps, noise, rng):
        if rng.random() < noise.guessed:
            error[gap, joint_set] += 0.04 * rng.standard_normal((1, len(joint_set), 2))
        else:
            scores[gap, joint_set] = rng.uniform(0.0, 0.3, (1, len(joint_set)))
    found = pixels + height * error
    if rng.random() < noise.exchanged:
        exchange(found, scores, fps, rng)
    for gap in intervals(frames, fps, noise.lost, noise.seconds, rng):
        scores[gap] = 0.0
    if rng.random() < noise.slow:
        found, scores = at_rate(found, scores, fps, rng.choice(noise.rates))
    if noise.unseen and rng.random() < noise.unseen:
        scores[:, list(_UNSEEN[rng.integers(len(_UNSEEN))])] = 0.0
    scores = np.where(scores > 0.05, scores, 0.0)
    return np.where(scores[..., None] > 0, found, np.nan), scores


def gaps(frames, fps, noise, rng) -> list:
    """[(joints, frames)] body parts that are hidden: one joint, a limb, or one side of it."""
    parts = [(j,) for j in range(5, COCO_17.num_joints)] * 1 + list(COCO_17.limbs.values()) * 3
    parts += [COCO_17.limb("left_leg", "right_leg"), COCO_17.limb("left_arm", "right_arm"), tuple(range(5))]
    found = intervals(frames, fps, noise.occlusions, noise.seconds, rng)
    return [(list(parts[rng.integers(len(parts))]), gap) for gap in found]


def intervals(frames, fps, rate, seconds, rng) -> list[slice]:
    """Spans of frames that begin `rate` times a second and last between `seconds`."""
    found = []
    for _ in range(rng.poisson(rate * frames / fps)):
        start, length = rng.integers(frames), np.exp(rng.uniform(*np.log(seconds))) * fps
        found.append(slice(start, start + max(1, round(length))))
    return found


def exchange(found, scores, fps, rng):
    """Swaps left and right, in place, for some spans of a view."""
    for gap in intervals(len(found), fps, 0.3, (0.05, 0.6), rng):
        kinds = SIDES[rng.choice(list(SIDES))]
        pairs = [p for p in COCO_17.pairs if COCO_17.joints[p[0]].endswith(kinds)]
        left, right = [p[0] for p in pairs], [p[1] for p in pairs]
        for values in (found, scores):
            values[gap, left], values[gap, right] = values[gap, right].copy(), values[gap, left].copy()


def at_rate(found, scores, fps, rate) -> tuple[np.ndarray, np.ndarray]:
    """The detections of a slower camera, interpolated to the frames of this one."""
    frames = np.arange(len(found))
    kept = np.unique(np.round(np.arange(0, len(found), max(fps / rate, 1.0))).astype(int).clip(0, len(found) - 1))
    flat = found[kept].reshape(len(kept), -1)
    between = np.stack([np.interp(frames, kept, column) for column in flat.T], axis=1).reshape(found.shape)
    after = np.searchsorted(kept, frames).clip(0, len(kept) - 1)
    before = np.maximum(after - (kept[after] > frames), 0)
    return between, np.minimum(scores[kept[before]], scores[kept[after]])


def wander(frames, columns, sigma, rng) -> np.ndarray:
    """(frames, columns) smooth noise of unit variance that changes over about `sigma` frames."""
    smooth = gaussian_filter1d(rng.standard_normal((frames, columns)), sigma, axis=0, mode="wrap")
    return smooth * np.sqrt(2 * np.sqrt(np.pi) * max(sigma, 0.3))


def unit(vectors) -> np.ndarray:
    """Vectors of length one along the last axis."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
