"""Views: clips as one camera sees each of them. What every dataset reader and `film` return."""

import dataclasses

import numpy as np

from mpm_keras.data import archive
from mpm_keras.data.checks import check_array, check_clips, check_frames
from mpm_keras.errors import InputError
from mpm_keras.geometry import Camera
from mpm_keras.skeletons import H36M_17, SKELETONS, Skeleton

# Field -> shape after the frame axis (J stands for the number of joints) and the modality it belongs to.
_FRAME_FIELDS = {
    "pose_2d": (("J", 2), "2d"),
    "confidence": (("J",), "2d"),
    "pose_3d": (("J", 3), "3d"),
    "root_3d": ((3,), "3d"),
}
_VIEW_FIELDS = {
    "fps": ((), np.float32),
    "intrinsics": ((9,), np.float32),
    "image_size": ((2,), np.int32),
    "weights": ((), np.float32),
}
_TEXT_FIELDS = archive.VIEWS.texts


@dataclasses.dataclass(frozen=True, eq=False)
class Views:
    """V views with F frames in all, in flat arrays. 2D or 3D may be absent: unpaired data.

    Attributes:
        offsets: (V+1,) int64; view i is frames `offsets[i]` to `offsets[i+1]`.
        names: V view names, all different, such as `cmu/05/05_02@cam0`.
        subjects: V subject names; a split by person goes by these.
        actions: V activities in words, "" where unknown.
        cameras: V camera names.
        fps: (V,) float32 frames a second.
        intrinsics: (V, 9) float32 `fx, fy, cx, cy, k1, k2, p1, p2, k3` in pixels and as
            `geometry.distort` defines them, NaN where unknown.
        image_size: (V, 2) int32 width and height, pixels.
        pose_2d: (F, J, 2) float32 normalised screen coordinates, or None.
        pose_3d: (F, J, 3) float32 metres, camera frame, root-relative, or None.
        root_3d: (F, 3) float32 the root joint in the camera frame, metres, or None.
        confidence: (F, J) float32 detector confidence of `pose_2d`, or None.
        skeleton: the joint convention.
        licenses: V licence strings, "" where unknown.
        provenance: V notes of where a view comes from, "" where unknown.
        dataset: the dataset that all views belong to, such as "h36m"; its published split goes by it.
            "" where there is none.
        weights: (V,) float32, how many times as often as others a view's windows are drawn in training;
            1 by default. Of a run, not of the data: not saved.

    Raises `InputError` for anything that does not fit: dtypes, shapes, NaN.
    """

    offsets: np.ndarray
    names: tuple[str, ...]
    subjects: tuple[str, ...]
    actions: tuple[str, ...]
    cameras: tuple[str, ...]
    fps: np.ndarray
    intrinsics: np.ndarray
    image_size: np.ndarray
    pose_2d: np.ndarray | None = None
    pose_3d: np.ndarray | None = None
    root_3d: np.ndarray | None = None
    confidence: np.ndarray | None = None
    skeleton: Skeleton = H36M_17
    licenses: tuple[str, ...] = ()
    provenance: tuple[str, ...] = ()
    dataset: str = ""
    weights: np.ndarray | None = None

    def __post_init__(self):
        if self.weights is None:
            object.__setattr__(self, "weights", np.ones(len(self.names), np.float32))
        for field in ("licenses", "provenance"):
            object.__setattr__(self, field, getattr(self, field) or ("",) * len(self.names))
        for field in _TEXT_FIELDS:
            object.__setattr__(self, field, tuple(str(text) for text in getattr(self, field)))
        self._check_views()
        self._check_frames()

    def _check_views(self):
        count = len(self.names)
        check_clips("view", self.names, {f: getattr(self, f) for f in _TEXT_FIELDS}, self.offsets, self.fps)
        for field, (shape, dtype) in _VIEW_FIELDS.items():
            check_array(field, getattr(self, field), dtype, (count, *shape))
        if np.isinf(self.intrinsics).any():
            raise InputError("intrinsics: infinite; unknown ones are NaN")
        if (self.image_size <= 0).any():
            raise InputError("image_size: expected positive width and height")
        if not (np.isfinite(self.weights) & (self.weights > 0)).all():
            raise InputError("weights: expected positive numbers")

    def _check_frames(self):
        for field, (shape, _) in _FRAME_FIELDS.items():
            if (value := getattr(self, field)) is not None:
                shape = tuple(self.skeleton.num_joints if n == "J" else n for n in shape)
                check_frames(field, value, shape, "view", self.names, self.offsets)
        if self.pose_2d is None and self.pose_3d is None:
            raise InputError("views need 2D or 3D poses, found neither")
        if self.confidence is not None and self.pose_2d is None:
            raise InputError("confidence without pose_2d")
        if self.root_3d is not None and self.pose_3d is None:
            raise InputError("root_3d without pose_3d")

    @property
    def num_views(self) -> int:
        return len(self.names)

    @property
    def num_frames(self) -> int:
        """Frames of all views together."""
        return int(self.offsets[-1])

    @property
    def lengths(self) -> np.ndarray:
        """(V,) int64 frames of each view."""
        return np.diff(self.offsets)

    def view(self, i: int, frames: int | None = None) -> "Views":
        """View i alone, or its first frames; its arrays share memory with these. Raises `IndexError` out of range."""
        i = range(self.num_views)[i]
        start, stop = (int(n) for n in self.offsets[i : i + 2])
        stop = stop if frames is None else min(stop, start + frames)
        changes = {f: getattr(self, f)[start:stop] for f in _FRAME_FIELDS if getattr(self, f) is not None}
        changes |= {f: getattr(self, f)[i : i + 1] for f in (*_VIEW_FIELDS, *_TEXT_FIELDS)}
        return dataclasses.replace(self, offsets=np.array([0, stop - start], np.int64), **changes)

    def camera(self, i: int) -> Camera:
        """The camera of view i, in its own frame. Raises `ValueError` where its intrinsics are unknown."""
        if np.isnan(self.intrinsics[i]).any():
            raise ValueError(f"the camera intrinsics of view {self.names[i]!r} are unknown")
        return Camera.from_intrinsics(self.intrinsics[i], tuple(self.image_size[i]))

    def select(self, indices) -> "Views":
        """The views at the given indices, in that order. Raises `ValueError` when there are none."""
        indices = [int(i) for i in indices]
        if not indices:
            raise ValueError("select needs at least one view")
        return Views.concatenate([self.view(i) for i in indices])

    @classmethod
    def concatenate(cls, parts) -> "Views":
        """Joins views of one skeleton that carry the same arrays.

        Raises `ValueError` for different skeletons and where one part lacks an array that another
        has: use `to_skeleton` and `without` first.
        """
        parts = list(parts)
        if not parts:
            raise ValueError("concatenate needs at least one part")
        skeletons = {part.skeleton.name for part in parts}
        if len(skeletons) > 1:
            raise ValueError(f"cannot join views of different skeletons: {', '.join(sorted(skeletons))}")
        fields = {}
        for field in _FRAME_FIELDS:
            lacking = [part for part in parts if getattr(part, field) is None]
            if lacking and len(lacking) < len(parts):
                raise ValueError(f"cannot join views: {lacking[0].names[0]!r} lacks {field}, others have it")
            fields[field] = None if lacking else np.concatenate([getattr(part, field) for part in parts])
        for field in _VIEW_FIELDS:
            fields[field] = np.concatenate([getattr(part, field) for part in parts])
        for field in _TEXT_FIELDS:
            fields[field] = tuple(text for part in parts for text in getattr(part, field))
        lengths = np.concatenate([part.lengths for part in parts])
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        datasets = {part.dataset for part in parts}
        dataset = datasets.pop() if len(datasets) == 1 else ""
        return cls(offsets=offsets, skeleton=parts[0].skeleton, dataset=dataset, **fields)

    def to_skeleton(self, skeleton: Skeleton) -> "Views":
        """The same views with another skeleton's joints, such as 16 of 17.

        Raises `ValueError` when a joint is lacking or the root joint is another one.
        """
        if skeleton.name == self.skeleton.name:
            return self
        old_root, new_root = (s.joints[s.root] for s in (self.skeleton, skeleton))
        if old_root != new_root:
            raise ValueError(f"3D poses relative to {old_root} do not become relative to {new_root} by choosing joints")
        order = skeleton.select_from(self.skeleton)
        jointed = [f for f, (shape, _) in _FRAME_FIELDS.items() if "J" in shape and getattr(self, f) is not None]
        return dataclasses.replace(self, skeleton=skeleton, **{f: getattr(self, f)[:, order] for f in jointed})

    def without(self, modality: str) -> "Views":
        """The views without their `"2d"` (with its confidence) or `"3d"` (with the root's path).

        Raises `ValueError` for another word, and when nothing would be left.
        """
        if modality not in ("2d", "3d"):
            raise ValueError(f"modality must be '2d' or '3d', found {modality!r}")
        return dataclasses.replace(self, **{f: None for f, (_, m) in _FRAME_FIELDS.items() if m == modality})

    def save(self, path) -> None:
        """Writes an archive of views (`data/archive.py`): a plain `.npz` whose arrays can be mapped into memory.

        An existing file is replaced only once the new one is complete.
        """
        archive.save(path, archive.VIEWS, self)

    @classmethod
    def load(cls, path, mapped: bool = False) -> "Views":
        """Reads what `save` wrote, or maps the arrays of frames, which are then read-only.

        Checksums are compared in both cases. Raises `InputError`, one line that names the file, for
        anything else.
        """
        fields = archive.load(path, archive.VIEWS, mapped)
        try:
            skeleton = SKELETONS.get(fields.pop("skeleton"))
            if skeleton is None:
                raise InputError(f"unknown skeleton; known: {', '.join(SKELETONS)}")
            return cls(skeleton=skeleton, **fields)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
