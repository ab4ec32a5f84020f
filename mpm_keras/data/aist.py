"""AIST++: 3D keypoints of dancers (`keypoints3d/*.pkl`), 17 COCO joints in centimetres at 60 frames a second."""

import re
from pathlib import Path

import numpy as np

from mpm_keras.data.bvh import settle, up_axis
from mpm_keras.data.foreign import find, good_ones, named, numbers
from mpm_keras.data.motion import Motion, resample
from mpm_keras.data.progress import track
from mpm_keras.data.safe_pickle import load_pickle
from mpm_keras.errors import InputError
from mpm_keras.skeletons import COCO_17, joint_weights

FPS = 60.0
KEYPOINTS = ("keypoints3d_optim", "keypoints3d")
LICENSE = "AIST++ annotations: CC BY 4.0; AIST Dance Video Database: research only"
GENRES = {
    "BR": "break", "PO": "pop", "LO": "lock", "MH": "middle hip-hop", "LH": "LA style hip-hop", "HO": "house",
    "WA": "waack", "KR": "krump", "JS": "street jazz", "JB": "ballet jazz",
}  # fmt: skip
_NAME = re.compile(r"g([A-Z]{2})_s[A-Z]{2}_cAll_d(\d+)_m[A-Z]{2}\d+_ch\d+")
_TALLEST = 3.0  # metres from the lowest to the highest joint; arms up


def read(paths, *, keypoints="keypoints3d_optim", fps=50.0, progress=None) -> Motion:
    """Reads AIST++ keypoints.

    Args:
        paths: a `.pkl` file, a folder of them (clips that an `ignore_list.txt` in it or beside it names
            are left out, as the dataset advises), or a list.
        keypoints: "keypoints3d_optim", smoothed with bones of constant length, or "keypoints3d", triangulated.
        fps: frames a second of the clips returned; resampled with cubic splines.
        progress: draw a bar; by default if stderr is a terminal.

    Returns:
        A `Motion` of 17 Human3.6M joints derived from COCO's (`skeletons.joint_weights`), z up, the floor
        at zero. Subjects are dancers, `aist_d04`; actions genres.

    Raises:
        InputError: nothing could be read, or a file that was named itself is bad. Bad files of a
            folder are left out: a `UserWarning` names each, another their number.
    """
    if keypoints not in KEYPOINTS:
        raise ValueError(f"keypoints must be {' or '.join(KEYPOINTS)}, found {keypoints!r}")
    files, strict = find(paths, (".pkl",), "AIST++ keypoints")
    ignored = {name for folder in {path.parent for path, _ in files} for name in ignore_list(folder)}
    files = [(path, name) for path, name in files if path.stem not in ignored]
    if not files:
        raise InputError("every AIST++ file is in ignore_list.txt")
    results = [_try(path, name, keypoints, fps) for path, name in track(files, len(files), "AIST++", progress)]
    good = good_ones(results, strict=strict, what=files[0][0].parent)
    described = [_NAME.fullmatch(name.rpartition("/")[2]) for name, _ in good]
    return Motion.from_clips(
        [clip for _, clip in good],
        names=[name for name, _ in good],
        subjects=[f"aist_d{m[2]}" if m else name for m, (name, _) in zip(described, good, strict=True)],
        actions=[GENRES.get(m[1], "") if m else "" for m in described],
        fps=[fps] * len(good),
        licenses=[LICENSE] * len(good),
    )


def ignore_list(folder: Path) -> set[str]:
    """Names in the `ignore_list.txt` of a folder or of the one above."""
    for place in (folder, folder.parent):
        if (place / "ignore_list.txt").is_file():
            return set((place / "ignore_list.txt").read_text(errors="replace").split())
    return set()


def _try(path, name, keypoints, fps):
    try:
        return (name, read_clip(path, keypoints, fps)), ""
    except InputError as error:
        return None, str(error)


def read_clip(path, keypoints="keypoints3d_optim", fps=50.0) -> np.ndarray:
    """(frames, 17, 3) float32 world positions of one file. Raises `InputError` that names the file."""
    with named(path):
        contents = load_pickle(path)
        if not isinstance(contents, dict) or keypoints not in contents:
            raise InputError(f"expected a dictionary with {keypoints}")
        coco = numbers(contents[keypoints], (None, COCO_17.num_joints, 3), keypoints) / 100
        reach = np.ptp(coco, axis=1).max()
        if not 0.3 < reach < _TALLEST:
            raise InputError(f"{keypoints}: a body of {reach:.3g} m; expected centimetres")
        points = np.einsum("jk,fkd->fjd", joint_weights(COCO_17), coco)
        return settle(resample(points, FPS, fps), up_axis(points, points[:1]))
