"""From what `--data` names to views for training and validation, split by subject."""

import dataclasses
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

from mpm_keras.data.archive import MOTION, archive_kind
from mpm_keras.data.cameras import CameraRanges, film
from mpm_keras.data.detector import DETECTOR_NOISE, WIDE_RANGES, detect
from mpm_keras.data.foreign import named
from mpm_keras.data.mixtures import weights_of
from mpm_keras.data.motion import Motion
from mpm_keras.data.open_mocap import is_open_mocap
from mpm_keras.data.protocols import PROTOCOLS, Protocol
from mpm_keras.data.readers import read_motion
from mpm_keras.data.shares import take_share
from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.data.views import Views
from mpm_keras.data.windows import UnpairedBatches, WindowBatches, WindowIndex
from mpm_keras.errors import InputError
from mpm_keras.skeletons import get_skeleton

SYNTHETIC = "synthetic"


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    """How sources become views.

    Attributes:
        fps: frame rate that motion is resampled to.
        cameras: virtual cameras per clip of 3D motion.
        ranges: what they are drawn from; None for `WIDE_RANGES` with a detector, and narrow ones without.
        roll: their largest tilt to either side, degrees, in place of what the ranges say; None for that.
        detector: who sees the 2D: "none" for the projected joints of the source, "exact" for the
            joints that a detector would give, "noisy" for those with its errors (see `detect`), "occluded"
            for those of a film that in some views never shows some limbs.
        skeleton: name of the joint convention to train with.
        seed: of cameras and synthetic motion.
        synthetic_clips: clips of synthetic motion, of `synthetic_seconds` each.
        validation_subjects: held out; empty for the protocol or, without one, about a tenth of the
            subjects.
        test_subjects: kept from training and validation too; empty for the protocol or another tenth.
        without_licenses: clips under these licences are left out.
        weights: per source, how many times as often its windows are drawn in training; empty for 1.
        mixture: a name of `mixtures.MIXTURES`, in place of weights; the sources are its datasets.
        train_share: of each source's training clips, see `take_share`.
    """

    fps: float = 50.0
    cameras: int = 2
    ranges: CameraRanges | None = None
    roll: float | None = None
    detector: str = "none"
    skeleton: str = "h36m17"
    seed: int = 0
    synthetic_clips: int = 240
    synthetic_seconds: float = 10.0
    validation_subjects: tuple[str, ...] = ()
    test_subjects: tuple[str, ...] = ()
    without_licenses: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    mixture: str = ""
    train_share: float = 1.0


def load_splits(paths, options: SourceOptions, splits=("train", "validation")) -> dict[str, list[Views]]:
    """Reads sources and splits them by subject.

    Args:
        paths: `"synthetic"`, motion capture (see `read_motion`), or archives of views or motion (`archive.py`).
        options: see `SourceOptions`.
        splits: which splits to return; those not asked for are not filmed.

    Returns:
        {split: list of `Views`, one per source and split that is not empty}.

    Raises:
        InputError: a source cannot be read, nothing is left of a split, or no source has a subject
            that was named.
    """
    if not paths:
        raise InputError("no data: name at least one source")
    found, subjects = {split: [] for split in splits}, set()
    sources = [split_single_clip(_read(path, options)) for path in paths]
    weights = weights_of(paths, [source.dataset for source in sources], options.weights, options.mixture)
    for path, source, weight in zip(paths, sources, weights, strict=True):
        subjects.update(source.subjects)
        names = split_names(source, protocol_for(source, options))
        for split in splits:
            keep = [i for i, name in enumerate(names) if name == split]
            if keep:
                views = _views(path, source.select(keep), options)
                if split == "train":
                    views = take_share(views, options.train_share)
                    views = dataclasses.replace(views, weights=views.weights * np.float32(weight))
                found[split].append((path, views))
    for split in splits:
        if not found[split]:
            other = "name --test_subjects or use --split=validation"
            advice = other if split == "test" else "choose --val_subjects otherwise"
            raise InputError(f"{', '.join(map(str, paths))}: no clip for {split}; {advice}")
    if unknown := sorted({*options.validation_subjects, *options.test_subjects} - subjects):
        raise InputError(f"{', '.join(map(str, paths))}: no subject {unknown[0]!r}; found {_listed(subjects)}")
    return {split: _told_apart(parts) for split, parts in found.items()}


def _listed(names, most=12) -> str:
    names = sorted(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def load_views(paths, options: SourceOptions) -> list[Views]:
    """All clips of sources, whoever their subjects. Arguments and errors as `load_splits`."""
    if not paths:
        raise InputError("no data: name at least one source")
    return _told_apart([(path, _views(path, _read(path, options), options)) for path in paths])


def check_archives(paths):
    """Reads the archives among sources and forgets them, for those who start many runs. Raises `InputError`."""
    for path in paths:
        if str(path).lower().endswith(".npz") and Path(path).is_file():
            _read(path, SourceOptions())


def _told_apart(parts) -> list[Views]:
    """The views of (path, views); those whose name another source uses too get their source's path in front."""
    uses = Counter(name for _, views in parts for name in views.names)
    return [
        dataclasses.replace(views, names=tuple(n if uses[n] == 1 else f"{path}:{n}" for n in views.names))
        for path, views in parts
    ]


def _read(path, options) -> Motion | Views:
    if str(path) == SYNTHETIC:
        return synthetic_motion(
            clips=options.synthetic_clips, seconds=options.synthetic_seconds, fps=options.fps, seed=options.seed
        )
    if Path(path).suffix.lower() != ".npz" or is_open_mocap(path):
        source = read_motion(path, options.fps)
    elif archive_kind(path) is MOTION:
        with named(path):
            source = Motion.load(path, mapped=True).at_rate(options.fps)
    else:
        source = Views.load(path, mapped=True)
    return licensed(path, source, options.without_licenses)


def licensed(path, source: Motion | Views, unwanted) -> Motion | Views:
    """The clips whose licence is none of the unwanted ones. Raises `InputError` where none is left."""
    keep = [i for i, license in enumerate(source.licenses) if license not in unwanted]
    if not keep:
        raise InputError(f"{path}: every clip has an unwanted licence: {', '.join(sorted(set(source.licenses)))}")
    return source if len(keep) == len(source.names) else source.select(keep)


def _views(path, source, options) -> Views:
    noise = DETECTOR_NOISE.get(options.detector)
    ranges = options.ranges or (CameraRanges() if noise is None else WIDE_RANGES)
    if options.roll is not None:
        ranges = dataclasses.replace(ranges, roll=options.roll)
    views = film(source, options.cameras, ranges, options.seed) if isinstance(source, Motion) else source
    try:
        if noise is not None:
            views = detect(views, noise, options.seed)
        return views.to_skeleton(get_skeleton(options.skeleton))
    except ValueError as error:
        advice = "; --skeleton=h36m16 takes the joints that all have" if views.skeleton.num_joints == 16 else ""
        raise InputError(f"{path}: {error}{advice}") from error


def split_single_clip(source):
    """A source of one clip as ten pieces of it, of which one serves for validation and one for test."""
    if not isinstance(source, Motion) or source.num_clips > 1 or len(source.positions) < 10:
        return source
    pieces = np.array_split(source.positions, 10)
    return Motion.from_clips(
        pieces,
        names=[f"{source.names[0]}[{i}/10]" for i in range(10)],
        subjects=source.subjects * 10,
        actions=source.actions * 10,
        fps=np.repeat(source.fps, 10),
        licenses=source.licenses * 10,
        skeleton=source.skeleton,
        provenance=source.provenance * 10,
        dataset=source.dataset,
    )


def protocol_for(source, options) -> Protocol | None:
    """The split of a source: a published protocol, what the user named, or None to draw one.

    A published protocol goes by those of its subjects that the source has.

    Naming one of the two held-out groups leaves the other as published; a subject that is named for
    one group leaves the other.
    """
    published = PROTOCOLS.get(source.dataset, Protocol(()))
    here = set(source.subjects)
    protocol = Protocol(*(tuple(s for s in group if s in here) for group in (published.validation, published.test)))
    validation, test = options.validation_subjects, options.test_subjects
    if both := sorted(set(validation) & set(test)):
        raise InputError(f"subject {both[0]!r} is named both for validation and for test")
    protocol = Protocol(
        validation=validation or tuple(s for s in protocol.validation if s not in test),
        test=test or tuple(s for s in protocol.test if s not in validation),
    )
    return protocol if protocol.validation or protocol.test else None


def split_names(source, protocol: Protocol | None) -> list[str]:
    """The split of every clip or view of a source.

    Without a protocol about a tenth of the subjects, those with the lowest hash of their name, are
    for validation and the next tenth for test, the same in every script; with one that names test
    subjects only, a tenth of the others is for validation. A single subject is split by clip
    instead. Two have no test.
    """
    if protocol is not None and protocol.validation:
        return [protocol.split_of(subject) for subject in source.subjects]
    test = protocol.test if protocol else ()
    others = [i for i, subject in enumerate(source.subjects) if subject not in test]
    units = source.subjects if len({source.subjects[i] for i in others}) > 1 else source.names
    ranked = sorted({units[i] for i in others}, key=lambda name: (zlib.crc32(name.encode()), name))
    share = max(1, round(len(ranked) / 10))
    more = ranked[share : 2 * share] if len(ranked) > 2 and not test else ()
    drawn = Protocol(tuple(ranked[:share]), tuple(more))
    return ["test" if s in test else drawn.split_of(u) for s, u in zip(source.subjects, units, strict=True)]


def make_batches(views: list[Views], frames, stride, batch_size, *, seed=0, step=1, shuffle=True, flip=False):
    """Windows of several sources as one stream of batches.

    Sources that all carry the same modalities are joined, and the 2D and 3D poses of a sample belong
    together. Where some carry 2D only and some 3D only, each modality is drawn from the sources that
    have it (`UnpairedBatches`).
    """

    def batches(parts, number):
        joined = Views.concatenate(parts) if len(parts) > 1 else parts[0]
        index = WindowIndex(joined.offsets, frames, stride, step, joined.weights)
        size = min(batch_size, index.num_windows)
        return WindowBatches(joined, index, size, seed=seed + number, shuffle=shuffle, flip=flip)

    kinds = {(v.pose_2d is not None, v.pose_3d is not None) for v in views}
    if len(kinds) == 1:
        return batches(alike(views), 0)
    only_2d = [v.without("3d") for v in views if v.pose_2d is not None]
    only_3d = [v.without("2d") for v in views if v.pose_3d is not None]
    return UnpairedBatches((batches(alike(only_2d), 0), batches(alike(only_3d), 1)))


def alike(views: list[Views]) -> list[Views]:
    """The views without confidences or root paths that only some of them have."""
    lacking = {f: None for f in ("confidence", "root_3d") if any(getattr(v, f) is None for v in views)}
    return [dataclasses.replace(v, **lacking) for v in views]


def mean_of(views: list[Views], modality: str) -> np.ndarray | None:
    """(J, D) mean pose of a modality over all sources, None where no source has it."""
    arrays = [getattr(v, f"pose_{modality}") for v in views]
    arrays = [a for a in arrays if a is not None]
    if not arrays:
        return None
    total = sum(a.sum(axis=0, dtype=np.float64) for a in arrays)
    return (total / sum(map(len, arrays))).astype(np.float32)
