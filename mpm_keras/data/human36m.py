"""Human3.6M: VideoPose3D's archives, the original release, and the published cameras.

VideoPose3D's `data/prepare_data_h36m.py` wrote the layout: `positions_3d` of `data_3d_h36m.npz` is
{subject: {action: (frames, 32, 3)}}, world frame, metres; `positions_2d` of `data_2d_h36m_*.npz` is
{subject: {action: [(frames, J, 2 or 3) for each of four cameras]}}, pixels.
"""

import re
from pathlib import Path

import numpy as np

from mpm_keras import geometry
from mpm_keras.data.cdf import read_cdf
from mpm_keras.data.human36m_cameras import CAMERAS, SUBJECTS, human36m_cameras
from mpm_keras.data.safe_pickle import load_archive
from mpm_keras.data.views import Views
from mpm_keras.errors import InputError
from mpm_keras.skeletons import COCO_17, H36M_16, H36M_17, Skeleton, from_detector

FPS = 50.0
LICENSE = "Human3.6M licence: academic use only, no redistribution (http://vision.imar.ro/human3.6m)"
ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases", "Sitting",
    "SittingDown", "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether",
)  # fmt: skip

# Of the release's 32 joints those that move and differ, in the order of `H36M_17`.
KEPT_JOINTS = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
# A recording of which one video is damaged; nobody uses it.
_DAMAGED = ("S11", "Directions")
# Stacked Hourglass: MPII's order, which Martinez et al. read as Human3.6M's joints without Neck/Nose.
_HOURGLASS = (
    "RFoot", "RKnee", "RHip", "LHip", "LKnee", "LFoot", "Hip", "Spine", "Thorax", "Head",
    "RWrist", "RElbow", "RShoulder", "LShoulder", "LElbow", "LWrist",
)  # fmt: skip
_COCO_LEFT = [1, 3, 5, 7, 9, 11, 13, 15]


def read(paths, subjects=None) -> Views:
    """Reads Human3.6M into views of its four cameras.

    Args:
        paths: one of
            - `data_3d_h36m.npz`: the 2D poses are projected, as in `data_2d_h36m_gt.npz`;
            - it and one file of 2D poses, `data_2d_h36m_*.npz`: ground truth (gt) or detections
              (cpn_ft_h36m_dbb, detectron_ft_h36m, detectron_pt_coco, sh_pt_mpii, sh_ft_h36m, or your
              own of that layout);
            - a file of 2D poses alone: views without 3D, of all subjects in it;
            - in place of `data_3d_h36m.npz`, the folder into which `Poses_D3_Positions_S*.tgz` of the
              release were unpacked (`S1/MyPoseFeatures/D3_Positions/*.cdf`).
        subjects: such as ("S9", "S11"); all that the files hold by default.

    Returns:
        `Views` at 50 frames a second, named `h36m/S1/Directions 1@54138969`. Their actions are without
        the number of the take, the 15 of `ACTIONS`. Stacked Hourglass detections have 16 joints, all
        others 17; COCO's are mapped by `skeletons.from_detector`. 2D frames beyond the last 3D pose
        are left out, and so is the damaged recording S11 Directions.

    Raises:
        InputError: a file cannot be read or is another one, a recording lacks its 2D poses or has
            fewer of them than 3D poses, or a pose is not finite. Names the file.
    """
    files = [Path(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths)]
    truths = [path for path in files if path.is_dir() or "data_2d" not in path.name]
    detections = [path for path in files if path not in truths]
    if not files or len(truths) > 1 or len(detections) > 1:
        named = ", ".join(map(str, files)) or "nothing"
        raise InputError(
            f"{named}: expected data_3d_h36m.npz or a folder of CDF files, and at most one data_2d_h36m_*.npz"
        )
    positions = _chosen(read_positions(truths[0]), subjects, truths[0]) if truths else None
    if not detections:
        return _views(positions, None, H36M_17, truths[0])
    keypoints, convert, skeleton = _read_keypoints(detections[0])
    if positions is None:
        keypoints = _chosen(keypoints, subjects, detections[0])
    return _views(positions, (keypoints, convert), skeleton, detections[0])


def read_positions(path) -> dict:
    """{subject: {recording: (frames, 17, 3) float32}}, world frame, metres.

    Args:
        path: `data_3d_h36m.npz`, or the folder of the release's CDF files.

    Raises:
        InputError: as `read`.
    """
    path = Path(path)
    found = _read_cdf_folder(path) if path.is_dir() else _recordings(path, "positions_3d")
    for subject, recordings in found.items():
        for name, poses in recordings.items():
            recordings[name] = _check_positions(poses, f"{path}: {subject} {name}")
    return found


def action_of(recording: str) -> str:
    """The action of a recording, without the number of its take: `Walking 1` -> `Walking`."""
    return recording.split(" ")[0]


def _read_cdf_folder(folder: Path) -> dict:
    """{subject: {recording: (frames, 32, 3)}} of the original release, named as VideoPose3D names them."""
    files = sorted(p for p in folder.rglob("*.cdf") if p.parent.name == "D3_Positions" and p.stem[:1] != "_")
    if not files:
        raise InputError(f"{folder}: expected S*/MyPoseFeatures/D3_Positions/*.cdf in it, found none")
    found = {}
    for file in files:
        subject = next((part for part in reversed(file.parts[:-1]) if re.fullmatch(r"S\d+", part)), None)
        if subject is None:
            raise InputError(f"{file}: expected a folder S1, S5, ... above it to name the subject")
        poses = read_cdf(file, "Pose")
        if poses.size % 96 or poses.shape[-1:] != (96,):
            raise InputError(f"{file}: expected Pose of 96 numbers a frame, found shape {poses.shape}")
        name = file.stem.replace("TakingPhoto", "Photo").replace("WalkingDog", "WalkDog")
        found.setdefault(subject, {})[name] = poses.reshape(-1, 32, 3) / poses.dtype.type(1000)
    return _usable(found)


def _recordings(path: Path, key: str) -> dict:
    """{subject: {recording: value}} of an archive in VideoPose3D's layout."""
    array = load_archive(path, [key])[key]
    table = array.item() if array.shape == () else None
    if not isinstance(table, dict) or not all(isinstance(r, dict) for r in table.values()):
        raise InputError(f"{path}: expected {key} to be a dictionary of subjects, each a dictionary of recordings")
    for name in (n for subject in (table, *table.values()) for n in subject):
        if not isinstance(name, str):
            raise InputError(f"{path}: expected {key} to have names of subjects and recordings, found {name!r}")
    return _usable(table)


def _usable(table: dict) -> dict:
    return {s: {r: v for r, v in recordings.items() if (s, r) != _DAMAGED} for s, recordings in table.items()}


def _chosen(table: dict, subjects, path) -> dict:
    if unknown := sorted(set(subjects or ()) - set(table)):
        raise InputError(f"{path}: no subject {unknown[0]!r}; found {', '.join(table)}")
    table = {s: r for s, r in table.items() if (not subjects or s in subjects) and r}
    if not table:
        raise InputError(f"{path}: holds no recording")
    return table


def _check_positions(poses, where: str) -> np.ndarray:
    if not isinstance(poses, np.ndarray) or poses.dtype.kind != "f" or poses.shape[1:] not in ((32, 3), (17, 3)):
        found = f"{poses.dtype} {poses.shape}" if isinstance(poses, np.ndarray) else type(poses).__name__
        raise InputError(f"{where}: expected 3D poses of shape (frames, 32, 3), found {found}")
    poses = poses[:, KEPT_JOINTS] if poses.shape[1] == 32 else poses
    if not len(poses) or not np.isfinite(poses).all():
        raise InputError(f"{where}: expected at least one 3D pose and no NaN or infinity")
    if np.abs(poses).max() > 100:
        raise InputError(f"{where}: expected metres, found coordinates up to {np.abs(poses).max():.0f}")
    return poses.astype(np.float32)


def _read_keypoints(path: Path):
    """({subject: {recording: per camera}}, how to convert one camera's poses, their skeleton)."""
    table = _recordings(path, "positions_2d")
    shapes = {
        _check_cameras(cameras, f"{path}: {subject} {name}")
        for subject, recordings in table.items()
        for name, cameras in recordings.items()
    }
    if len(shapes) != 1:
        raise InputError(f"{path}: expected 2D poses of the same joints everywhere, found {sorted(shapes)}")
    joints, _ = shapes.pop()
    if joints == 16:
        order = H36M_16.select_from(Skeleton("hourglass", _HOURGLASS, (), (), {}))
        return table, lambda poses, scores: (poses[:, order], scores[:, order]), H36M_16
    if joints != 17:
        raise InputError(f"{path}: expected 17 joints (Human3.6M or COCO) or 16 (Stacked Hourglass), found {joints}")
    if _is_coco(path):  # a joint of score 0 stays where the detector put it
        return table, lambda poses, scores: from_detector(poses, np.maximum(scores, 1e-6), COCO_17), H36M_17
    return table, lambda poses, scores: (poses, scores), H36M_17


def _check_cameras(cameras, where: str) -> tuple[int, int]:
    """(joints, 2 or 3) of the 2D poses of a recording, after checking that each camera has them."""
    if not isinstance(cameras, (list, tuple, np.ndarray)) or len(cameras) != len(CAMERAS):
        raise InputError(f"{where}: expected a list of the 2D poses of {len(CAMERAS)} cameras")
    for points in cameras:
        fits = isinstance(points, np.ndarray) and points.dtype.kind == "f" and points.ndim == 3
        if not fits or points.shape[2] not in (2, 3) or points.shape[1:] != cameras[0].shape[1:]:
            found = points.shape if isinstance(points, np.ndarray) else type(points).__name__
            raise InputError(f"{where}: expected 2D poses of shape (frames, joints, 2), found {found}")
    return cameras[0].shape[1:]


def _is_coco(path: Path) -> bool:
    """Whether 17 joints are COCO's, by the metadata's symmetry or, without them, by the file's name."""
    try:
        metadata = load_archive(path, ["metadata"])["metadata"].item()
        left, _ = metadata["keypoints_symmetry"]
        return list(left) == _COCO_LEFT
    except (InputError, ValueError, TypeError, KeyError):
        return "coco" in path.name


def _views(positions, keypoints, skeleton: Skeleton, path) -> Views:
    """One view for every recording and camera, subjects and recordings in the order of the file."""
    table = positions if positions is not None else keypoints[0]
    parts = []
    for subject, recordings in table.items():
        known = subject in SUBJECTS
        if positions is not None and not known:
            raise InputError(f"{path}: no cameras of subject {subject!r} are published; known: {', '.join(SUBJECTS)}")
        cameras = human36m_cameras(subject if known else None)
        for name in recordings:
            poses = positions[subject][name] if positions is not None else None
            seen = _detections(keypoints, subject, name, poses, path) if keypoints else [None] * len(CAMERAS)
            for camera_name, found in zip(CAMERAS, seen, strict=True):
                parts.append(_view(subject, name, camera_name, cameras[camera_name], poses, found, skeleton, path))
    return Views.concatenate(parts)


def _detections(keypoints, subject: str, name: str, poses, path) -> list:
    """Per camera (frames, J, 2) pixels and (frames, J) scores or None; frames beyond the last 3D pose left out."""
    table, convert = keypoints
    where = f"{path}: {subject} {name}"
    cameras = table.get(subject, {}).get(name)
    if cameras is None:
        raise InputError(f"{where}: the 2D poses of this recording are missing")
    found = []
    for points in cameras:
        if poses is not None and len(points) < len(poses):
            raise InputError(f"{where}: {len(points)} 2D poses are fewer than the {len(poses)} 3D poses")
        points = points[: len(poses)] if poses is not None else points
        if not len(points) or not np.isfinite(points).all():
            raise InputError(f"{where}: expected at least one 2D pose and no NaN or infinity")
        scored = points.shape[2] == 3
        scores = np.clip(points[..., 2], 0, 1) if scored else np.ones(points.shape[:2])
        pixels, scores = convert(points[..., :2].astype(np.float64), scores)
        found.append((pixels, scores.astype(np.float32) if scored else None))
    return found


def _view(subject, name, camera_name, camera, poses, found, skeleton, path) -> Views:
    """One recording as one camera sees it."""
    fields = {}
    if poses is not None:
        seen = geometry.world_to_camera(poses, camera)
        if found is None:
            if not (seen[..., 2] > 0).all():
                raise InputError(f"{path}: {subject} {name}: a joint is behind camera {camera_name}")
            found = (geometry.project(seen, camera), None)
        order = skeleton.select_from(H36M_17)
        fields["pose_3d"] = geometry.root_relative(seen, H36M_17.root)[:, order].astype(np.float32)
        fields["root_3d"] = seen[:, H36M_17.root].astype(np.float32)
    pixels, scores = found
    return Views(
        offsets=np.array([0, len(pixels)], np.int64),
        names=(f"h36m/{subject}/{name}@{camera_name}",),
        subjects=(subject,),
        actions=(action_of(name),),
        cameras=(camera_name,),
        fps=np.array([FPS], np.float32),
        intrinsics=camera.intrinsics.astype(np.float32)[None],
        image_size=np.array([camera.image_size], np.int32),
        pose_2d=geometry.normalize_screen(pixels, *camera.image_size).astype(np.float32),
        confidence=scores,
        licenses=(LICENSE,),
        provenance=(f"Human3.6M, {Path(path).name}",),
        dataset="h36m",
        skeleton=skeleton,
        **fields,
    )
