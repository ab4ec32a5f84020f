"""MPI-INF-3DHP: the original annotations, the test set, and P-STMO's archives of both.

- `S*/Seq*/annot.mat` (MATLAB 5): per camera `annot2` pixels, `annot3` millimetres in the camera frame and
  `univ_annot3`, the same scaled to one body height; 28 joints. `camera.calibration` beside it, if there,
  gives the intrinsics.
- `TS*/annot_data.mat` (HDF5): the same for one camera and 17 joints, `valid_frame` and `activity_annotation`.
- `data_train_3dhp.npz`, `data_test_3dhp.npz`: P-STMO's, pickled dictionaries with `univ_annot3`.

The evaluation that goes with it is `mpm_keras.inference.protocol_3dhp`.
"""

import dataclasses
import os
import re
from pathlib import Path

import numpy as np

from mpm_keras.data.foreign import named, numbers, positive
from mpm_keras.data.mpi_inf_3dhp_files import read_calibration, read_hdf5, read_mat5
from mpm_keras.data.progress import track
from mpm_keras.data.safe_pickle import load_archive
from mpm_keras.data.views import Views
from mpm_keras.errors import InputError
from mpm_keras.geometry import normalize_screen
from mpm_keras.skeletons import H36M_17

JOINTS_28 = (
    "spine3", "spine4", "spine2", "spine", "pelvis", "neck", "head", "head_top", "left_clavicle", "left_shoulder",
    "left_elbow", "left_wrist", "left_hand", "right_clavicle", "right_shoulder", "right_elbow", "right_wrist",
    "right_hand", "left_hip", "left_knee", "left_ankle", "left_foot", "left_toe", "right_hip", "right_knee",
    "right_ankle", "right_foot", "right_toe",
)  # fmt: skip
# The dataset's "relevant" joints, in which its test set comes.
JOINTS_17 = (
    "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "pelvis", "spine", "head",
)  # fmt: skip
# Human3.6M joint -> the joint of this dataset that stands nearest. Its neck is the throat, its head the face.
FROM_3DHP = {
    "Hip": "pelvis", "RHip": "right_hip", "RKnee": "right_knee", "RFoot": "right_ankle", "LHip": "left_hip",
    "LKnee": "left_knee", "LFoot": "left_ankle", "Spine": "spine", "Thorax": "neck", "Neck/Nose": "head",
    "Head": "head_top", "LShoulder": "left_shoulder", "LElbow": "left_elbow", "LWrist": "left_wrist",
    "RShoulder": "right_shoulder", "RElbow": "right_elbow", "RWrist": "right_wrist",
}  # fmt: skip
ORDER = {len(names): [names.index(FROM_3DHP[j]) for j in H36M_17.joints] for names in (JOINTS_28, JOINTS_17)}

CHEST_HIGH = (0, 1, 2, 4, 5, 6, 7, 8)  # the cameras that the literature trains with
CAMERAS = 14
TRAIN_SIZE = (2048, 2048)
WIDE = ("TS5", "TS6")  # filmed outdoors, 1920 x 1080; the other test sequences like the training set
WIDE_SIZE = (1920, 1080)
TEST_FPS = 25.0  # of most training sequences; the release does not say for the test set
FAST = ("S1 Seq2", "S3 Seq1", "S3 Seq2", "S5 Seq1", "S5 Seq2")  # 50 frames a second; the others 25
# Frames with pictures (`mpii_get_sequence_info`); annotations may go on for a few more.
FRAMES = {
    "S1 Seq1": 6416, "S1 Seq2": 12430, "S2 Seq1": 6502, "S2 Seq2": 6081, "S3 Seq1": 12488, "S3 Seq2": 12283,
    "S4 Seq1": 6171, "S4 Seq2": 6675, "S5 Seq1": 12820, "S5 Seq2": 12312, "S6 Seq1": 6188, "S6 Seq2": 6145,
    "S7 Seq1": 6239, "S7 Seq2": 6320, "S8 Seq1": 6468, "S8 Seq2": 6054,
}  # fmt: skip
ACTIVITIES = (
    "Standing/Walking", "Exercising", "Sitting", "Reaching/Crouching", "On The Floor", "Sports", "Miscellaneous",
)  # fmt: skip
ANNOTATIONS = ("univ_annot3", "annot3")
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
LICENSE = "MPI-INF-3DHP: research only, no redistribution"


@dataclasses.dataclass(frozen=True)
class Sequence:
    """What one camera saw of one sequence, in 17 Human3.6M joints.

    Attributes:
        name: such as `S1 Seq1` or `TS3`.
        camera: its number, "" for the only one of a test sequence.
        pixels: (F, 17, 2).
        joints: (F, 17, 3) metres, camera frame.
        size: width and height of the picture.
        fps: frames a second.
        valid: (F,) bool: frames that the evaluation counts.
        activity: (F,) int, 1 to 7 as in `ACTIVITIES`, 0 where unknown.
        intrinsics: (9,) as in `Views`, NaN where unknown.
    """

    name: str
    camera: str
    pixels: np.ndarray
    joints: np.ndarray
    size: tuple[int, int]
    fps: float
    valid: np.ndarray
    activity: np.ndarray
    intrinsics: np.ndarray


def read(paths, *, annotation="univ_annot3", cameras=CHEST_HIGH, frames="all") -> Views:
    """Reads training and test sequences.

    Args:
        paths: files as above, or folders that are searched for them; one or a list.
        annotation: "univ_annot3", bodies scaled to one height, which the literature trains and evaluates
            with, or "annot3", in true size.
        cameras: of training sequences.
        frames: of test sequences, "all" or "valid"; of the latter the gaps are closed. The evaluation
            counts valid frames only, but lifts them from all (see `read_sequences`).

    Returns:
        Views named `S1/Seq1@cam0` and `TS1@cam`, subjects `S1` and `TS1`, metres, root-relative.

    Raises:
        InputError: a file is missing, damaged or of another layout; one line that names it.
    """
    if frames not in ("all", "valid"):
        raise ValueError(f"frames must be 'all' or 'valid', found {frames!r}")
    sequences = read_sequences(paths, annotation=annotation, cameras=cameras)
    if frames == "valid":
        sequences = [s for s in sequences if s.valid.any()]
        if not sequences:
            raise InputError("no frame of any MPI-INF-3DHP sequence is valid")
    kept = [slice(None) if frames == "all" else s.valid for s in sequences]
    joints = np.concatenate([s.joints[keep] for s, keep in zip(sequences, kept, strict=True)])
    root = joints[:, H36M_17.root]
    lengths = [len(s.pixels[keep]) for s, keep in zip(sequences, kept, strict=True)]
    return Views(
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        names=tuple(f"{s.name.replace(' ', '/')}@cam{s.camera}" for s in sequences),
        subjects=tuple(s.name.partition(" ")[0] for s in sequences),
        actions=("",) * len(sequences),
        cameras=tuple(f"cam{s.camera}" for s in sequences),
        fps=np.array([s.fps for s in sequences], np.float32),
        intrinsics=np.stack([s.intrinsics for s in sequences]).astype(np.float32),
        image_size=np.array([s.size for s in sequences], np.int32),
        pose_2d=np.concatenate(
            [normalize_screen(s.pixels[keep], *s.size) for s, keep in zip(sequences, kept, strict=True)]
        ).astype(np.float32),
        pose_3d=(joints - root[:, None]).astype(np.float32),
        root_3d=root.astype(np.float32) if (root[:, 2] > 0).all() else None,  # some archives are root-relative
    )


def read_sequences(paths, *, annotation="univ_annot3", cameras=CHEST_HIGH) -> list[Sequence]:
    """What `read` reads, sequence by sequence, with the valid frames. Arguments and errors as there."""
    if annotation not in ANNOTATIONS:
        raise ValueError(f"annotation must be {' or '.join(ANNOTATIONS)}, found {annotation!r}")
    if bad := [c for c in cameras if c not in range(CAMERAS)]:
        raise ValueError(f"cameras must be in 0..{CAMERAS - 1}, found {bad[0]}")
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    sequences, seen = [], {}
    files = [file for given in paths for file in find_files(Path(given))]
    for path in track(files, len(files), "MPI-INF-3DHP"):
        with named(path):
            for sequence in _read_file(path, annotation, cameras):
                key = (sequence.name, sequence.camera)
                if key in seen:
                    raise InputError(f"holds {sequence.name} camera {sequence.camera or 0} again, as {seen[key]} does")
                seen[key] = path
                sequences.append(sequence)
    return sequences


def find_files(path: Path) -> list[Path]:
    """The files of the dataset at a path. Raises `InputError` where there are none."""
    if path.is_file():
        return [path]
    found = sorted(p for name in ("annot.mat", "annot_data.mat") for p in path.rglob(name)) if path.is_dir() else []
    if not found:
        reason = "the folder has none" if path.is_dir() else "no such file or folder"
        raise InputError(f"{path}: expected annot.mat, annot_data.mat or P-STMO's .npz of MPI-INF-3DHP; {reason}")
    return found


def _read_file(path: Path, annotation, cameras) -> list[Sequence]:
    if path.suffix.lower() == ".npz":
        if annotation != "univ_annot3":
            raise InputError("archives of this kind hold univ_annot3 only; annot3 is in the original files")
        return _read_archive(path, cameras)
    with open(path, "rb") as file:
        start = file.read(520)  # MATLAB puts a header of 512 bytes before the HDF5 file
    hdf5 = HDF5_SIGNATURE in (start[:8], start[512:])
    return [_read_test(path, annotation)] if hdf5 else _read_train(path, annotation, cameras)


def _read_train(path, annotation, cameras) -> list[Sequence]:
    """The cameras of one `annot.mat`."""
    folder = path.resolve().parent
    name = f"{folder.parent.name} {folder.name}"
    if not re.fullmatch(r"S\d+ Seq\d+", name):
        raise InputError(f"expected to lie in a folder such as S1/Seq1, which names the sequence, found {name!r}")
    cells = read_mat5(path, ("annot2", annotation))
    calibration = folder / "camera.calibration"
    intrinsics = read_calibration(calibration) if calibration.is_file() else {}
    sequences = []
    for camera in cameras:
        for variable in ("annot2", annotation):
            if camera >= len(cells[variable]):
                raise InputError(f"{variable}: has {len(cells[variable])} cameras, camera {camera} is missing")
        flat_2d = numbers(cells["annot2"][camera], (None, 56), f"annot2 of camera {camera}")
        flat_3d = numbers(cells[annotation][camera], (len(flat_2d), 84), f"{annotation} of camera {camera}")
        count = min(len(flat_2d), FRAMES.get(name, len(flat_2d)))
        sequences.append(
            _sequence(
                name, str(camera), flat_2d[:count].reshape(-1, 28, 2), flat_3d[:count].reshape(-1, 28, 3),
                size=TRAIN_SIZE, fps=50.0 if name in FAST else 25.0, intrinsics=intrinsics.get(camera),
            )
        )  # fmt: skip
    return sequences


def _read_test(path, annotation) -> Sequence:
    """One `annot_data.mat`."""
    name = path.resolve().parent.name
    if not re.fullmatch(r"TS\d+", name):
        raise InputError(f"expected to lie in a folder such as TS1, which names the sequence, found {name!r}")
    arrays = read_hdf5(path, ("annot2", annotation, "valid_frame", "activity_annotation"))
    pixels = numbers(arrays["annot2"], (None, 1, 17, 2), "annot2")[:, 0]
    joints = numbers(arrays[annotation], (len(pixels), 1, 17, 3), annotation)[:, 0]
    flags = {}
    for key in ("valid_frame", "activity_annotation"):
        flags[key] = numbers(arrays[key].reshape(-1), (len(pixels),), key)
    return _sequence(
        name, "", pixels, joints, size=WIDE_SIZE if name in WIDE else TRAIN_SIZE, fps=TEST_FPS,
        valid=flags["valid_frame"] == 1, activity=flags["activity_annotation"],
    )  # fmt: skip


def _read_archive(path, cameras) -> list[Sequence]:
    """P-STMO's archives: {sequence: [{camera: {data_2d, data_3d}}, fps]} or {sequence: {data_2d, data_3d, valid}}."""
    data = load_archive(path, ["data"])["data"]
    data = data.item() if data.shape == () and data.dtype == object else None
    if not isinstance(data, dict) or not data:
        raise InputError("expected a dictionary of sequences under 'data', as P-STMO writes it")
    sequences = []
    for name, value in data.items():
        if isinstance(name, str) and re.fullmatch(r"TS\d+", name):
            _check_keys(value, ("data_2d", "data_3d", "valid"), name)
            size = WIDE_SIZE if name in WIDE else TRAIN_SIZE
            sequences.append(_archived(name, "", value, size, TEST_FPS))
        elif isinstance(name, str) and re.fullmatch(r"S\d+ Seq\d+", name):
            if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], dict):
                raise InputError(f"{name}: expected [cameras, frame rate], found {type(value).__name__}")
            fps = positive(value[1], f"{name}: frame rate", 0, 1000)
            for camera in (str(c) for c in cameras):
                if camera not in value[0]:
                    raise InputError(f"{name}: camera {camera} is missing; found {', '.join(map(str, value[0]))[:80]}")
                _check_keys(value[0][camera], ("data_2d", "data_3d"), f"{name} camera {camera}")
                sequences.append(_archived(name, camera, value[0][camera], TRAIN_SIZE, fps))
        else:
            raise InputError(f"{str(name)[:40]!r} is no sequence of MPI-INF-3DHP, such as 'S1 Seq1' or 'TS1'")
    return sequences


def _check_keys(value, keys, what):
    if not isinstance(value, dict) or (missing := [key for key in keys if key not in value]):
        lacking = f"{missing[0]!r} is missing" if isinstance(value, dict) else f"found {type(value).__name__}"
        raise InputError(f"{what}: expected a dictionary with {', '.join(keys)}; {lacking}")


def _archived(name, camera, value, size, fps) -> Sequence:
    what = f"{name} camera {camera}" if camera else name
    pixels = numbers(value["data_2d"], (None, 17, 2), f"{what}: data_2d")
    joints = numbers(value["data_3d"], (len(pixels), 17, 3), f"{what}: data_3d")
    valid = None
    if "valid" in value:
        valid = numbers(value["valid"], (len(pixels),), f"{what}: valid") == 1
    return _sequence(name, camera, pixels, joints, size=size, fps=fps, valid=valid)


def _sequence(name, camera, pixels, joints, *, size, fps, valid=None, activity=None, intrinsics=None) -> Sequence:
    """A `Sequence` from (F, 28 or 17, 2) pixels and (F, 28 or 17, 3) millimetres."""
    order, count = ORDER[pixels.shape[1]], len(pixels)
    pixels, joints = pixels[:, order], joints[:, order] / 1000
    known = np.full(9, np.nan)
    if intrinsics is not None and _fits(pixels, joints, intrinsics):
        known[:4], known[4:] = intrinsics, 0
    return Sequence(
        name=name, camera=camera, pixels=pixels, joints=joints, size=size, fps=fps, intrinsics=known,
        valid=np.ones(count, bool) if valid is None else valid,
        activity=np.zeros(count, np.int64) if activity is None else activity.astype(np.int64),
    )  # fmt: skip


def _fits(pixels, joints, intrinsics) -> bool:
    """Whether the camera sees the joints where the pixels are, to 2 px in the median."""
    if not (joints[..., 2] > 0).all():
        return False
    seen = joints[..., :2] / joints[..., 2:] * intrinsics[:2] + intrinsics[2:]
    return bool(np.median(np.linalg.norm(seen - pixels, axis=-1)) < 2.0)
