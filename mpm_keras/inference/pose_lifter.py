"""From a detector's keypoints to 3D, in one call."""

from pathlib import Path

import numpy as np

from mpm_keras.errors import InputError
from mpm_keras.following import follow, rays_of, smooth_path, turn_back, turns_to
from mpm_keras.geometry import normalize_screen
from mpm_keras.inference.clips import MODES, complete_clip, lift_clip
from mpm_keras.inference.facts import network_facts
from mpm_keras.inference.fitting import fit_to_rays
from mpm_keras.inference.lifted import LiftedMotion
from mpm_keras.inference.resampling import poses_at, resample_keypoints
from mpm_keras.inference.sightings import between_sightings
from mpm_keras.keypoints.gaps import fill_gaps
from mpm_keras.models.lifter import MPMLifter
from mpm_keras.models.presets import copy_preset, inner_preset, load_network, network_folder
from mpm_keras.models.pretrainer import MPMPretrainer
from mpm_keras.skeletons import DETECTORS, SKELETONS, from_detector, get_skeleton

PRESETS = Path(__file__).parent.parent / "presets"
COMPLETION = "completion"  # folder of the completion network inside a preset

# Focal length over the longer side of the picture where nobody knows it: between a phone's (0.75)
# and a camcorder's (1.2 and more).
ASSUMED_FOCAL = 1.0

# Seconds of a gap in a joint that keypoints before and after it fill. On motion with joints or frames taken out,
# longer still is better; detectors that lose a joint for seconds do so for a reason.
FILL_SECONDS = 2.0


class PoseLifter:
    """Lifts the keypoints of one person at a time.

    Args:
        network: `MPMLifter`.
        facts: as `network_facts` gives them.
        completer: `MPMPretrainer` without hidden frames, for `complete`; None where there is none.
        folder: preset that all this was loaded from; what `save_to_preset` copies.
    """

    def __init__(self, network, facts, completer=None, folder=None):
        self.network, self.facts, self.completer, self.folder = network, facts, completer, folder
        self.skeleton = get_skeleton(facts.skeleton)
        self.rate = facts.fps / facts.stride  # poses a second in a window

    @classmethod
    def from_preset(cls, name) -> "PoseLifter":
        """A lifter by the name of a preset that comes with the package, or from a folder.

        Raises `InputError` for an unknown name and for a folder that holds no sound preset.
        """
        folder = preset_folder(name)
        network = load_network(folder, MPMLifter)
        inner = inner_preset(network_folder(folder), COMPLETION)
        completer = load_network(inner, MPMPretrainer, hidden_frames=0) if inner else None
        return cls(network, network_facts(folder, network), completer, network_folder(folder))

    def save_to_preset(self, folder):
        """Copies the preset this was loaded from.

        Raises `ValueError` where it was not loaded from one, and for a folder that is not empty.
        """
        if self.folder is None:
            raise ValueError("this lifter was not loaded from a preset; use mpm_keras.save_preset with its facts")
        copy_preset(self.folder, folder, (COMPLETION,))

    def lift(
        self, keypoints, scores=None, *, skeleton="coco17", image_size, fps, intrinsics=None, mode="sequence",
        flip=True, threshold=None, fill_seconds=FILL_SECONDS, fit=True, name="person1", progress=None, unfinished=None,
    ) -> LiftedMotion:  # fmt: skip
        """3D poses of one person, one per frame.

        Args:
            keypoints: (F, K, 2) pixels, NaN where not found; or (F, K, 3) with the score last.
            scores: (F, K) in [0, 1]; None for 1 wherever there is a keypoint.
            skeleton: name of the K joints: a detector's ("coco17", "halpe26", "body25",
                "mediapipe33") or the network's own ("h36m17").
            image_size: (width, height), pixels.
            fps: frames a second of the keypoints.
            intrinsics: `fx, fy, cx, cy` in pixels; None assumes `ASSUMED_FOCAL` and the middle.
            mode: "sequence" or "center", see `lift_clip`.
            flip: average with the mirrored prediction.
            threshold: joints with a lower score count as not seen; None for the preset's.
            fill_seconds: joints that are not seen for up to so long are put between where they were and will
                be, see `fill_gaps`, before the network sees them; 0 leaves all to the network.
            fit: make poses agree with the keypoints and bones with themselves, see `fit_to_rays`; needs a
                preset that is independent of framing.
            name: of the person.
            progress, unfinished: of a long clip, see `lift_clip`.

        Returns:
            `LiftedMotion`; joints that were not seen are filled in by the network.

        Raises:
            ValueError: for a wrong shape or option, or where no joint is ever seen.
        """
        width, height, fps = checked_picture(image_size, fps)
        found = checked_keypoints(keypoints, scores, skeleton)
        points, sure = self.network_joints(*found, skeleton)
        threshold = self.facts.confidence_threshold if threshold is None else threshold
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must be in [0, 1], found {threshold}")
        if mode not in MODES:
            raise ValueError(f"unknown mode {mode!r}; known: {', '.join(MODES)}")
        filled = ~((sure > 0) & (sure >= threshold))
        if filled.all():
            raise ValueError(f"no joint is ever seen with a score of {threshold} or more")
        _, seen = resample_keypoints(points, sure, fps, self.rate, threshold)
        known_points = self.network_joints(*fill_gaps(*found, fps, fill_seconds, threshold), skeleton)
        sampled, given = resample_keypoints(*known_points, fps, self.rate, threshold)
        camera, known = checked_intrinsics(intrinsics, width, height)
        pose_2d, path = self.framed(sampled, given, (width, height), camera)
        running = {"progress": progress, "unfinished": unfinished}
        poses = self.lifted(pose_2d, ~given, mode=mode, flip=flip, **running)
        if fit and path is not None:
            poses = self.fitted(poses, pose_2d, seen)
        poses = poses_at(poses, self.rate, fps, len(points))
        if path is not None:
            poses = turn_back(poses, turns_to(poses_at(path, self.rate, fps, len(points))))
        return LiftedMotion(
            name=name, positions_3d=poses, filled=filled, fps=fps, keypoints_2d=points, confidence=sure,
            image_size=(width, height), skeleton=self.skeleton,
            assumptions={
                "input_skeleton": skeleton, "mode": mode, "flip_averaged": bool(flip),
                "gaps_filled_seconds": float(fill_seconds), "fitted_to_keypoints": bool(fit and path is not None),
                "confidence_threshold": float(threshold), "poses_per_second_inside": self.rate,
                "intrinsics": [float(x) for x in camera], "intrinsics_known": known,
                "camera_follows_person": path is not None, "distortion": "none",
            },
        )  # fmt: skip

    def lifted(self, pose_2d, hidden, **options) -> np.ndarray:
        """(N, J, 3) poses of what `framed` gives, see `lift_clip`; baselines have a rule of their own here."""
        return lift_clip(self.network, pose_2d, self.skeleton, hidden=hidden, **options)

    def fitted(self, poses, pose_2d, seen) -> np.ndarray:
        """The poses, made to agree with the 2D that they were lifted from."""
        return fit_to_rays(poses, pose_2d, seen, self.skeleton)

    def to_network_joints(self, keypoints, scores, skeleton) -> tuple[np.ndarray, np.ndarray]:
        """(F, J, 2) float32 pixels, NaN where not seen, and (F, J) scores of the network's joints."""
        return self.network_joints(*checked_keypoints(keypoints, scores, skeleton), skeleton)

    def network_joints(self, points, scores, skeleton) -> tuple[np.ndarray, np.ndarray]:
        """The same of what `checked_keypoints` returned."""
        if skeleton in DETECTORS:
            return from_detector(points, scores, DETECTORS[skeleton], self.skeleton)
        points, scores = (x[:, self.skeleton.select_from(SKELETONS[skeleton])] for x in (points, scores))
        return np.where(scores[..., None] > 0, points, np.nan).astype(np.float32), scores.astype(np.float32)

    def framed(self, points, seen, image_size, camera):
        """What the network takes, and where the camera that follows looks (None without one)."""
        if self.facts.detector == "none":
            return normalize_screen(points, *image_size).astype(np.float32), None
        rays = rays_of(points, camera[:2], camera[2:])
        return follow(rays, seen, self.rate)[0], smooth_path(np.where(seen[..., None], rays, 0.0), seen, self.rate)

    def complete(self, positions_3d, hidden, *, fps, interpolate=True) -> np.ndarray:
        """Fills the hidden joints of a 3D motion; what was observed is returned as it is.

        Args:
            positions_3d: (F, J, 3) metres, relative to the root joint, camera frame (y down).
            hidden: (F, J) bool.
            fps: frames a second.
            interpolate: near where a joint is observed, trust what lies before and after more than the network
                (`between_sightings`).

        Returns:
            (F, J, 3) float32.

        Raises:
            ValueError: the preset holds no completion network, or a shape is wrong.
        """
        if self.completer is None:
            raise ValueError(f"this preset holds no completion network (a folder {COMPLETION!r} of complete.py's)")
        poses, hidden = np.asarray(positions_3d, np.float32), np.asarray(hidden, bool)
        if poses.shape != (*hidden.shape, 3) or hidden.ndim != 2:
            raise ValueError(f"expected positions (F, J, 3) and hidden (F, J), found {poses.shape} and {hidden.shape}")
        flat, seen = resample_keypoints(poses, (~hidden).astype(np.float32), fps, self.rate)
        found = poses_at(complete_clip(self.completer, flat, ~seen, self.skeleton), self.rate, fps, len(poses))
        return (
            between_sightings(found, poses, hidden, fps) if interpolate else np.where(hidden[..., None], found, poses)
        )


def preset_folder(name) -> Path:
    """A preset of the package by name, or a folder. Raises `InputError` that lists the names."""
    path = Path(name)
    if path.exists():
        return path
    known = sorted(p.parent.name for p in PRESETS.glob("*/preset.json"))
    if str(name) in known:
        return PRESETS / str(name)
    raise InputError(f"{name}: no such folder, and no preset of that name; known: {', '.join(known) or 'none'}")


def checked_keypoints(keypoints, scores, skeleton) -> tuple[np.ndarray, np.ndarray]:
    """(F, K, 2) float64 pixels and (F, K) scores in [0, 1], 0 where there is no keypoint, or a `ValueError`."""
    known = {**SKELETONS, **DETECTORS}
    if skeleton not in known:
        raise ValueError(f"unknown skeleton {skeleton!r}; known: {', '.join(known)}")
    source, points = known[skeleton], np.array(keypoints, np.float64)
    if points.ndim != 3 or points.shape[1] != source.num_joints or points.shape[2] not in (2, 3) or not len(points):
        raise ValueError(f"expected keypoints (F, {source.num_joints}, 2 or 3) of {skeleton}, found {points.shape}")
    if points.shape[2] == 3:
        if scores is not None:
            raise ValueError("scores are given twice: as the third number of keypoints, and apart")
        points, scores = points[..., :2], points[..., 2]
    scores = np.ones(points.shape[:2]) if scores is None else np.array(scores, np.float64)
    if scores.shape != points.shape[:2]:
        raise ValueError(f"expected scores {points.shape[:2]}, found {scores.shape}")
    return points, np.where(np.isfinite(points).all(axis=-1) & (scores > 0), np.clip(scores, 0, 1), 0.0)


def checked_picture(image_size, fps) -> tuple[int, int, float]:
    """Width, height and frame rate, or a `ValueError`."""
    try:
        width, height = (int(n) for n in image_size)
        fps = float(fps)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected image_size (width, height) and fps, found {image_size!r} and {fps!r}") from error
    if min(width, height) < 1 or not 1 <= fps <= 1000:
        raise ValueError(f"image size must be positive and fps in 1 to 1000, found {image_size} and {fps}")
    return width, height, fps


def checked_intrinsics(intrinsics, width, height) -> tuple[np.ndarray, bool]:
    """(4,) `fx, fy, cx, cy` and whether they are known."""
    if intrinsics is None:
        focal = ASSUMED_FOCAL * max(width, height)
        return np.array([focal, focal, width / 2, height / 2]), False
    values = np.asarray(intrinsics, np.float64)
    if values.shape != (4,) or not np.isfinite(values).all() or (values[:2] <= 0).any():
        raise ValueError(f"intrinsics must be positive fx, fy, and cx, cy, found {values.tolist()}")
    return values, True
