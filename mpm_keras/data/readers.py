"""One entry for every motion capture source: `read_motion`."""

import dataclasses
import os
import re
import warnings
from pathlib import Path

from mpm_keras.data.acclaim import read_acclaim
from mpm_keras.data.bvh import read_bvh
from mpm_keras.data.foreign import named
from mpm_keras.data.motion import Motion
from mpm_keras.data.open_mocap import read_open_mocap
from mpm_keras.errors import InputError

_CLIP_SUFFIXES = (".bvh", ".amc")


def read_motion(path, target_fps: float = 50.0, *, on_error: str = "raise") -> Motion:
    """Reads motion capture into clips of 17 Human3.6M joints.

    Args:
        path: one of
            - an open motion capture archive (`.npz`, see `open_mocap.py`);
            - a BVH file (`.bvh`);
            - an Acclaim motion (`.amc`), whose skeleton (`.asf`) lies beside it: of the same name, of
              the name up to one of its underscores (`07_01.amc` -> `07.asf`), or the only one there;
            - a folder: all `.bvh` and `.amc` files in it and below, in the order of their paths.
        target_fps: frames a second of the clips returned; resampled with cubic splines.
        on_error: for a folder: `"raise"` ends at the first bad file; `"skip"` leaves bad files out and
            issues one `UserWarning` each with the message that would have been raised.

    Returns:
        A `Motion`. A clip of a file is named after the file; of a folder, after the path below it.
        The subject is `cmu07` for the names that CMU trials have (`07_01`, `cmu_07_01`), otherwise
        the folder that holds the file if it lies below `path`, otherwise the file's name. A clip
        name met twice in a folder (a trial as BVH and as AMC) keeps its suffix.

    Raises:
        InputError: the path is missing or of another kind, the folder has no motion file or only bad
            ones, or a file is bad.
        ValueError: `target_fps` or `on_error` makes no sense.
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error must be 'raise' or 'skip', found {on_error!r}")
    if not 0 < target_fps < float("inf"):
        raise ValueError(f"target_fps must be positive, found {target_fps}")
    path = Path(os.fspath(path))
    if path.is_dir():
        return _read_folder(path, target_fps, on_error)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; expected .npz, .bvh, .amc or a folder of them")
    if path.suffix.lower() == ".npz":
        with named(path):
            return read_open_mocap(path).at_rate(target_fps)
    if path.suffix.lower() in _CLIP_SUFFIXES:
        return dataclasses.replace(_read_clip(path, target_fps), subjects=(subject_of(path),))
    raise InputError(f"{path}: unknown kind of file; expected .npz, .bvh, .amc or a folder of them")


def subject_of(path, folder=None) -> str:
    """The subject that a motion file belongs to, as `read_motion` tells it.

    Args:
        path: the motion file.
        folder: the folder that was asked for, if one was; `path` lies in it or below.
    """
    path = Path(path)
    trial = re.fullmatch(r"(?:cmu_)?(\d{1,3})_\d{1,3}(?:_.*)?", path.stem, re.IGNORECASE)
    if trial:
        return f"cmu{int(trial[1]):02d}"
    return path.parent.name if folder is not None and path.parent != Path(folder) else path.stem


def find_skeleton(amc_path) -> Path:
    """The `.asf` file that belongs to an `.amc` file. Raises `InputError` if there is none to choose."""
    amc = Path(amc_path)
    skeletons = sorted(p for p in amc.parent.iterdir() if p.suffix.lower() == ".asf" and p.is_file())
    by_stem = {p.stem.lower(): p for p in skeletons}
    stem = amc.stem.lower()
    while stem:
        if stem in by_stem:
            return by_stem[stem]
        stem = stem.rpartition("_")[0]
    if len(skeletons) == 1:
        return skeletons[0]
    found = "none" if not skeletons else f"{len(skeletons)} of other names"
    raise InputError(f"{amc}: expected its skeleton {amc.stem}.asf in the same folder, found {found}")


def _read_folder(folder: Path, target_fps: float, on_error: str) -> Motion:
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _CLIP_SUFFIXES and p.is_file())
    if not paths:
        raise InputError(f"{folder}: expected .bvh or .amc files in the folder, found none")
    read = []
    for path in paths:
        try:
            read.append((path, _read_clip(path, target_fps)))
        except InputError as error:
            if on_error == "raise":
                raise
            warnings.warn(f"left out: {error}", stacklevel=3)
    if not read:
        raise InputError(f"{folder}: none of the {len(paths)} motion files could be read")
    return Motion.from_clips(
        [motion.clip(0) for _, motion in read],
        names=_clip_names([path.relative_to(folder) for path, _ in read]),
        subjects=[subject_of(path, folder) for path, _ in read],
        fps=[motion.fps[0] for _, motion in read],
    )


def _clip_names(paths: list[Path]) -> list[str]:
    """Paths without suffix, but with it where the name would stand for two files."""
    bare = [path.with_suffix("").as_posix() for path in paths]
    return [name if bare.count(name) == 1 else path.as_posix() for name, path in zip(bare, paths, strict=True)]


def _read_clip(path: Path, target_fps: float) -> Motion:
    motion = read_bvh(path) if path.suffix.lower() == ".bvh" else read_acclaim(find_skeleton(path), path)
    with named(path):
        return motion.at_rate(target_fps)
