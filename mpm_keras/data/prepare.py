"""From anybody's files to the project's own archive, and what is in one."""

import dataclasses
import importlib
import inspect
import os
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from mpm_keras.data.archive import MOTION, VIEWS, archive_kind
from mpm_keras.data.motion import Motion
from mpm_keras.data.protocols import PROTOCOLS
from mpm_keras.data.readers import read_motion
from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.data.views import Views
from mpm_keras.errors import InputError

# Source -> its reader, `read(paths, **options)`. A module may state the `LICENSE` of all its files.
SOURCES = {
    "h36m": "mpm_keras.data.human36m:read",
    "3dhp": "mpm_keras.data.mpi_inf_3dhp:read",
    "amass": "mpm_keras.data.amass:read",
    "aist": "mpm_keras.data.aist:read",
    "custom": "mpm_keras.data.custom:read",
    "cmu": "mpm_keras.data.prepare:read_cmu",
    "bvh": "mpm_keras.data.prepare:read_mocap",
    "acclaim": "mpm_keras.data.prepare:read_mocap",
    "open_mocap": "mpm_keras.data.prepare:read_mocap",
    "synthetic": "mpm_keras.data.prepare:read_synthetic",
}
CMU_LICENSE = (
    "CMU Graphics Lab Motion Capture Database: free for all uses. The data used in this project was obtained from "
    "mocap.cs.cmu.edu. The database was created with funding from NSF EIA-0196217."
)
_MOST_LISTED = 12


def prepare(source: str, paths, out, *, license="", **options) -> Motion | Views:
    """Reads a source and writes it as an archive.

    Args:
        source: a name of `SOURCES`; becomes the `dataset` of the archive.
        paths: files and folders, as the source's reader takes them.
        out: the archive to write, `.npz`. It is replaced only once the new one is complete.
        license: of clips whose reader does not know it.
        options: for the reader; None stands for its default.

    Returns:
        What was written.

    Raises:
        InputError: an unknown source, an option that its reader does not have, files that it cannot
            read, or an `out` that is one of them.
    """
    if source not in SOURCES:
        raise InputError(f"unknown source {source!r}; known: {', '.join(SOURCES)}")
    out = Path(out)
    if out.suffix != ".npz":
        raise InputError(f"{out}: expected the name of the archive to end with .npz")
    if any(os.path.realpath(path) == os.path.realpath(out) for path in paths):
        raise InputError(f"{out}: is one of the files to read")
    if not out.parent.is_dir():
        raise InputError(f"{out}: the folder {out.parent} does not exist")
    module, _, name = SOURCES[source].partition(":")
    try:
        module = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(f"source {source!r} needs a module that is not there: {error.name}") from error
    read = getattr(module, name)
    given = {option: value for option, value in options.items() if value is not None}
    parameters = inspect.signature(read).parameters
    if foreign := sorted(set(given) - set(parameters)):
        raise InputError(f"--{foreign[0]} means nothing to the source {source!r}")
    needed = [name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty]
    if missing := [name for name in needed[1:] if name not in given]:
        raise InputError(f"--{missing[0]} is needed by the source {source!r}")
    if not paths and source != "synthetic":
        raise InputError(f"the source {source!r} needs files or folders to read")
    try:
        found = read(paths, **given)
    except ImportError as error:
        raise InputError(str(error)) from error
    found = _labelled(found, source, paths, license or getattr(module, "LICENSE", ""))
    found.save(out)
    return found


def _labelled(found, source, paths, license):
    """With the dataset's name, and with licence and provenance where the reader gave none."""
    made_of = f"{source}: {', '.join(Path(path).name for path in paths)}" if paths else source
    return dataclasses.replace(
        found,
        dataset=source,
        licenses=tuple(text or license for text in found.licenses),
        provenance=tuple(text or made_of for text in found.provenance),
    )


def read_mocap(paths, fps: float = 50.0) -> Motion:
    """BVH files, AMC files beside their ASF, folders of them, and the open motion archive.

    Bad files of a folder are left out; a warning names each, another their number.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        motions = [read_motion(path, fps, on_error="skip") for path in paths]
    left_out = [str(warning.message) for warning in caught if str(warning.message).startswith("left out: ")]
    for warning in caught:
        warnings.warn(str(warning.message), stacklevel=2)
    if left_out:
        clips = sum(motion.num_clips for motion in motions)
        warnings.warn(f"{len(left_out)} bad files were left out, {clips} clips were read", stacklevel=2)
    return Motion.from_clips(
        [motion.clip(i) for motion in motions for i in range(motion.num_clips)],
        **{
            field: [value for motion in motions for value in getattr(motion, field)]
            for field in ("names", "subjects", "actions", "licenses", "provenance", "fps")
        },
    )


def read_cmu(paths, fps: float = 50.0) -> Motion:
    """As `read_mocap`, under the licence of the CMU Graphics Lab's database."""
    motion = read_mocap(paths, fps)
    return dataclasses.replace(motion, licenses=(CMU_LICENSE,) * motion.num_clips)


def read_synthetic(paths, fps: float = 50.0, clips: int = 240, seed: int = 0) -> Motion:
    """Synthetic motion, clips of 10 seconds; takes no files."""
    if paths:
        raise InputError(f"{paths[0]}: synthetic motion is made on the spot and reads no files")
    return synthetic_motion(clips=clips, fps=fps, seed=seed)


def load(path) -> Motion | Views:
    """An archive of either kind, mapped; its checksums are compared. Raises `InputError` for anything else."""
    layout = archive_kind(path) if os.path.isfile(path) else VIEWS
    if layout is None:
        raise InputError(f"{path}: not an archive that prepare_data.py makes")
    return (Motion if layout is MOTION else Views).load(path, mapped=True)


def describe(path) -> str:
    """What is in an archive, in lines of text. Raises `InputError` for anything else."""
    found = load(path)
    frames, lengths = int(found.offsets[-1]), np.diff(found.offsets)
    clips = "clips" if isinstance(found, Motion) else "views"
    kind = "motion in a world frame, to be filmed" if isinstance(found, Motion) else "views"
    minutes = float((lengths / found.fps).sum() / 60)
    rates = ", ".join(f"{rate:g}" for rate in np.unique(found.fps))
    lines = [
        f"{path}: {kind}, {os.path.getsize(path) / 1e6:.1f} MB, checksums agree",
        f"dataset     {found.dataset or 'not named'}",
        f"joints      {found.skeleton.num_joints} ({found.skeleton.name})",
        f"{clips:11} {len(found.names)}, of {lengths.min()} to {lengths.max()} frames",
        f"frames      {frames}, {minutes:.1f} minutes at {rates} frames a second",
        f"subjects    {_counted(found.subjects, lengths)}",
        f"actions     {_counted(found.actions, lengths)}",
    ]
    if isinstance(found, Views):
        sizes = sorted({f"{w}x{h}" for w, h in found.image_size.tolist()})
        known = int((~np.isnan(found.intrinsics).any(axis=1)).sum())
        lines.append(f"cameras     {_counted(found.cameras, lengths)}")
        lines.append(f"pictures    {', '.join(sizes)}; lenses known of {known} views")
    for field in (VIEWS if isinstance(found, Views) else MOTION).frames:
        if (array := getattr(found, field)) is not None:
            low, high = array.min(), array.max()
            lines.append(f"{field:11} {array.dtype} {array.shape}, from {low:.3f} to {high:.3f}")
    if protocol := PROTOCOLS.get(found.dataset):
        for split, held_out in (("validation", protocol.validation), ("test", protocol.test)):
            lines.append(f"{split:11} {', '.join(s for s in held_out if s in found.subjects) or 'nobody'}")
    for label, texts in (("licence", found.licenses), ("from", found.provenance)):
        counted = Counter(texts).most_common()
        lines += [f"{label:11} {text or 'unknown'} ({n} {clips})" for text, n in counted[:_MOST_LISTED]]
        lines += [f"{'':11} and {len(counted) - _MOST_LISTED} more"] * (len(counted) > _MOST_LISTED)
    return "\n".join(lines)


def _counted(words, lengths) -> str:
    """How many there are and which, those with most frames first."""
    frames = Counter()
    for word, length in zip(words, lengths, strict=True):
        frames[word or "unknown"] += int(length)
    listed = [word for word, _ in frames.most_common(_MOST_LISTED)]
    more = f" and {len(frames) - len(listed)} more" if len(frames) > len(listed) else ""
    return f"{len(frames)}: {', '.join(listed)}{more}"


def draw(path, picture, clips: int = 6) -> None:
    """Draws poses of `clips` clips, spread evenly over an archive, as a contact sheet."""
    from mpm_keras.viz.skeleton import contact_sheet

    found = load(path)
    chosen = found.select(np.unique(np.linspace(0, len(found.names) - 1, clips).round().astype(int)))
    contact_sheet(chosen if isinstance(chosen, Motion) else _standing(chosen), picture, clips=clips)


def _standing(views: Views) -> Motion:
    """Views as upright motion, for pictures only: the camera's down is down, the lowest joint on the floor."""
    if views.pose_3d is not None:
        right, down, forward = np.moveaxis(views.pose_3d, -1, 0)
    else:
        right, down = np.moveaxis(views.pose_2d, -1, 0)
        forward = np.zeros_like(right)
    upright = np.stack([right, forward, -down], axis=-1)
    clips = [upright[start:stop] for start, stop in zip(views.offsets[:-1], views.offsets[1:], strict=True)]
    return Motion.from_clips(
        [clip - [0, 0, clip[..., 2].min()] for clip in clips],
        names=views.names,
        subjects=views.subjects,
        actions=views.actions,
        fps=views.fps,
        skeleton=views.skeleton,
    )
