"""From what `--data` names to views for training and validation, split by subject."""

import dataclasses
import zlib
from pathlib import Path

import numpy as np

from mpm_keras.data.cameras import CameraRanges, film
from mpm_keras.data.motion import Motion
from mpm_keras.data.open_mocap import is_open_mocap
from mpm_keras.data.readers import read_motion
from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.data.views import Views
from mpm_keras.data.windows import UnpairedBatches, WindowBatches, WindowIndex
from mpm_keras.errors import InputError
from mpm_keras.skeletons import get_skeleton

SYNTHETIC = "synthetic"


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Which subjects are held out. All others train."""

    validation: tuple[str, ...]
    test: tuple[str, ...] = ()

    def split_of(self, subject: str) -> str:
        """ "train", "validation" or "test"."""
        return "test" if subject in self.test else "validation" if subject in self.validation else "train"


# The open motion protocol (README): test subjects cover every source and kind of activity, and no
# model is chosen by them; nothing of them is seen in stage I either.
OPEN_MOCAP_PROTOCOL = Protocol(
    validation=("cmu09", "cmu16", "cmu69", "cmu127", "cmu135", "hdm05_dg"),
    test=("accad_male2", "cmu05", "cmu13", "cmu14", "cmu35", "cmu94", "hdm05_tr"),
)


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    """How sources become views.

    Attributes:
        fps: frame rate that motion is resampled to.
        cameras: virtual cameras per clip of 3D motion.
        ranges: what they are drawn from.
        skeleton: name of the joint convention to train with.
        seed: of cameras and synthetic motion.
        synthetic_clips: clips of synthetic motion, of `synthetic_seconds` each.
        validation_subjects: held out; empty for the protocol or, without one, about a tenth of the
            subjects.
    """

    fps: float = 50.0
    cameras: int = 2
    ranges: CameraRanges = dataclasses.field(default_factory=CameraRanges)
    skeleton: str = "h36m17"
    seed: int = 0
    synthetic_clips: int = 240
    synthetic_seconds: float = 10.0
    validation_subjects: tuple[str, ...] = ()


def load_splits(paths, options: SourceOptions, splits=("train", "validation")) -> dict[str, list[Views]]:
    """Reads sources and splits them by subject.

    Args:
        paths: `"synthetic"`, motion capture (see `read_motion`) or archives written by `Views.save`.
        options: see `SourceOptions`.
        splits: which splits to return; those not asked for are not filmed.

    Returns:
        {split: list of `Views`, one per source and split that is not empty}.

    Raises:
        InputError: a source cannot be read, or nothing is left to train or to validate on.
    """
    if not paths:
        raise InputError("no data: name at least one source")
    found = {split: [] for split in splits}
    for path in paths:
        source = split_single_clip(_read(path, options))
        names = split_names(source, protocol_for(path, source, options))
        for split in splits:
            keep = [i for i, name in enumerate(names) if name == split]
            if keep:
                found[split].append(_views(source.select(keep), options))
    for split in splits:
        if not found[split]:
            raise InputError(f"{', '.join(map(str, paths))}: no clip for {split}; choose --val_subjects otherwise")
    return found


def _read(path, options) -> Motion | Views:
    if str(path) == SYNTHETIC:
        return synthetic_motion(
            clips=options.synthetic_clips, seconds=options.synthetic_seconds, fps=options.fps, seed=options.seed
        )
    if Path(path).suffix.lower() == ".npz" and not is_open_mocap(path):
        return Views.load(path)
    return read_motion(path, options.fps)


def _views(source, options) -> Views:
    views = film(source, options.cameras, options.ranges, options.seed) if isinstance(source, Motion) else source
    return views.to_skeleton(get_skeleton(options.skeleton))


def split_single_clip(source):
    """A source of one clip as two, its last fifth being the second: there is no other to hold out."""
    if not isinstance(source, Motion) or source.num_clips > 1 or len(source.positions) < 10:
        return source
    cut = len(source.positions) * 4 // 5
    name = source.names[0]
    return Motion.from_clips(
        [source.positions[:cut], source.positions[cut:]],
        names=[f"{name}[:{cut}]", f"{name}[{cut}:]"],
        subjects=source.subjects * 2,
        actions=source.actions * 2,
        fps=np.repeat(source.fps, 2),
        licenses=source.licenses * 2,
        skeleton=source.skeleton,
    )


def protocol_for(path, source, options) -> Protocol | None:
    """The split of a source: named by the user, a published protocol, or None to draw one."""
    if options.validation_subjects:
        return Protocol(options.validation_subjects)
    if str(path) != SYNTHETIC and Path(path).suffix.lower() == ".npz" and is_open_mocap(path):
        return OPEN_MOCAP_PROTOCOL
    return None


def split_names(source, protocol: Protocol | None) -> list[str]:
    """The split of every clip or view of a source.

    Without a protocol about a tenth of the subjects, those with the lowest hash of their name, are
    held out for validation. A single subject is split by clip instead.
    """
    if protocol is not None:
        return [protocol.split_of(subject) for subject in source.subjects]
    units = source.subjects if len(set(source.subjects)) > 1 else source.names
    ranked = sorted(set(units), key=lambda name: (zlib.crc32(name.encode()), name))
    held_out = set(ranked[: max(1, round(len(ranked) / 10))])
    return ["validation" if unit in held_out else "train" for unit in units]


def make_batches(views: list[Views], frames, stride, batch_size, *, seed=0, step=1, shuffle=True, flip=False):
    """Windows of several sources as one stream of batches.

    Sources that all carry the same modalities are joined, and the 2D and 3D poses of a sample belong
    together. Where some carry 2D only and some 3D only, each modality is drawn from the sources that
    have it (`UnpairedBatches`).
    """

    def batches(parts, number):
        joined = Views.concatenate(parts) if len(parts) > 1 else parts[0]
        index = WindowIndex(joined.offsets, frames, stride, step)
        size = min(batch_size, index.num_windows)
        return WindowBatches(joined, index, size, seed=seed + number, shuffle=shuffle, flip=flip)

    kinds = {(v.pose_2d is not None, v.pose_3d is not None) for v in views}
    if len(kinds) == 1:
        return batches([plain(v) for v in views], 0)
    only_2d = [plain(v.without("3d")) for v in views if v.pose_2d is not None]
    only_3d = [plain(v.without("2d")) for v in views if v.pose_3d is not None]
    return UnpairedBatches((batches(only_2d, 0), batches(only_3d, 1)))


def plain(views: Views) -> Views:
    """The views without what only some sources have and windows of poses do not need."""
    return dataclasses.replace(views, confidence=None, root_3d=None)


def mean_of(views: list[Views], modality: str) -> np.ndarray | None:
    """(J, D) mean pose of a modality over all sources, None where no source has it."""
    arrays = [getattr(v, f"pose_{modality}") for v in views]
    arrays = [a for a in arrays if a is not None]
    if not arrays:
        return None
    total = sum(a.sum(axis=0, dtype=np.float64) for a in arrays)
    return (total / sum(map(len, arrays))).astype(np.float32)
