"""Errors of lifted clips: per frame, then averaged in total, per action, per subject and per joint.

The metrics are those of `mpm_keras.metrics`; this module only says which frames are averaged. Clips
come one by one, and only their errors are kept: 24 bytes a frame and predictor.
"""

import dataclasses
import re

import numpy as np

from mpm_keras import metrics
from mpm_keras.data.baselines import NearestPoses
from mpm_keras.data.views import Views
from mpm_keras.geometry import root_relative
from mpm_keras.inference.clips import MODES, lift_clip

POSE_METRICS = {
    "mpjpe_mm": metrics.mpjpe_mm,
    "p_mpjpe_mm": metrics.p_mpjpe_mm,
    "n_mpjpe_mm": metrics.n_mpjpe_mm,
    "pck_150mm": metrics.pck,
    "auc": metrics.auc,
}
VELOCITY = "velocity_error_mm_per_frame"
METRICS = (*POSE_METRICS, VELOCITY)
MEAN_POSE = "mean_pose"

_TAKE = re.compile(r"(\s+(take\s*)?\d+|\s*\d*\s*reps)$")


def action_name(text: str) -> str:
    """The action that a clip's words name: lower case, without trailing take numbers and repetitions.

    "a15 Skip to stand take 001" is "a15 skip to stand", "squat1Reps 004" is "squat", "Walking 1" of
    Human3.6M is "walking", and nothing is "unknown".
    """
    name, old = " ".join(text.lower().split()), None
    while name != old:
        name, old = _TAKE.sub("", name), name
    return name or "unknown"


def frame_errors(predicted, target, root: int = 0, step: int = 1) -> np.ndarray:
    """Errors of every `step`-th frame of one clip.

    Args:
        predicted: (N, J, 3) metres: all frames, or (ceil(N / step), J, 3): every step-th one.
        target: (N, J, 3) metres.
        root: the joint that both are made relative to.
        step: distance of the frames that count.

    Returns:
        (ceil(N / step), M) float32, one column per name in `METRICS`. The velocity error of a frame is that of
        the step that leads to it: NaN for the first frame, and everywhere where the frames before
        were not predicted.

    Raises:
        ValueError: for shapes that do not fit, NaN or infinity.
    """
    whole = len(predicted) == len(target)
    velocity = np.full(len(target), np.nan)
    if whole and len(target) > 1:
        velocity[1:] = metrics.velocity_error_mm(predicted, target, root=root)
    predicted, target = predicted[::step] if whole else predicted, target[::step]
    columns = []
    for function in POSE_METRICS.values():
        options = {} if function is metrics.p_mpjpe_mm else {"root": root}
        columns.append(function(predicted, target, **options))
    return np.stack([*columns, velocity[::step]], axis=1).astype(np.float32)


def joint_errors_mm(predicted, target, root: int = 0) -> np.ndarray:
    """(N, J) distance of each root-relative joint, mm, from poses (N, J, 3): MPJPE before its mean."""
    poses = (root_relative(pose, root)[:, :, None] for pose in (predicted, target))
    return metrics.mpjpe_mm(*poses, root=None)


@dataclasses.dataclass(frozen=True, eq=False)
class ClipErrors:
    """The errors of one predictor on one clip.

    Attributes:
        name, subject, action: of the clip, the action by `action_name`.
        frames: (n, M) float32 errors, see `frame_errors`.
        joints: (J,) sum over the frames of each joint's error, mm.
    """

    name: str
    subject: str
    action: str
    frames: np.ndarray
    joints: np.ndarray

    @classmethod
    def of(cls, view: Views, predicted, step: int = 1) -> "ClipErrors":
        """Compares predicted poses of a single view with its 3D, see `frame_errors`."""
        root = view.skeleton.root
        frames = frame_errors(predicted, view.pose_3d, root, step)
        seen = predicted[::step] if len(predicted) == view.num_frames else predicted
        joints = joint_errors_mm(seen, view.pose_3d[::step], root).sum(axis=0)
        return cls(view.names[0], view.subjects[0], action_name(view.actions[0]), frames, joints)

    @property
    def mpjpe_mm(self) -> float:
        """Mean over the frames."""
        return float(self.frames[:, METRICS.index("mpjpe_mm")].mean(dtype=np.float64))


@dataclasses.dataclass
class Evaluation:
    """The errors of one predictor on all clips. Means are over frames, in float64."""

    clips: list[ClipErrors] = dataclasses.field(default_factory=list)

    @property
    def num_frames(self) -> int:
        return sum(len(clip.frames) for clip in self.clips)

    def total(self) -> dict[str, float]:
        """{metric: mean over all frames}; one that no frame has is left out."""
        return mean_errors(self.clips)

    def by(self, field: str) -> dict[str, dict]:
        """{group: {"frames": number, metric: mean over its frames}}, sorted; field: "action" or "subject"."""
        groups = {}
        for clip in self.clips:
            groups.setdefault(getattr(clip, field), []).append(clip)
        return {
            name: {"frames": sum(len(clip.frames) for clip in clips), **mean_errors(clips)}
            for name, clips in sorted(groups.items())
        }

    def over_actions(self) -> dict[str, float]:
        """{metric: mean over actions of the mean over their frames}, as Human3.6M is reported."""
        actions = self.by("action").values()
        found = {name: [errors[name] for errors in actions if name in errors] for name in METRICS}
        return {name: float(np.mean(values)) for name, values in found.items() if values}

    def per_joint(self) -> np.ndarray:
        """(J,) mean error of each joint, mm; their mean is the MPJPE."""
        return sum(clip.joints for clip in self.clips) / self.num_frames


def mean_errors(clips) -> dict[str, float]:
    """{metric: mean over the frames that have it} of `ClipErrors`."""
    sums = sum(np.nansum(clip.frames, axis=0, dtype=np.float64) for clip in clips)
    counts = sum(np.isfinite(clip.frames).sum(axis=0) for clip in clips)
    return {name: float(s / n) for name, s, n in zip(METRICS, sums, counts, strict=True) if n}


def evaluate_clips(clips, predictors: dict, step: int = 1) -> dict[str, Evaluation]:
    """Runs predictors over clips.

    Args:
        clips: iterable of single `Views` with 2D and 3D.
        predictors: {name: function of a single `Views` that returns the poses `frame_errors` takes}.
        step: distance of the frames that count.

    Returns:
        {name: `Evaluation`}, its clips in the given order.
    """
    found = {name: Evaluation() for name in predictors}
    for view in clips:
        for name, predict in predictors.items():
            found[name].clips.append(ClipErrors.of(view, predict(view), step))
    return found


def lifters(
    network, skeleton, *, modes=MODES, stride=1, step=1, flip=True, batch_size=64, confidence_threshold=0.0
) -> dict:  # fmt: skip
    """Predictors that run `lift_clip`, one per mode; the arguments are its own, but for two.

    Args:
        step: center mode lifts only every step-th frame. Sequence mode always lifts all, so that it
            has velocities.
        confidence_threshold: joints whose detector confidence lies below are hidden; 0 trusts all.
    """

    def lifter(mode):
        options = {"mode": mode, "stride": stride, "step": step if mode == "center" else 1}

        def predict(view: Views):
            hidden = hidden_joints(view, confidence_threshold)
            return lift_clip(
                network, view.pose_2d, skeleton, hidden=hidden, flip=flip, batch_size=batch_size, **options
            )

        return predict

    return {mode: lifter(mode) for mode in modes}


def hidden_joints(view: Views, threshold: float) -> np.ndarray | None:
    """(F, J) bool: joints whose detector confidence lies below a threshold; None where all are trusted."""
    return None if threshold <= 0 or view.confidence is None else view.confidence < threshold


def nearest_predictor(bank: NearestPoses, confidence_threshold: float = 0.0):
    """Predicts the known pose that looks most like the 2D of each frame; see `lifters` for the threshold."""
    return lambda view: bank.find(view.pose_2d, hidden_joints(view, confidence_threshold))


def mean_pose_predictor(pose):
    """Predicts a (J, 3) pose, the mean of the training data, in every frame: what a network must beat."""
    pose = np.asarray(pose, np.float32)
    return lambda view: np.broadcast_to(pose, (view.num_frames, *pose.shape))
