"""3D motion in a world frame: what every motion-capture reader returns and virtual cameras film."""

import dataclasses

import numpy as np

from mpm_keras.data import archive
from mpm_keras.data.checks import check_clips, check_frames
from mpm_keras.errors import InputError
from mpm_keras.skeletons import H36M_17, SKELETONS, Skeleton

MOST_PER_FRAME = 20  # frames that resampling may make of one


@dataclasses.dataclass(frozen=True)
class Motion:
    """S clips of 3D motion, all frames in one flat array.

    The world frame is right-handed with z up and the floor near z = 0.

    Attributes:
        positions: (F, J, 3) float32, metres.
        offsets: (S+1,) int64; clip i is frames `offsets[i]` to `offsets[i+1]`.
        names: S clip names, all different.
        subjects: S subject names; a split by person goes by these.
        actions: S activities in words, "" where unknown.
        fps: (S,) float32 frames a second.
        licenses: S licence strings, "" where unknown.
        skeleton: the joint convention.
        provenance: S notes of where a clip comes from, "" where unknown.
        dataset: the dataset that all clips belong to, such as "amass"; its published split goes by it.
            "" where there is none.
    """

    positions: np.ndarray
    offsets: np.ndarray
    names: tuple[str, ...]
    subjects: tuple[str, ...]
    actions: tuple[str, ...]
    fps: np.ndarray
    licenses: tuple[str, ...]
    skeleton: Skeleton = H36M_17
    provenance: tuple[str, ...] = ()
    dataset: str = ""

    def __post_init__(self):
        object.__setattr__(self, "provenance", self.provenance or ("",) * len(self.names))

    @property
    def num_clips(self) -> int:
        return len(self.names)

    def clip(self, i: int) -> np.ndarray:
        """(frames, J, 3) positions of clip i, a view on the flat array."""
        return self.positions[self.offsets[i] : self.offsets[i + 1]]

    def select(self, keep) -> "Motion":
        """The clips at the given indices, in that order."""
        keep = [int(i) for i in keep]
        if not keep:
            raise ValueError("select needs at least one clip")
        return Motion.from_clips(
            [self.clip(i) for i in keep],
            names=[self.names[i] for i in keep],
            subjects=[self.subjects[i] for i in keep],
            actions=[self.actions[i] for i in keep],
            fps=[self.fps[i] for i in keep],
            licenses=[self.licenses[i] for i in keep],
            skeleton=self.skeleton,
            provenance=[self.provenance[i] for i in keep],
            dataset=self.dataset,
        )

    def at_rate(self, fps: float) -> "Motion":
        """The motion with every clip at one frame rate; itself where that is so already."""
        if np.allclose(self.fps, fps, rtol=1e-3):
            return self
        clips = [resample(self.clip(i), float(self.fps[i]), fps) for i in range(self.num_clips)]
        return dataclasses.replace(
            self,
            positions=np.concatenate(clips),
            offsets=np.concatenate([[0], np.cumsum([len(clip) for clip in clips])]).astype(np.int64),
            fps=np.full(self.num_clips, fps, np.float32),
        )

    def save(self, path) -> None:
        """Writes an archive of motion (`data/archive.py`): a plain `.npz` whose positions can be mapped into memory.

        Raises `InputError` for fields that do not fit, before anything is written.
        """
        self._check()
        archive.save(path, archive.MOTION, self)

    @classmethod
    def load(cls, path, mapped: bool = False) -> "Motion":
        """Reads what `save` wrote, or maps the positions, which are then read-only.

        Checksums are compared in both cases. Raises `InputError`, one line that names the file, for
        anything else.
        """
        fields = archive.load(path, archive.MOTION, mapped)
        try:
            skeleton = SKELETONS.get(fields.pop("skeleton"))
            if skeleton is None:
                raise InputError(f"unknown skeleton; known: {', '.join(SKELETONS)}")
            if "positions" not in fields:
                raise InputError("array 'positions' is missing")
            motion = cls(skeleton=skeleton, **fields)
            motion._check()
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        return motion

    def _check(self):
        texts = {field: getattr(self, field) for field in archive.MOTION.texts}
        check_clips("clip", self.names, texts, self.offsets, self.fps)
        shape = (self.skeleton.num_joints, 3)
        check_frames("positions", self.positions, shape, "clip", self.names, self.offsets)

    @classmethod
    def from_clips(
        cls, clips, *, names, subjects, fps, actions=None, licenses=None, skeleton=H36M_17, provenance=None, dataset=""
    ):
        """Joins clips of shape (frames, J, 3).

        Raises `InputError` for an empty clip, a wrong joint count or values that are not finite;
        the message names the clip and the frame.
        """
        count = len(clips)
        lengths = [len(names), len(subjects), len(fps)]
        if any(n != count for n in lengths) or count == 0:
            raise ValueError(f"{count} clips, but names, subjects and fps have lengths {lengths}")
        arrays = [check_clip(np.asarray(c, np.float32), name, skeleton) for c, name in zip(clips, names, strict=True)]
        return cls(
            positions=np.concatenate(arrays),
            offsets=np.concatenate([[0], np.cumsum([len(a) for a in arrays])]).astype(np.int64),
            names=tuple(names),
            subjects=tuple(subjects),
            actions=tuple(actions) if actions is not None else ("",) * count,
            fps=np.asarray(fps, np.float32),
            licenses=tuple(licenses) if licenses is not None else ("",) * count,
            skeleton=skeleton,
            provenance=tuple(provenance or ()),
            dataset=dataset,
        )


def check_clip(clip: np.ndarray, name: str, skeleton: Skeleton) -> np.ndarray:
    """Returns a (frames, J, 3) clip unchanged, or raises `InputError` that says what is wrong."""
    if clip.ndim != 3 or clip.shape[1:] != (skeleton.num_joints, 3) or not len(clip):
        raise InputError(f"{name}: expected poses of shape (frames, {skeleton.num_joints}, 3), found {clip.shape}")
    bad = ~np.isfinite(clip).all(axis=(1, 2))
    if bad.any():
        raise InputError(
            f"{name}: {int(bad.sum())} of {len(clip)} frames hold NaN or infinity, first frame {int(bad.argmax())}"
        )
    return clip


def resample(clip: np.ndarray, fps: float, target_fps: float) -> np.ndarray:
    """Resamples (frames, ...) positions in time with cubic splines (linear below 4 frames).

    Raises `InputError` where a frame would become more than `MOST_PER_FRAME`: a file can claim any rate.
    """
    if fps <= 0 or target_fps <= 0:
        raise ValueError(f"frame rates must be positive, found {fps} and {target_fps}")
    if abs(fps - target_fps) < 1e-3 * target_fps or len(clip) < 2:
        return clip
    if target_fps > MOST_PER_FRAME * fps:
        raise InputError(f"{fps:.3g} frames a second are too few to resample to {target_fps:g}")
    from scipy.interpolate import make_interp_spline

    old = np.arange(len(clip)) / fps
    new = np.arange(int(np.floor(old[-1] * target_fps + 1e-6)) + 1) / target_fps
    return make_interp_spline(old, clip, k=3 if len(clip) > 3 else 1)(new).astype(clip.dtype)
