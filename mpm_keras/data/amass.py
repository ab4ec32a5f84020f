"""AMASS: SMPL+H (also SMPL and SMPL-X) pose files to 17 joints; and the layout of the paper's `amass.npz`.

A file of the release holds `poses` (F, 156), `trans` (F, 3), `betas` (16,), `gender` and `mocap_framerate`
(`mocap_frame_rate` in the SMPL-X release). World frame: z up, floor at zero, metres.
"""

import concurrent.futures
import dataclasses
import hashlib
import itertools
import multiprocessing
import os
import warnings
import zipfile
from pathlib import Path

import numpy as np

from mpm_keras.data.foreign import find, good_ones, named, numbers, positive
from mpm_keras.data.motion import Motion, resample
from mpm_keras.data.progress import track
from mpm_keras.data.safe_pickle import load_archive
from mpm_keras.data.smpl import MEAN_BODY, BodyModel, forward, load_body_model
from mpm_keras.data.views import Views
from mpm_keras.errors import InputError
from mpm_keras.files import atomic_write
from mpm_keras.skeletons import H36M_16, H36M_17

GENDERS = ("neutral", "male", "female")
RATES = ("mocap_framerate", "mocap_frame_rate")
LICENSE = "AMASS: non-commercial scientific research, no redistribution"
SHAPE_FILES = ("shape.npz", "_stagei.npz")  # ends of files beside the motions that hold a body's shape only
COLUMNS = (66, 400)  # fewest and most numbers of a pose; SMPL has 72, SMPL+H 156, SMPL-X 165


@dataclasses.dataclass(frozen=True)
class Job:
    """One file to convert. `name` is that of the clip, `cache` where its result is kept."""

    path: Path
    name: str
    fps: float
    cache: Path | None
    bodies: str  # fingerprint of the body models


def read(paths, *, body_model=None, fps=50.0, workers=None, cache=None, progress=None) -> Motion | Views:
    """Reads AMASS.

    Args:
        paths: a file, a folder (searched for `.npz`), or a list of them. One file in the layout of the
            paper's code (`amass.npz`, see `read_released`) is recognised.
        body_model: a model file (see `load_body_model`) for all, or a folder with one per gender:
            `male/model.npz`, `SMPLH_MALE.npz` and the like. None takes the proportions of
            `smpl.MEAN_BODY` for everybody and says so in a warning.
        fps: frames a second of the clips returned; resampled with cubic splines.
        workers: processes; by default one per core. 1 stays in this process; with more, a script of one's
            own must call from below `if __name__ == "__main__"`, as always in Python.
        cache: folder that keeps each converted file, so that a run that was broken off goes on
            where it stopped. A file that changed, another body model or another rate is converted anew.
        progress: draw a bar; by default if stderr is a terminal.

    Returns:
        A `Motion`; clips are named after their paths below the folder, subjects after their folder.
        For `amass.npz` the `Views` in it.

    Raises:
        InputError: nothing could be read, or a file that was named itself is bad. Bad files of a
            folder are left out: a `UserWarning` names each, another their number.
    """
    if not 0 < fps < float("inf"):
        raise ValueError(f"fps must be positive, found {fps}")
    paths = [Path(p) for p in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    if len(paths) == 1 and paths[0].is_file() and is_released(paths[0]):
        return read_released(paths[0], fps)
    bodies = load_bodies(body_model)
    jobs = _jobs(paths, fps, cache, _fingerprint(body_model, bodies))
    results = [
        (clip if clip is None else (job, clip), message)
        for job, (clip, message) in zip(
            jobs, track(_run(jobs, bodies, workers), len(jobs), "AMASS", progress), strict=True
        )
    ]
    good = good_ones(results, strict=any(path.is_file() for path in paths), what=paths[0])
    if body_model is None:
        warnings.warn(
            "no SMPL body model was given: everybody gets the proportions of an average adult; "
            "poses are exact, bone lengths are not",
            stacklevel=2,
        )
    return Motion.from_clips(
        [clip for _, clip in good],
        names=[job.name for job, _ in good],
        subjects=[job.name.rpartition("/")[0].replace("/", "_") or job.name for job, _ in good],
        fps=[fps] * len(good),
        licenses=[LICENSE] * len(good),
    )


def load_bodies(path) -> dict[str, BodyModel]:
    """{gender: body} from what `read` takes as `body_model`; a gender without a file gets the neutral body."""
    if path is None:
        return dict.fromkeys(GENDERS, MEAN_BODY)
    path = Path(path)
    if path.is_file():
        return dict.fromkeys(GENDERS, load_body_model(path))
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() in (".npz", ".pkl")) if path.is_dir() else []
    found = {}
    for gender in GENDERS:
        words = [file for file in files if gender in _words(file.relative_to(path))]
        if words:
            found[gender] = load_body_model(words[0])
    if not found:
        raise InputError(f"{path}: expected SMPL body models such as male/model.npz or SMPLH_MALE.npz, found none")
    spare = found.get("neutral") or next(iter(found.values()))
    return {gender: found.get(gender, spare) for gender in GENDERS}


def _words(path: Path) -> list[str]:
    """The words of a path, lower case: SMPLH_MALE.npz -> smplh, male, npz."""
    return path.as_posix().lower().replace("/", " ").replace("_", " ").replace(".", " ").split()


def _fingerprint(path, bodies) -> str:
    if path is None:
        return "mean body"
    digest = hashlib.sha256()
    for gender in GENDERS:
        for array in (bodies[gender].template, bodies[gender].directions, bodies[gender].weights):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _jobs(paths, fps, cache, bodies) -> list[Job]:
    files = [
        (file, name) for file, name in find(paths, (".npz",), "AMASS files")[0] if not file.name.endswith(SHAPE_FILES)
    ]
    if not files:
        raise InputError(f"{paths[0]}: expected AMASS motions, found shapes only")
    kept = (lambda name: None) if cache is None else lambda name: Path(cache) / f"{name}.npz"
    return [Job(file, name, fps, kept(name), bodies) for file, name in files]


# --- One file -------------------------------------------------------------------------------------


def _run(jobs, bodies, workers):
    """Yields (clip, "") or (None, message) for each job, in order."""
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    if workers == 1:
        yield from (_convert(job, bodies) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads of a loaded backend
    try:
        with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
            yield from pool.map(_convert, jobs, itertools.repeat(bodies), chunksize=max(1, min(16, len(jobs) // 64)))
    except concurrent.futures.process.BrokenProcessPool:
        raise InputError(
            "a process that converted AMASS files was ended, perhaps for want of memory; use fewer workers"
        ) from None


def _convert(job: Job, bodies) -> tuple[np.ndarray | None, str]:
    try:
        stamp = _stamp(job)
        clip = _kept(job, stamp)
        if clip is None:
            clip = read_clip(job.path, bodies, job.fps)
            if job.cache is not None:
                job.cache.parent.mkdir(parents=True, exist_ok=True)
                atomic_write(job.cache, lambda file: np.savez(file, stamp=np.array(stamp), positions=clip))
        return clip, ""
    except InputError as error:
        return None, str(error)
    except OSError as error:
        return None, f"{job.path}: {error.strerror}"


def _stamp(job: Job) -> str:
    """What a kept result depends on."""
    status = job.path.stat()
    return f"{status.st_size} {status.st_mtime_ns} {job.fps!r} {job.bodies}"


def _kept(job: Job, stamp: str) -> np.ndarray | None:
    if job.cache is None or not job.cache.is_file():
        return None
    try:
        kept = load_archive(job.cache, ["stamp", "positions"])
    except InputError:  # damaged, so it is made anew
        return None
    fits = kept["stamp"].shape == () and kept["stamp"].item() == stamp and kept["positions"].shape[1:] == (17, 3)
    return kept["positions"] if fits else None


def read_clip(path, bodies: dict[str, BodyModel], fps: float) -> np.ndarray:
    """(frames, 17, 3) float32 world positions of one AMASS file. Raises `InputError` that names the file."""
    with named(path):
        arrays = load_archive(path, ["poses", "trans", "betas"])
        with zipfile.ZipFile(path) as archive:  # others of its arrays may be of kinds that are not read
            arrays |= load_archive(path, [key for key in ("gender", *RATES) if f"{key}.npy" in archive.namelist()])
        poses = numbers(arrays["poses"], (None, None), "poses")
        if not COLUMNS[0] <= poses.shape[1] <= COLUMNS[1] or poses.shape[1] % 3:
            raise InputError(f"poses: expected (frames, 156) or another number of axis-angles, found {poses.shape}")
        trans = numbers(arrays["trans"], (len(poses), 3), "trans")
        betas = numbers(arrays["betas"].reshape(-1), (None,), "betas")
        rates = [arrays[key] for key in RATES if key in arrays]
        if not rates:
            raise InputError(f"the frame rate is missing: expected {' or '.join(RATES)}")
        rate = positive(rates[0], "frame rate", 1, 10000)
        if np.abs(poses[:, : COLUMNS[0]]).max() > 100 or np.abs(trans).max() > 1000 or np.abs(betas).max() > 100:
            raise InputError("angles over 100 radians, places over 1000 m or shapes over 100 are no motion of a person")
        body = bodies[gender_of(arrays.get("gender"))]
        clip = resample(forward(body, poses, betas, trans), rate, fps).astype(np.float32)
        if not np.isfinite(clip).all():
            raise InputError("the joints are not finite")
    return clip


def gender_of(value) -> str:
    """ "male", "female" or "neutral", of a text or bytes array; unknown words are neutral."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(()).item()
    word = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    return word.lower() if isinstance(word, str) and word.lower() in GENDERS else "neutral"


# --- The paper's own file -------------------------------------------------------------------------


def is_released(path) -> bool:
    """Whether a file is of the layout of the paper's `amass.npz`: one pickled dictionary, `poses`."""
    try:
        poses = load_archive(path, ["poses"])["poses"]
    except InputError:
        return False
    return poses.dtype == object and poses.shape == () and isinstance(poses.item(), dict)


def read_released(path, fps: float = 50.0) -> Views:
    """Reads `amass.npz` of the paper's code: {clip: {length, pose2d (F, J, 2), pose3d (F, J, 3)}}, J 16 or 17.

    2D is normalised screen, 3D metres in the camera frame, relative to the root or not. The file tells
    neither frame rate nor camera: the first is taken as given, the second left unknown.

    Raises `InputError`, one line that names the file, for anything else.
    """
    with named(path):
        clips = load_archive(path, ["poses"])["poses"]
        clips = clips.item() if clips.shape == () and clips.dtype == object else None
        if not isinstance(clips, dict) or not clips:
            raise InputError("expected a dictionary of clips under 'poses'")
        parts = [_released_clip(name, clip) for name, clip in clips.items()]
        joints = {pose.shape[1] for _, pose in parts}
        if len(joints) > 1 or not joints <= {16, 17}:
            raise InputError(f"expected 16 or 17 joints in all clips, found {', '.join(map(str, sorted(joints)))}")
        skeleton = H36M_17 if joints == {17} else H36M_16
        pose_3d = np.concatenate([pose for _, pose in parts]).astype(np.float32)
        root, count = pose_3d[:, skeleton.root].copy(), len(parts)
        names = tuple(str(name) for name in clips)
        return Views(
            offsets=np.concatenate([[0], np.cumsum([len(pose) for _, pose in parts])]).astype(np.int64),
            names=names,
            subjects=tuple(name.replace("\\", "/").rpartition("/")[0] or name for name in names),
            actions=("",) * count,
            cameras=("cam",) * count,
            fps=np.full(count, fps, np.float32),
            intrinsics=np.full((count, 9), np.nan, np.float32),
            image_size=np.full((count, 2), 1000, np.int32),
            pose_2d=np.concatenate([pose for pose, _ in parts]).astype(np.float32),
            pose_3d=pose_3d - root[:, None],
            root_3d=root if (root[:, 2] > 0).all() else None,
            skeleton=skeleton,
        )


def _released_clip(name, clip) -> tuple[np.ndarray, np.ndarray]:
    what = str(name)[:60]
    if not isinstance(clip, dict) or (missing := [k for k in ("length", "pose2d", "pose3d") if k not in clip]):
        raise InputError(
            f"{what}: expected length, pose2d and pose3d; {missing[0] if isinstance(clip, dict) else 'they'} missing"
        )
    length = int(positive(clip["length"], f"{what}: length", 0, 1e9))
    pose_2d = numbers(clip["pose2d"], (None, None, 2), f"{what}: pose2d")
    pose_3d = numbers(clip["pose3d"], (len(pose_2d), pose_2d.shape[1], 3), f"{what}: pose3d")
    if length > len(pose_2d) or length < 1:
        raise InputError(f"{what}: length {length} of {len(pose_2d)} frames")
    if np.abs(pose_2d).max() > 10 or np.abs(pose_3d).max() > 100:
        raise InputError(f"{what}: expected normalised screen coordinates and metres; found larger numbers")
    return pose_2d[:length], pose_3d[:length]
