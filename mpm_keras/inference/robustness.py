"""What lifting is worth when detector, camera and film are not what one would wish: one condition at a time.

Motion capture is filmed by virtual cameras and seen by a simulated detector, as in training, but by
people who were not trained on. From there on it goes the whole way of `experiments/lift.py`: left and
right are put right, outliers dropped, keypoints resampled, the person followed, lifted and turned
back. Errors are root-relative in the frame of the camera, of the joints that the detector speaks of.
"""

import dataclasses

import numpy as np

from mpm_keras.data.cameras import CameraRanges, camera_rng
from mpm_keras.data.detector import WIDE_RANGES, DetectorNoise, coco_joints, observe, wander
from mpm_keras.data.views import Views
from mpm_keras.geometry import Camera, project
from mpm_keras.inference.evaluation import METRICS, frame_errors
from mpm_keras.inference.pose_lifter import PoseLifter
from mpm_keras.inference.resampling import poses_at
from mpm_keras.keypoints.detections import Track
from mpm_keras.keypoints.exchanges import mend_exchanges
from mpm_keras.keypoints.outliers import drop_outliers
from mpm_keras.skeletons import COCO_17, joint_weights

# A detector with ordinary errors that finds everybody all the time.
USUAL = DetectorNoise(level=(1.0, 1.0), occlusions=0.0, lost=0.0, exchanged=0.0, slow=0.0)
_HIDDEN_SECONDS, _EXCHANGED_SECONDS = 0.3, 0.15  # over which it changes who is hidden or exchanged
_NEAREST = 0.1  # metres in front of the camera, as `detect` has it
_SIDES = ("body", "body", "legs", "arms")  # what is exchanged at a time; mostly all of it


@dataclasses.dataclass(frozen=True)
class Condition:
    """How somebody is filmed, seen and lifted.

    Attributes:
        group, name: heading and row of the table.
        noise: how the detector errs.
        fps: frames a second of the film.
        cameras: what virtual cameras are drawn from.
        roll: degrees by which the camera is rolled to either side, beside what is drawn.
        focal: assumed focal length over the true one; None: what `PoseLifter` assumes of itself.
        missing: share of the joints that are not found, each for a while.
        limbs: limbs of `COCO_17` that are never found.
        gap: seconds in the middle of a clip in which nobody is found; errors are taken within.
        exchanged: share of the frames in which left and right are exchanged.
        mend: put them right, as lifting does.
        options: of `PoseLifter.lift`.
    """

    group: str
    name: str
    noise: DetectorNoise = USUAL
    fps: float = 50.0
    cameras: CameraRanges = WIDE_RANGES
    roll: float = 0.0
    focal: float | None = 1.0
    missing: float = 0.0
    limbs: tuple[str, ...] = ()
    gap: float = 0.0
    exchanged: float = 0.0
    mend: bool = True
    options: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class Take:
    """What a detector made of a clip, and the truth.

    Attributes:
        track: keypoints and scores, pixels.
        truth: (F, J, 3) metres, camera frame, relative to the root.
        measured: (F,) bool, frames whose errors count.
        camera: that filmed it.
        fps: frames a second.
    """

    track: Track
    truth: np.ndarray
    measured: np.ndarray
    camera: Camera
    fps: float


def take_of(view: Views, condition: Condition, seconds: float, seed: int = 0) -> Take | None:
    """Films the middle of a clip under a condition; None where it is too short for the condition's gap.

    Args:
        view: a single view of H36M_17 motion with 3D, root path and intrinsics.
        condition: see `Condition`.
        seconds: how much of the clip, at most.
        seed: errors are a function of this and the view's name, so that conditions are alike but for what differs.
    """
    rng, camera, fps = camera_rng(seed, view.names[0] + " robustness", 0), view.camera(0), float(view.fps[0])
    length = min(view.num_frames, max(2, round(seconds * fps)))
    start = (view.num_frames - length) // 2
    body = (view.pose_3d + view.root_3d[:, None])[start : start + length]
    turned = rolled(coco_joints(body, fps, rng), np.deg2rad(condition.roll * rng.choice([-1, 1])))
    frames = round((length - 1) / fps * condition.fps) + 1
    body = poses_at(turned, fps, condition.fps, frames).astype(np.float64)
    gap = round(condition.gap * condition.fps)
    if gap and frames < gap + condition.fps:
        return None
    found, scores = observe(
        project(np.maximum(body, [-np.inf, -np.inf, _NEAREST]), camera), condition.fps, condition.noise, rng
    )
    exchange(found, scores, condition, rng)
    scores[often(frames, scores.shape[1], condition.missing, _HIDDEN_SECONDS * condition.fps, rng)] = 0.0
    if condition.limbs:
        scores[:, COCO_17.limb(*condition.limbs)] = 0.0
    measured = np.ones(frames, bool)
    if gap:
        first = (frames - gap) // 2
        scores[first : first + gap] = 0.0
        measured = np.isin(np.arange(frames), np.arange(first, first + gap))
    points = np.where(scores[..., None] > 0, found, np.nan).astype(np.float32)
    derived = np.einsum("jk,fkd->fjd", joint_weights(COCO_17), body)
    track = Track(view.names[0], COCO_17, points, scores.astype(np.float32), np.zeros(frames, bool))
    return Take(track, (derived - derived[:, :1]).astype(np.float32), measured, camera, condition.fps)


def rolled(body, angle: float) -> np.ndarray:
    """(F, K, 3) as a camera sees it that is rolled by an angle about its axis."""
    cos, sin = np.cos(angle), np.sin(angle)
    return body @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


def often(frames, columns, share, sigma, rng) -> np.ndarray:
    """(frames, columns) bool, of which a share is true, for spans of a few `sigma` frames."""
    values = wander(frames, columns, sigma, rng)
    return values < np.quantile(values, share) if share > 0 else np.zeros(values.shape, bool)


def exchange(found, scores, condition, rng):
    """Swaps left and right, in place, in about a share of the frames; of all joints, of legs or of arms."""
    now = often(len(found), 1, condition.exchanged, _EXCHANGED_SECONDS * condition.fps, rng)[:, 0]
    starts = np.flatnonzero(np.diff(now, prepend=False) & now)
    for start in starts:
        stop = start + int(np.argmin(np.append(now[start:], False)))
        side = rng.choice(_SIDES)
        limbs = {"legs": ("left_leg",), "arms": ("left_arm",)}.get(side)
        left = range(COCO_17.num_joints) if limbs is None else COCO_17.limb(*limbs)
        pairs = np.array([pair for pair in COCO_17.pairs if pair[0] in left])
        for values in (found, scores):
            values[start:stop, pairs.ravel()] = values[start:stop, pairs[:, ::-1].ravel()]


class RuleLifter(PoseLifter):
    """All that `PoseLifter` does before and after the network, with another rule in its place.

    Args:
        facts: of the network that is compared with.
        rule: ((N, J, 2) image points of the following camera, (N, J) hidden) -> (N, J, 3).
    """

    def __init__(self, facts, rule):
        super().__init__(None, facts)
        self.rule = rule

    def lifted(self, pose_2d, hidden, **options):
        return self.rule(pose_2d, hidden)

    def fitted(self, poses, pose_2d, seen):
        return poses


def lift_take(lifter: PoseLifter, take: Take, condition: Condition) -> np.ndarray:
    """(F, J, 3): what `lift.py` makes of a take."""
    track = mend_exchanges(take.track, fps=take.fps) if condition.mend else take.track
    track = drop_outliers(track, fps=take.fps)
    intrinsics = None
    if condition.focal is not None:
        intrinsics = [*(take.camera.focal * condition.focal), *take.camera.center]
    options = {"image_size": take.camera.image_size, "fps": take.fps, "intrinsics": intrinsics, **condition.options}
    return lifter.lift(track.points, track.scores, skeleton=track.skeleton.name, **options).positions_3d


def measure(lifters: dict, takes, condition: Condition, step_seconds: float) -> dict:
    """A row of the table: mean errors of each lifter over the takes.

    Args:
        lifters: {name: `PoseLifter`}.
        takes: of the condition.
        step_seconds: distance of the frames whose errors are averaged.

    Returns:
        `group`, `condition`, `clips`, `frames` and `{lifter}_{metric}`.
    """
    row = {"group": condition.group, "condition": condition.name, "clips": len(takes), "frames": 0}
    step = max(1, round(step_seconds * condition.fps))
    for name, lifter in lifters.items():
        errors = []
        for take in takes:
            found = frame_errors(lift_take(lifter, take, condition), take.truth, lifter.skeleton.root)
            errors.append(found[np.flatnonzero(take.measured)[::step]])
        errors = np.concatenate(errors)
        row["frames"] = len(errors)
        row |= {
            f"{name}_{m}": float(v) for m, v in zip(METRICS, np.nanmean(errors, axis=0, dtype=np.float64), strict=True)
        }
    return row
